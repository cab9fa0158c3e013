//! Supplemental enhancement information (H.264 §7.3.2.3 and annex D, H.265 §7.3.2.4 and annex D).

use crate::Bits;

/// The body of the first message of this type behind the NAL unit header, with what follows it.
fn find(body: &[u8], wanted: u32) -> Option<Bits<'_>> {
    let mut bits = Bits::of_nal(body);
    loop {
        let kind = coded(&mut bits)?;
        let size = coded(&mut bits)?;
        if kind == wanted {
            return Some(bits);
        }
        bits.skip(size.checked_mul(8)?)?;
    }
}

/// How many frames after this one pictures are right for a decoder that begins here: `recovery_frame_cnt` of H.264
/// (§D.2.8).
pub(crate) fn h264_recovery_point(body: &[u8]) -> Option<u32> {
    find(body, RECOVERY_POINT)?.unsigned_golomb()
}

/// The same of H.265, `recovery_poc_cnt` (§D.3.8); one that lies before this picture counts as 0.
pub(crate) fn h265_recovery_point(body: &[u8]) -> Option<u32> {
    let pictures = find(body, RECOVERY_POINT)?.signed_golomb()?;
    Some(u32::try_from(pictures).unwrap_or_default())
}

/// A type or a size: bytes of 255, then the rest.
fn coded(bits: &mut Bits<'_>) -> Option<u32> {
    let mut value = 0_u32;
    loop {
        let byte = bits.number(8)?;
        value = value.checked_add(byte)?;
        if byte < 255 {
            return Some(value);
        }
    }
}

const RECOVERY_POINT: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recovery_point_is_found_behind_other_messages() {
        // Type 5 of 257 bytes, then type 6 of one byte: ue(4), two flags.
        let mut body = vec![5, 255, 2];
        body.extend([7; 257]);
        body.extend([6, 1, 0b0010_1000, 0x80]);
        assert_eq!(h264_recovery_point(&body), Some(4));
        assert_eq!(h265_recovery_point(&body), Some(0), "se(4) is -2");
        assert_eq!(h264_recovery_point(&body[..200]), None);
        assert_eq!(h264_recovery_point(&[1, 1, 0, 0x80]), None);
        assert_eq!(h264_recovery_point(&[255; 9]), None);
    }
}
