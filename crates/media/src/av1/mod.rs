//! AV1: open bitstream units (OBU) and what they say.

mod obu;
mod record;
mod sequence;

pub use obu::{Av1Obu, Av1Obus, av1_from_low_overhead, av1_to_low_overhead};
pub(crate) use record::{Av1Record, build_record, parse_record, sequence_headers};
pub(crate) use sequence::SequenceHeader;

use crate::{Codec, CodecConfig, Parameters};

/// What a temporal unit says: whether it begins with a shown key frame (§7.6.1 asks for that), its configuration,
/// and whether it has the form of our frames.
pub(crate) fn inspect(data: &[u8]) -> (bool, bool, Option<CodecConfig>) {
    let mut obus = Av1Obus::new(data);
    let (mut keyframe, mut config, mut sized) = (None, None, true);
    let mut reduced = false;
    for obu in &mut obus {
        sized &= obu.has_size() && obu.kind() != TEMPORAL_DELIMITER;
        match obu.kind() {
            SEQUENCE_HEADER if config.is_none() => {
                let header = SequenceHeader::parse(obu.body());
                reduced = header.is_some_and(|header| header.reduced_still_picture);
                config = header.and_then(|header| configuration(&header, &obu));
            }
            FRAME_HEADER | FRAME if keyframe.is_none() => {
                // show_existing_frame 0, frame_type KEY_FRAME, show_frame 1 (§5.9.2); a reduced header implies them.
                let first = obu.body().first();
                keyframe = Some(reduced || first.is_some_and(|byte| byte & 0xf0 == 0x10));
            }
            _ => {}
        }
    }
    let intact = sized && obus.is_intact() && !data.is_empty();
    (keyframe.unwrap_or_default(), intact, config)
}

fn configuration(header: &SequenceHeader, obu: &Av1Obu<'_>) -> Option<CodecConfig> {
    let record = record::write(header, obu).ok()?;
    Some(CodecConfig {
        codec: Codec::Av1,
        record,
        parameters: Parameters::Video(header.parameters()),
    })
}

pub(crate) const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;
