//! The parameter sets of a source that sends them in-band, and when they change.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::h265::{self, H265Sps};
use crate::nal::{MAX_SETS, Role, role};
use crate::{Bits, Codec, CodecConfig, H264Sps, h264};

/// The newest parameter sets of each id of an H.264 or H.265 source (RTP, MPEG-TS, a byte stream), which may send them
/// apart from each other and again and again.
///
/// Holds at most 64 sets and 64 KiB of them; a set that would be too much makes it forget all others.
#[derive(Debug)]
pub struct ParameterSets {
    codec: Codec,
    /// By type and id.
    sets: Vec<((u8, u32), Bytes)>,
    changed: bool,
}

impl ParameterSets {
    /// None yet.
    pub const fn new(codec: Codec) -> Self {
        Self {
            codec,
            sets: Vec::new(),
            changed: false,
        }
    }

    /// Takes the parameter sets of an access unit; other units, and sets without a readable id, are passed over. Of two
    /// with one id the later counts. Gives the configuration when it is another than before and complete.
    pub fn update<T: AsRef<[u8]>>(&mut self, units: &[T]) -> Option<CodecConfig> {
        let mut seen = BTreeSet::new();
        for unit in units.iter().rev().map(AsRef::as_ref) {
            if let Some(key) = self.key(unit)
                && seen.insert(key)
            {
                self.insert(key, unit);
            }
        }
        if !self.changed {
            return None;
        }
        let units: Vec<&Bytes> = self.sets.iter().map(|(_, unit)| unit).collect();
        let config = CodecConfig::from_parameter_sets(self.codec, &units).ok()?;
        self.changed = false;
        Some(config)
    }

    fn insert(&mut self, key: (u8, u32), unit: &[u8]) {
        if let Some(at) = self.sets.iter().position(|(known, _)| *known == key) {
            if self.sets.get(at).is_some_and(|(_, known)| known == unit) {
                return;
            }
            self.sets.remove(at);
        }
        // The newest in front: a record's first SPS tells the size.
        self.sets.insert(0, (key, Bytes::copy_from_slice(unit)));
        self.changed = true;
        let bytes = self.sets.iter().map(|(_, unit)| unit.len());
        let bytes = bytes.fold(0, usize::saturating_add);
        if self.sets.len() > MAX_SETS || bytes > MAX_BYTES {
            self.sets.retain(|(known, _)| *known == key);
        }
    }

    fn key(&self, unit: &[u8]) -> Option<(u8, u32)> {
        if role(self.codec, unit)? != Role::ParameterSet || unit.len() > MAX_BYTES {
            return None;
        }
        if self.codec == Codec::H264 {
            let (&header, body) = unit.split_first()?;
            let kind = h264::kind(header);
            let id = match kind {
                h264::SPS => H264Sps::parse(body)?.id.into(),
                _ => Bits::of_nal(body).unsigned_golomb()?,
            };
            return Some((kind, id));
        }
        let header = h265::Header::parse(unit)?;
        // Sets of other layers are not of the picture that is shown.
        let body = unit.get(2..).filter(|_| header.layer == 0)?;
        let id = match header.kind {
            h265::VPS => Bits::of_nal(body).number(4)?,
            h265::SPS => H265Sps::parse(body)?.id.into(),
            _ => Bits::of_nal(body).unsigned_golomb()?,
        };
        Some((header.kind, id))
    }
}

const MAX_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parameters, VideoParameters};

    const SPS_98: &[u8] = &[
        0x67, 0x42, 0xc0, 0x0a, 0xda, 0x1c, 0x9e, 0x22, 0x6c, 0x04, 0x40,
    ];
    const PPS: &[u8] = &[0x68, 0xce, 0x03, 0x9c, 0x80];

    #[test]
    fn sets_that_come_apart_and_again_give_one_configuration() {
        let mut sets = ParameterSets::new(Codec::H264);
        assert_eq!(sets.update(&[SPS_98]), None, "no PPS yet");
        let config = sets.update(&[PPS]).unwrap();
        let video = VideoParameters {
            width: 98,
            height: 54,
            reorder_frames: 0,
        };
        assert_eq!(config.parameters, Parameters::Video(video));
        assert_eq!(sets.update(&[SPS_98, PPS]), None, "nothing is new");
        let other = [PPS, &[0x55]].concat();
        let config = sets.update(&[other.as_slice()]).unwrap();
        let sets: Vec<&[u8]> = config.parameter_sets().collect();
        assert_eq!(sets, [SPS_98, &other]);
    }

    #[test]
    fn of_two_sets_with_one_id_the_later_counts_and_nothing_changes_again() {
        let mut sets = ParameterSets::new(Codec::H264);
        let (other, second) = ([PPS, &[0x55]].concat(), [0x68, 0x4e, 0x03]);
        let units = [SPS_98, PPS, &second, &other];
        let config = sets.update(&units).unwrap();
        let known: Vec<&[u8]> = config.parameter_sets().collect();
        assert_eq!(known, [SPS_98, &second, &other]);
        assert_eq!(sets.update(&units), None);
    }

    #[test]
    fn a_flood_of_sets_is_forgotten_but_for_the_last() {
        let mut sets = ParameterSets::new(Codec::H264);
        sets.update(&[SPS_98]);
        // `pic_parameter_set_id` from 64 on: ten bits of Golomb code with six zeros in front.
        for id in 0..200_u8 {
            let value = u16::from(id) + 64 + 1;
            let [high, low] = (value << 2).to_be_bytes();
            sets.update(&[[0x68, high, low, 0x80]]);
            assert!(sets.sets.len() <= MAX_SETS);
        }
        assert!(sets.sets.len() > 1);
    }
}
