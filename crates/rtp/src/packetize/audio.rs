//! Audio that needs more than one packet to a payload: G.711 and G.722 (RFC 3551), AAC (RFC 3640).

use sluice_media::Frame;

use super::rtp_payload::Head;
use super::{PacketizeError, RtpPayload, pieces};

/// One byte is one tick of the 8 kHz clock for all three (G.722 counts half its samples, RFC 3551 §4.5.2).
pub(super) fn samples(
    frame: &Frame,
    budget: usize,
    out: &mut Vec<RtpPayload>,
) -> Result<(), PacketizeError> {
    let mut ticks = 0_usize;
    for piece in pieces(&frame.data, budget) {
        let too_large = |_| PacketizeError::TooLarge {
            bytes: frame.data.len(),
        };
        let offset = u32::try_from(ticks).map_err(too_large)?;
        ticks = ticks.saturating_add(piece.len());
        out.push(RtpPayload::whole(piece).with_ticks(offset));
    }
    Ok(())
}

/// AAC-hbr (RFC 3640 §3.3.6): a header section of 16 bits, that is one header of 13 bits size and 3 bits index 0.
/// Fragments repeat the size of the whole unit (§3.2.1.1).
pub(super) fn aac(
    frame: &Frame,
    budget: usize,
    out: &mut Vec<RtpPayload>,
) -> Result<(), PacketizeError> {
    let bytes = frame.data.len();
    let size = u16::try_from(bytes)
        .ok()
        .filter(|size| *size <= MAX_AU)
        .ok_or(PacketizeError::TooLarge { bytes })?;
    let [high, low] = (size << 3).to_be_bytes();
    let mut left = bytes;
    for piece in pieces(&frame.data, budget.saturating_sub(4)) {
        left = left.saturating_sub(piece.len());
        let head = Head::of(&[0, 16, high, low]);
        out.push(RtpPayload::new(head, piece).with_marker(left == 0));
    }
    Ok(())
}

/// 13 bits.
const MAX_AU: u16 = 0x1fff;
