//! Makes well-formed RTP payloads without a codec: descriptors and headers are real, pictures are not.

use crate::rng::Rng;
use crate::stamp::{LENGTH, Stamp};

/// What is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// RFC 7587.
    Opus,
    /// RFC 7741, with this many temporal layers: 1, 2 or 3.
    Vp8(u8),
    /// RFC 9628, non-flexible mode, with this many temporal layers.
    Vp9(u8),
    /// RFC 6184, packetization mode 1.
    H264,
    /// AOM RTP payload format.
    Av1,
}

impl Format {
    /// The codec as str0m names it.
    pub const fn codec(self) -> str0m::format::Codec {
        match self {
            Self::Opus => str0m::format::Codec::Opus,
            Self::Vp8(_) => str0m::format::Codec::Vp8,
            Self::Vp9(_) => str0m::format::Codec::Vp9,
            Self::H264 => str0m::format::Codec::H264,
            Self::Av1 => str0m::format::Codec::Av1,
        }
    }

    /// Ticks a second.
    pub const fn clock_rate(self) -> u32 {
        if matches!(self, Self::Opus) {
            48_000
        } else {
            90_000
        }
    }

    const fn temporal_layers(self) -> u8 {
        match self {
            Self::Vp8(layers) | Self::Vp9(layers) => layers,
            _ => 1,
        }
    }
}

/// One RTP payload to send.
#[derive(Debug)]
pub struct Encoded {
    /// RTP sequence number, extended.
    pub sequence: u64,
    /// RTP timestamp.
    pub time: u32,
    /// The RTP marker.
    pub marker: bool,
    /// The bytes.
    pub payload: Vec<u8>,
    /// What it says about itself.
    pub stamp: Stamp,
}

/// One encoding: a layer of a track, or a microphone.
#[derive(Debug)]
pub struct Encoder {
    /// Unique in a run.
    pub id: u32,
    format: Format,
    size: (u16, u16),
    /// Mean bytes of a delta frame.
    frame_bytes: u64,
    rng: Rng,
    frame: u32,
    packet: u32,
    first_sequence: u64,
    time: u32,
    picture_id: u16,
    tl0: u8,
    key_index: u8,
    key_wanted: bool,
    /// Place in the temporal pattern, restarted at each keyframe.
    pattern: usize,
}

impl Encoder {
    /// An encoder whose delta frames have `frame_bytes` on average.
    pub fn new(id: u32, format: Format, size: (u16, u16), frame_bytes: u64, mut rng: Rng) -> Self {
        let first_sequence = rng.range(1, 0x7fff);
        let time = u32::try_from(rng.next() >> 32).unwrap_or_default();
        // Close below the wrap: a run of seconds shall see it.
        let picture_id = u16::try_from(0x7fff - rng.range(0, 200)).unwrap_or_default();
        let tl0 = u8::try_from(rng.range(0, 256)).unwrap_or_default();
        Self {
            id,
            format,
            size,
            frame_bytes,
            rng,
            frame: 0,
            packet: 0,
            first_sequence,
            time,
            picture_id,
            tl0,
            key_index: 0,
            key_wanted: true,
            pattern: 0,
        }
    }

    /// Another encoder of the same picture, with numbers of its own.
    #[must_use]
    pub fn successor(&self, id: u32, rng: Rng) -> Self {
        Self::new(id, self.format, self.size, self.frame_bytes, rng)
    }

    /// The format it makes.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The next frame is a keyframe.
    pub const fn request_keyframe(&mut self) {
        self.key_wanted = true;
    }

    /// Time passes without a frame: a muted source's clock goes on.
    pub const fn skip(&mut self, ticks: u32) {
        self.time = self.time.wrapping_add(ticks);
    }

    /// The next frame, `ticks` after the one before.
    pub fn encode(&mut self, ticks: u32) -> Vec<Encoded> {
        self.time = self.time.wrapping_add(ticks);
        let keyframe = std::mem::take(&mut self.key_wanted) || self.format == Format::Opus;
        if keyframe {
            self.pattern = 0;
            self.key_index = self.key_index.wrapping_add(1) & 0x1f;
        }
        let temporal = self.temporal();
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7fff;
        let bytes = self.draw_bytes(keyframe);
        let count = bytes.div_ceil(MAX_BODY).clamp(1, 64);
        let body = usize::try_from(bytes / count).unwrap_or(100).max(LENGTH);
        let count = u8::try_from(count).unwrap_or(64);
        let packets = (0..count)
            .map(|index| {
                let stamp = Stamp {
                    encoder: self.id,
                    frame: self.frame,
                    packet: self.packet + u32::from(index),
                    index,
                    count,
                    keyframe,
                    temporal,
                };
                let mut payload = Vec::with_capacity(body + 64);
                self.head(stamp, &mut payload);
                payload.resize(payload.len() + body - LENGTH, 0xa5);
                stamp.write(&mut payload);
                Encoded {
                    sequence: self.first_sequence + u64::from(stamp.packet),
                    time: self.time,
                    marker: self.format != Format::Opus && index + 1 == count,
                    payload,
                    stamp,
                }
            })
            .collect();
        self.frame += 1;
        self.packet += u32::from(count);
        self.pattern += 1;
        packets
    }

    fn draw_bytes(&mut self, keyframe: bool) -> u64 {
        if self.format == Format::Opus {
            return self.rng.range(40, 160);
        }
        let mean = if keyframe {
            self.frame_bytes * 4
        } else {
            self.frame_bytes
        };
        self.rng.range(mean / 2, mean * 3 / 2)
    }

    fn temporal(&self) -> u8 {
        let pattern: &[u8] = match self.format.temporal_layers() {
            2 => &[0, 1],
            3 => &[0, 2, 1, 2],
            _ => &[0],
        };
        pattern[self.pattern % pattern.len()]
    }

    fn head(&self, stamp: Stamp, out: &mut Vec<u8>) {
        match self.format {
            Format::Opus => out.push(0x78),
            Format::Vp8(_) => self.vp8(stamp, out),
            Format::Vp9(_) => self.vp9(stamp, out),
            Format::H264 => self.h264(stamp, out),
            Format::Av1 => self.av1(stamp, out),
        }
    }

    /// RFC 7741 §4.2 with a 15-bit picture id, `TL0PICIDX`, TID and KEYIDX.
    fn vp8(&self, stamp: Stamp, out: &mut Vec<u8>) {
        let first = stamp.index == 0;
        let [high, low] = self.picture_id.to_be_bytes();
        let discardable = u8::from(self.format.temporal_layers() > 1 && stamp.temporal > 1) << 5;
        out.extend_from_slice(&[
            0x80 | discardable | u8::from(first) << 4,
            0xf0,
            0x80 | high,
            low,
            self.tl0,
            stamp.temporal << 6 | u8::from(stamp.temporal > 0) << 5 | self.key_index,
        ]);
        if !first {
            return;
        }
        out.extend_from_slice(&[u8::from(!stamp.keyframe), 0, 0]);
        if stamp.keyframe {
            out.extend_from_slice(&[0x9d, 0x01, 0x2a]);
            out.extend_from_slice(&self.size.0.to_le_bytes());
            out.extend_from_slice(&self.size.1.to_le_bytes());
        }
    }

    /// RFC 9628 §4.2, non-flexible.
    fn vp9(&self, stamp: Stamp, out: &mut Vec<u8>) {
        let (first, last) = (stamp.index == 0, stamp.index + 1 == stamp.count);
        let structure = stamp.keyframe && first;
        let [high, low] = self.picture_id.to_be_bytes();
        out.extend_from_slice(&[
            0x80 | 0x20
                | u8::from(!stamp.keyframe) << 6
                | u8::from(first) << 3
                | u8::from(last) << 2
                | u8::from(structure) << 1,
            0x80 | high,
            low,
            stamp.temporal << 5 | u8::from(stamp.temporal > 0) << 4,
            self.tl0,
        ]);
        if structure {
            out.push(0x10);
            out.extend_from_slice(&self.size.0.to_be_bytes());
            out.extend_from_slice(&self.size.1.to_be_bytes());
        }
    }

    /// Parameter sets in a STAP-A of their own (RFC 6184 §5.7.1), the picture as FU-A or whole.
    fn h264(&self, stamp: Stamp, out: &mut Vec<u8>) {
        let kind = if stamp.keyframe { 5 } else { 1 };
        if stamp.keyframe && stamp.count > 1 {
            if stamp.index == 0 {
                out.push(0x18 | 0x60);
                for unit in [sps(self.size), vec![0x68, 0xce, 0x3c, 0x80]] {
                    out.extend_from_slice(&u16::try_from(unit.len()).unwrap_or(0).to_be_bytes());
                    out.extend_from_slice(&unit);
                }
                // The rest of the packet is an SEI of unknown content.
                let rest = u16::MAX;
                out.extend_from_slice(&rest.to_be_bytes());
                return;
            }
            if stamp.count > 2 {
                let (start, end) = (stamp.index == 1, stamp.index + 1 == stamp.count);
                fragment(kind, start, end, out);
            } else {
                out.extend_from_slice(&[0x60 | kind, 0x88]);
            }
        } else if stamp.keyframe {
            out.push(0x18 | 0x60);
            for unit in [
                sps(self.size),
                vec![0x68, 0xce, 0x3c, 0x80],
                vec![0x65, 0x88, 1, 2],
            ] {
                out.extend_from_slice(&u16::try_from(unit.len()).unwrap_or(0).to_be_bytes());
                out.extend_from_slice(&unit);
            }
            out.extend_from_slice(&u16::MAX.to_be_bytes());
        } else if stamp.count > 1 {
            let (start, end) = (stamp.index == 0, stamp.index + 1 == stamp.count);
            fragment(kind, start, end, out);
        } else {
            out.extend_from_slice(&[0x60 | kind, 0x88]);
        }
    }

    /// One OBU cut over the packets; a keyframe begins with a sequence header (§4.4: `N`).
    fn av1(&self, stamp: Stamp, out: &mut Vec<u8>) {
        let (first, last) = (stamp.index == 0, stamp.index + 1 == stamp.count);
        let begins = first && stamp.keyframe;
        let elements = if begins { 0x20 } else { 0x10 };
        out.push(u8::from(!first) << 7 | u8::from(!last) << 6 | elements | u8::from(begins) << 3);
        if begins {
            let header = sequence_header(self.size);
            out.push(u8::try_from(header.len()).unwrap_or(0));
            out.extend_from_slice(&header);
        }
        if first {
            out.extend_from_slice(&[6 << 3, if stamp.keyframe { 0x10 } else { 0x30 }]);
        }
    }
}

fn fragment(kind: u8, start: bool, end: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&[
        0x60 | 0x1c,
        u8::from(start) << 7 | u8::from(end) << 6 | kind,
    ]);
    if start {
        out.push(0x88);
    }
}

/// A baseline sequence parameter set (H.264 §7.3.2.1.1).
fn sps((width, height): (u16, u16)) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.number(0x67, 8);
    bits.number(66, 8);
    bits.number(0xc0, 8);
    bits.number(31, 8);
    for value in [0, 0, 2, 1] {
        bits.golomb(value);
    }
    bits.number(0, 1);
    bits.golomb(u32::from(width / 16) - 1);
    bits.golomb(u32::from(height / 16) - 1);
    // frame_mbs_only, direct_8x8_inference, no cropping, no VUI, stop bit
    bits.number(0b11001, 5);
    bits.bytes()
}

/// A reduced sequence header (AV1 §5.5.1).
fn sequence_header((width, height): (u16, u16)) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.number(1 << 3, 8);
    bits.number(0b0_0011, 5);
    bits.number(0, 5);
    bits.number(15, 4);
    bits.number(15, 4);
    bits.number(u32::from(width) - 1, 16);
    bits.number(u32::from(height) - 1, 16);
    bits.bytes()
}

#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn number(&mut self, value: u32, width: u32) {
        for bit in (0..width).rev() {
            self.0.push(value >> bit & 1 != 0);
        }
    }

    fn golomb(&mut self, value: u32) {
        let width = 32 - (value + 1).leading_zeros();
        self.number(0, width - 1);
        self.number(value + 1, width);
    }

    fn bytes(self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|chunk| {
                (0..8).fold(0, |byte, i| {
                    byte << 1 | u8::from(chunk.get(i).copied().unwrap_or(false))
                })
            })
            .collect()
    }
}

const MAX_BODY: u64 = 1100;

#[cfg(test)]
mod tests {
    use sluice_rtp::payload;

    use super::*;

    #[test]
    fn what_it_makes_is_what_the_parsers_read() {
        for format in [Format::Vp8(3), Format::Vp9(2), Format::H264, Format::Av1] {
            let codec = sluice_media::Codec::from_name(&format.codec().to_string()).unwrap();
            let mut encoder = Encoder::new(1, format, (640, 352), 2500, Rng::new(3));
            for frame in 0..20 {
                if frame == 10 {
                    encoder.request_keyframe();
                }
                let packets = encoder.encode(3000);
                for packet in &packets {
                    let info = payload::inspect(codec, &packet.payload);
                    let first = packet.stamp.index == 0;
                    let key = frame % 10 == 0;
                    // An IDR's own start claims it too, behind its parameter sets.
                    if format != Format::H264 || !key {
                        assert_eq!(info.starts_keyframe, first && key, "{format:?} {packet:?}");
                        assert_eq!(info.starts_frame, first, "{format:?} {packet:?}");
                    }
                    if first && key {
                        assert_eq!(info.resolution, Some((640, 352)), "{format:?}");
                    }
                    assert_eq!(info.temporal, packet.stamp.temporal);
                    assert_eq!(Stamp::read(&packet.payload), Some(packet.stamp));
                }
            }
        }
    }
}
