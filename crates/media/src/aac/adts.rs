//! ADTS: AAC access units behind a header of their own (ISO/IEC 14496-3 §1.A.3.2).

use std::mem;

use bytes::Bytes;

use super::{AudioSpecificConfig, SAMPLE_RATES, channels_of, sample_rate_index};

/// The header of an ADTS frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdtsHeader {
    /// What the frame is coded with. Spectral band replication is never told here.
    pub config: AudioSpecificConfig,
    /// Bytes of the header: 7, or 9 with a checksum.
    pub header_bytes: u8,
    /// Bytes of header and access unit together, at most 8191.
    pub frame_bytes: u16,
}

impl AdtsHeader {
    /// Reads the header at the start of `bytes`. `None` when there is none, when the frame would have no access unit,
    /// more than one (their borders are not told), or channels that only a program config element in it tells.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (
            &[
                sync,
                kind,
                format,
                length_high,
                length_mid,
                length_low,
                blocks,
            ],
            _,
        ) = bytes.split_first_chunk()?;
        // Sync word of twelve bits, layer 0; the version before it says MPEG-2 or MPEG-4 and means nothing else.
        if sync != 0xff || kind & 0xf6 != 0xf0 || blocks & 0x03 != 0 {
            return None;
        }
        let sample_rate = *SAMPLE_RATES.get(usize::from(format >> 2 & 0x0f))?;
        let channel_configuration = (format & 0x01) << 2 | length_high >> 6;
        let header_bytes = if kind & 0x01 == 0 { 9 } else { 7 };
        let [high, low] = [length_high & 0x03, length_mid];
        let frame_bytes = u16::from_be_bytes([high, low]) << 3 | u16::from(length_low >> 5);
        if frame_bytes <= u16::from(header_bytes) {
            return None;
        }
        Some(Self {
            config: AudioSpecificConfig {
                object_type: (format >> 6).saturating_add(1),
                sample_rate,
                channel_configuration,
                channels: channels_of(channel_configuration)?,
                sbr_sample_rate: None,
                parametric_stereo: false,
                short_frames: false,
            },
            header_bytes,
            frame_bytes,
        })
    }
}

/// The seven bytes in front of an access unit of `payload_bytes`, without checksum. `None` when ADTS cannot say it: an
/// object type above 4, a rate without an index, a channel configuration of 0 or above 7, more than 8184 bytes. A
/// decoder finds spectral band replication by itself.
pub fn adts_header(config: &AudioSpecificConfig, payload_bytes: usize) -> Option<[u8; 7]> {
    let profile = config.object_type.checked_sub(1).filter(|kind| *kind < 4)?;
    let rate = sample_rate_index(config.sample_rate)?;
    let channels = config.channel_configuration;
    if !(1..8).contains(&channels) || config.short_frames {
        return None;
    }
    let frame = payload_bytes.checked_add(HEADER)?;
    let frame = u16::try_from(frame).ok().filter(|frame| *frame < 1 << 13)?;
    let [length_high, length_mid] = (frame >> 3).to_be_bytes();
    let length_low = u8::try_from(frame & 0x07).ok()?;
    Some([
        0xff,
        0xf1, // MPEG-4, no checksum
        profile << 6 | rate << 2 | channels >> 2,
        (channels & 0x03) << 6 | length_high,
        length_mid,
        length_low << 5 | 0x1f,
        0xfc, // a fullness of all ones: variable bit rate; one access unit
    ])
}

/// An access unit taken out of ADTS.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdtsUnit {
    /// What its header said.
    pub config: AudioSpecificConfig,
    /// The raw access unit, the form of [`Frame::data`](crate::Frame::data).
    pub data: Bytes,
}

/// Cuts an ADTS stream, as it comes from a pipe or a PES packet, into access units.
///
/// The first header is taken at its word where the stream begins with one. After anything else a header counts only
/// when another like it stands where its frame ends, or the stream ends there: the sync word may occur in coded sound.
/// It keeps less than two frames (16 KiB) beyond the bytes it is given.
#[derive(Debug)]
pub struct AdtsSplitter {
    pending: Vec<u8>,
    in_sync: bool,
    skipped: u64,
}

impl Default for AdtsSplitter {
    fn default() -> Self {
        Self::new()
    }
}

impl AdtsSplitter {
    /// At the beginning of a stream.
    pub const fn new() -> Self {
        Self {
            pending: Vec::new(),
            in_sync: true,
            skipped: 0,
        }
    }

    /// Takes the next bytes, cut anywhere, and gives the access units that ended in them.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Vec<AdtsUnit> {
        self.read(bytes, false)
    }

    /// The stream, or the packet, ended: gives an access unit that could not be trusted before. Bytes of a frame that
    /// is not whole are skipped. The splitter is at the beginning of a stream then.
    #[must_use]
    pub fn finish(&mut self) -> Vec<AdtsUnit> {
        let done = self.read(&[], true);
        self.in_sync = true;
        done
    }

    /// Bytes that belonged to no frame.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn read(&mut self, bytes: &[u8], ended: bool) -> Vec<AdtsUnit> {
        let mut pending = mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let mut rest = pending.as_slice();
        let mut done = Vec::new();
        loop {
            match look(rest, self.in_sync, ended) {
                Found::Unit(unit, after) => {
                    done.push(unit);
                    self.in_sync = true;
                    rest = after;
                }
                Found::Nothing => {
                    let Some((_, after)) = rest.split_first() else {
                        break;
                    };
                    self.in_sync = false;
                    self.skipped = self.skipped.saturating_add(1);
                    rest = after;
                }
                Found::TooFew => break,
            }
        }
        self.pending = rest.to_vec();
        done
    }
}

enum Found<'a> {
    Unit(AdtsUnit, &'a [u8]),
    /// No frame begins here.
    Nothing,
    TooFew,
}

fn look(bytes: &[u8], in_sync: bool, ended: bool) -> Found<'_> {
    if bytes.len() < HEADER && !ended {
        return Found::TooFew;
    }
    let Some(header) = AdtsHeader::parse(bytes) else {
        return Found::Nothing;
    };
    let Some((frame, after)) = bytes.split_at_checked(header.frame_bytes.into()) else {
        return if ended { Found::Nothing } else { Found::TooFew };
    };
    let at_end = ended && after.is_empty();
    if !in_sync && !at_end {
        if after.len() < HEADER && !ended {
            return Found::TooFew;
        }
        let next = AdtsHeader::parse(after);
        if next.is_none_or(|next| next.config != header.config) {
            return Found::Nothing;
        }
    }
    let data = frame.get(header.header_bytes.into()..).unwrap_or_default();
    let unit = AdtsUnit {
        config: header.config,
        data: Bytes::copy_from_slice(data),
    };
    Found::Unit(unit, after)
}

/// Bytes of a header without checksum.
const HEADER: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(config: &AudioSpecificConfig, payload: &[u8]) -> Vec<u8> {
        let header = adts_header(config, payload.len()).unwrap();
        [&header, payload].concat()
    }

    fn stereo() -> AudioSpecificConfig {
        AudioSpecificConfig::low_complexity(44_100, 2).unwrap()
    }

    #[test]
    fn a_header_reads_back() {
        for rate in SAMPLE_RATES {
            for channels in [1, 2, 3, 4, 5, 6, 8] {
                let config = AudioSpecificConfig::low_complexity(rate, channels).unwrap();
                for payload in [1, 8_184] {
                    let header = AdtsHeader::parse(&adts_header(&config, payload).unwrap());
                    let header = header.unwrap();
                    assert_eq!(header.config, config);
                    assert_eq!(usize::from(header.frame_bytes), payload + 7);
                }
            }
        }
        assert_eq!(adts_header(&stereo(), 8_185), None);
        let odd = AudioSpecificConfig::low_complexity(44_101, 2).unwrap();
        assert_eq!(adts_header(&odd, 1), None);
    }

    #[test]
    fn units_come_out_however_the_stream_is_cut() {
        let stream = [b"one".as_slice(), b"second", b"\xff\xf1third"]
            .map(|payload| frame(&stereo(), payload))
            .concat();
        for size in 1..stream.len() {
            let mut splitter = AdtsSplitter::new();
            let mut units = Vec::new();
            for chunk in stream.chunks(size) {
                units.extend(splitter.push(chunk));
            }
            units.extend(splitter.finish());
            let data: Vec<&[u8]> = units.iter().map(|unit| unit.data.as_ref()).collect();
            assert_eq!(data, [b"one".as_slice(), b"second", b"\xff\xf1third"]);
            assert_eq!(splitter.skipped(), 0);
        }
    }

    #[test]
    fn a_sync_word_in_coded_sound_is_not_taken_for_a_header() {
        // Joined in the middle of a frame whose sound looks like a header.
        let fake = frame(&stereo(), &[7; 20]);
        let good = frame(&stereo(), b"good");
        let stream = [&fake[..12], &good, &good, &good].concat();
        let mut splitter = AdtsSplitter::new();
        let _ = splitter.push(b"noise");
        let mut units = splitter.push(&stream);
        units.extend(splitter.finish());
        assert_eq!(units.len(), 3);
        assert!(units.iter().all(|unit| unit.data == b"good".as_slice()));
        assert_eq!(splitter.skipped(), 5 + 12);
    }

    #[test]
    fn a_frame_that_is_not_whole_is_skipped_at_the_end() {
        let mut splitter = AdtsSplitter::new();
        let stream = frame(&stereo(), b"whole");
        assert_eq!(splitter.push(&stream[..stream.len() - 1]), []);
        assert_eq!(splitter.finish(), []);
        assert_eq!(splitter.skipped(), 11);
        assert_eq!(splitter.push(&stream).len(), 1, "as new");
    }

    #[test]
    fn a_checksum_is_not_sound() {
        let mut stream = frame(&stereo(), b"..sound");
        stream[1] = 0xf0;
        let units = AdtsSplitter::new().push(&stream);
        assert_eq!(units[0].data, b"sound".as_slice());
    }
}
