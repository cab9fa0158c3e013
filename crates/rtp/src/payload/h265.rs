//! H.265 (RFC 7798): single NAL units, aggregation and fragmentation, without decoding order numbers.

use super::PayloadInfo;
use super::descriptor::Reader;
use sluice_media::H265Sps;

pub(super) fn inspect(payload: &[u8]) -> Option<PayloadInfo> {
    let (header, body) = payload.split_first_chunk::<2>()?;
    let header = Header::parse(*header)?;
    let mut info = PayloadInfo {
        spatial: header.layer,
        temporal: header.temporal,
        ..PayloadInfo::default()
    };
    match header.kind {
        AGGREGATION => aggregate(body, &mut info),
        FRAGMENTATION => {
            let (&fragment, body) = body.split_first()?;
            unit(fragment & 0x3f, fragment & FU_START != 0, body, &mut info);
        }
        kind @ 0..AGGREGATION => unit(kind, true, body, &mut info),
        _ => return None,
    }
    info.starts_keyframe &= info.spatial == 0;
    Some(info)
}

/// The NAL unit header of RFC 7798 §1.1.4.
struct Header {
    kind: u8,
    layer: u8,
    temporal: u8,
}

impl Header {
    fn parse([first, second]: [u8; 2]) -> Option<Self> {
        // A set forbidden bit and the temporal id 0 are both malformed.
        let temporal = (second & 0x07).checked_sub(1)?;
        (first & 0x80 == 0).then_some(Self {
            kind: first >> 1,
            layer: (first & 0x01) << 5 | second >> 3,
            temporal,
        })
    }
}

/// RFC 7798 §4.4.2. Only the first unit can begin the frame.
fn aggregate(body: &[u8], info: &mut PayloadInfo) {
    let mut reader = Reader::new(body);
    let mut starts_frame = None;
    while let Some(nal) = reader
        .number()
        .and_then(|size| reader.take(usize::from(size)))
    {
        let Some((&[first, _], body)) = nal.split_first_chunk::<2>() else {
            continue;
        };
        unit(first >> 1 & 0x3f, true, body, info);
        starts_frame.get_or_insert(info.starts_frame);
    }
    info.starts_frame = starts_frame.unwrap_or_default();
}

/// Adds what a unit of this type says; `whole` is whether `body` begins right behind the unit's header.
fn unit(kind: u8, whole: bool, body: &[u8], info: &mut PayloadInfo) {
    // `first_slice_segment_in_pic_flag`.
    let first_slice = whole && body.first().is_some_and(|byte| byte & 0x80 != 0);
    match kind {
        // Below 16 the even types are the sub-layer non-reference pictures (H.265 table 7-1).
        0..IRAP_FIRST => {
            info.starts_frame |= first_slice;
            info.discardable = kind & 0x01 == 0;
            info.switching_point = (TSA_N..=STSA_R).contains(&kind);
        }
        IRAP_FIRST..=IRAP_LAST => {
            info.keyframe = true;
            info.starts_frame |= first_slice;
            info.starts_keyframe |= first_slice;
        }
        VPS | SPS => {
            info.keyframe = true;
            info.starts_frame |= whole;
            info.starts_keyframe |= whole;
            if whole && kind == SPS {
                info.resolution = H265Sps::parse(body)
                    .map(|sps| (sps.width, sps.height))
                    .or(info.resolution);
            }
        }
        PPS => info.keyframe = true,
        DELIMITER | PREFIX_SEI => info.starts_frame |= whole,
        _ => {}
    }
}

const FU_START: u8 = 0x80;

const TSA_N: u8 = 2;
const STSA_R: u8 = 5;
const IRAP_FIRST: u8 = 16;
const IRAP_LAST: u8 = 23;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const PREFIX_SEI: u8 = 39;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
