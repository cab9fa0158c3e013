//! H.264 (RFC 6184): single NAL units, STAP-A, FU-A and FU-B.

use super::PayloadInfo;
use super::descriptor::Reader;
use sluice_media::H264Sps;

pub(super) fn inspect(payload: &[u8]) -> Option<PayloadInfo> {
    let (&header, body) = payload.split_first()?;
    if header & FORBIDDEN != 0 {
        return None;
    }
    let mut info = PayloadInfo::default();
    match header & TYPE {
        STAP_A => aggregate(body, &mut info),
        FU_A | FU_B => {
            let (&fragment, body) = body.split_first()?;
            // The decoding order number stands only in the first fragment, and FU-B is only the first.
            let body = if header & TYPE == FU_B {
                body.get(2..)?
            } else {
                body
            };
            unit(fragment & TYPE, fragment & FU_START != 0, body, &mut info);
        }
        kind @ 1..STAP_A => unit(kind, true, body, &mut info),
        // STAP-B and MTAP belong to the interleaved mode, which nothing in WebRTC negotiates.
        _ => return None,
    }
    // An aggregate carries the highest `nal_ref_idc` of its units, a fragment that of its whole unit.
    info.discardable &= header & REF_IDC == 0;
    Some(info)
}

/// RFC 6184 §5.7.1. Only the first unit can begin the frame.
fn aggregate(body: &[u8], info: &mut PayloadInfo) {
    let mut reader = Reader::new(body);
    let mut starts_frame = None;
    while let Some(nal) = reader
        .number()
        .and_then(|size| reader.take(usize::from(size)))
    {
        let Some((&header, body)) = nal.split_first() else {
            continue;
        };
        unit(header & TYPE, true, body, info);
        starts_frame.get_or_insert(info.starts_frame);
    }
    info.starts_frame = starts_frame.unwrap_or_default();
}

/// Adds what a unit of this type says; `whole` is whether `body` begins right behind the unit's header.
fn unit(kind: u8, whole: bool, body: &[u8], info: &mut PayloadInfo) {
    // `first_mb_in_slice` is 0, and `ue(0)` is the single bit 1.
    let first_slice = whole && body.first().is_some_and(|byte| byte & 0x80 != 0);
    match kind {
        SLICE | PARTITION_A => {
            info.starts_frame |= first_slice;
            info.discardable = true;
        }
        PARTITION_B | PARTITION_C => info.discardable = true,
        IDR => {
            info.keyframe = true;
            info.starts_frame |= first_slice;
            info.starts_keyframe |= first_slice;
        }
        SPS => {
            info.keyframe = true;
            info.starts_frame |= whole;
            info.starts_keyframe |= whole;
            if whole {
                info.resolution = H264Sps::parse(body)
                    .map(|sps| (sps.width, sps.height))
                    .or(info.resolution);
            }
        }
        PPS => info.keyframe = true,
        SEI | DELIMITER => info.starts_frame |= whole,
        _ => {}
    }
}

const FORBIDDEN: u8 = 0x80;
const REF_IDC: u8 = 0x60;
const TYPE: u8 = 0x1f;
const FU_START: u8 = 0x80;

const SLICE: u8 = 1;
const PARTITION_A: u8 = 2;
const PARTITION_B: u8 = 3;
const PARTITION_C: u8 = 4;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_B: u8 = 29;
