//! AV1 (AOM "RTP Payload Format for AV1" 1.0): the aggregation header and the OBUs that begin in a packet.

use super::PayloadInfo;
use super::descriptor::Reader;
use sluice_media::Bits;

pub(super) fn inspect(payload: &[u8]) -> Option<PayloadInfo> {
    let mut reader = Reader::new(payload);
    let aggregation = reader.byte()?;
    let continues = aggregation & 0x80 != 0;
    let starts_sequence = aggregation & 0x08 != 0;
    if continues && starts_sequence {
        // §4.4: a packet that begins a sequence cannot go on with an OBU.
        return None;
    }
    let mut info = PayloadInfo::default();
    let mut sequence_header = false;
    let mut layers = None;
    let elements = Elements {
        reader,
        left: aggregation >> 4 & 0x03,
        counted: aggregation & 0x30 != 0,
    };
    for (index, element) in elements.enumerate() {
        if index == 0 && continues {
            continue;
        }
        let Some(obu) = Obu::parse(element) else {
            continue;
        };
        info.starts_frame |= index == 0 && obu.begins_frame();
        if obu.kind == SEQUENCE_HEADER {
            sequence_header = true;
            info.resolution = resolution(obu.body).or(info.resolution);
        }
        info.keyframe |= obu.is_key_frame();
        layers = layers.or(obu.layers);
    }
    (info.temporal, info.spatial) = layers.unwrap_or_default();
    info.starts_keyframe = starts_sequence && sequence_header;
    info.keyframe |= info.starts_keyframe;
    Some(info)
}

/// The OBU elements of a packet (§4.3): each with its length in front, but for the last when they are counted.
struct Elements<'a> {
    reader: Reader<'a>,
    left: u8,
    counted: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.counted {
            self.left = self.left.checked_sub(1)?;
            if self.left == 0 {
                return Some(self.reader.rest());
            }
        }
        let length = leb128(&mut self.reader)?;
        self.reader.take(length)
    }
}

struct Obu<'a> {
    kind: u8,
    /// Temporal and spatial id, when the header has its extension.
    layers: Option<(u8, u8)>,
    body: &'a [u8],
}

impl<'a> Obu<'a> {
    /// AV1 §5.3.
    fn parse(element: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(element);
        let header = reader.byte()?;
        if header & 0x80 != 0 {
            return None;
        }
        let layers = if header & 0x04 != 0 {
            let extension = reader.byte()?;
            Some((extension >> 5, extension >> 3 & 0x03))
        } else {
            None
        };
        if header & 0x02 != 0 {
            leb128(&mut reader)?;
        }
        Some(Self {
            kind: header >> 3 & 0x0f,
            layers,
            body: reader.rest(),
        })
    }

    /// A frame's first OBU is one of these; its later ones are tile groups.
    const fn begins_frame(&self) -> bool {
        matches!(
            self.kind,
            SEQUENCE_HEADER | TEMPORAL_DELIMITER | FRAME_HEADER | METADATA | FRAME
        )
    }

    /// `show_existing_frame` 0 and `frame_type` `KEY_FRAME` (AV1 §5.9.2); not asked of still pictures.
    fn is_key_frame(&self) -> bool {
        matches!(self.kind, FRAME | FRAME_HEADER)
            && self.body.first().is_some_and(|byte| byte & 0xe0 == 0)
    }
}

/// AV1 §4.10.5: at most eight bytes, some of them padding when a muxer reserved the room.
fn leb128(reader: &mut Reader<'_>) -> Option<usize> {
    let mut value = 0_u64;
    for shift in [0, 7, 14, 21, 28, 35, 42, 49] {
        let byte = reader.byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

/// `max_frame_width` and `max_frame_height` of a sequence header (AV1 §5.5.1).
fn resolution(body: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(body);
    bits.skip(4)?; // seq_profile, still_picture
    let reduced = bits.flag()?;
    if reduced {
        bits.skip(5)?; // seq_level_idx
    } else {
        skip_operating_points(&mut bits)?;
    }
    let width_bits = bits.number(4)?.checked_add(1)?;
    let height_bits = bits.number(4)?.checked_add(1)?;
    let mut size = |width| u16::try_from(bits.number(width)?.checked_add(1)?).ok();
    Some((size(width_bits)?, size(height_bits)?))
}

fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?; // num_units_in_display_tick, time_scale
        if bits.flag()? {
            bits.unsigned_golomb()?; // num_ticks_per_picture_minus_1
        }
        if bits.flag()? {
            delay_bits = Some(bits.number(5)?.checked_add(1)?);
            bits.skip(42)?; // num_units_in_decoding_tick and two lengths
        }
    }
    let display_delay = bits.flag()?;
    for _ in 0..=bits.number(5)? {
        bits.skip(12)?; // operating_point_idc
        if bits.number(5)? > 7 {
            bits.skip(1)?; // seq_tier
        }
        if let Some(width) = delay_bits
            && bits.flag()?
        {
            bits.skip(width)?; // decoder_buffer_delay
            bits.skip(width)?; // encoder_buffer_delay
            bits.skip(1)?; // low_delay_mode_flag
        }
        if display_delay && bits.flag()? {
            bits.skip(4)?; // initial_display_delay_minus_1
        }
    }
    Some(())
}

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const METADATA: u8 = 5;
const FRAME: u8 = 6;
