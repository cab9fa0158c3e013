//! VP9: superframes and the uncompressed header (VP9 bitstream specification §7.2 and annex B).

use crate::Bits;
use crate::vpcc::UNSPECIFIED;

/// What a frame, or a superframe, says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Begins with a key frame.
    pub(crate) keyframe: bool,
    /// No frame in it is kept for reference, nor any probabilities of it.
    pub(crate) discardable: bool,
    /// Of the key frame, with the largest size that a frame of the superframe tells.
    pub(crate) format: Option<Format>,
}

/// What a key frame says of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) profile: u8,
    pub(crate) bit_depth: u8,
    /// As in [`VpRecord`](crate::vpcc::VpRecord).
    pub(crate) chroma: u8,
    pub(crate) full_range: bool,
    pub(crate) color: [u8; 3],
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// `None` when a header is malformed or the index of the superframe does not fit.
pub(crate) fn inspect(data: &[u8]) -> Option<Facts> {
    let mut facts = None::<Facts>;
    let mut largest = (0, 0);
    for frame in frames(data)? {
        let header = Header::parse(frame)?;
        let so_far = facts.get_or_insert(Facts {
            keyframe: header.format.is_some(),
            discardable: true,
            format: header.format,
        });
        so_far.discardable &= header.discardable;
        if let Some(size) = header.size {
            largest = largest.max(size);
        }
        if let Some(format) = &mut so_far.format {
            (format.width, format.height) = largest;
        }
    }
    facts
}

/// The frames of a superframe (annex B), or the one frame. Frames of no size are passed over.
fn frames(data: &[u8]) -> Option<Vec<&[u8]>> {
    let (&marker, _) = data.split_last()?;
    let single = Some(vec![data]);
    if marker & 0xe0 != 0xc0 {
        return single;
    }
    let count = usize::from(marker & 0x07).checked_add(1)?;
    let size_bytes = usize::from(marker >> 3 & 0x03).checked_add(1)?;
    let index_size = size_bytes.checked_mul(count)?.checked_add(2)?;
    let Some((body, index)) = data
        .len()
        .checked_sub(index_size)
        .and_then(|at| data.split_at_checked(at))
    else {
        return single;
    };
    // A frame may end in a byte like the marker; an index has it at both ends.
    if index.first() != Some(&marker) {
        return single;
    }
    let sizes = index.get(1..)?.chunks_exact(size_bytes).take(count);
    let mut rest = body;
    let mut frames = Vec::with_capacity(count);
    for size in sizes {
        let size = size
            .iter()
            .rev()
            .fold(0_usize, |size, byte| size << 8 | usize::from(*byte));
        let (frame, after) = rest.split_at_checked(size)?;
        rest = after;
        if !frame.is_empty() {
            frames.push(frame);
        }
    }
    Some(frames)
}

struct Header {
    discardable: bool,
    /// Of a key frame.
    format: Option<Format>,
    /// Where the frame tells it itself.
    size: Option<(u32, u32)>,
}

impl Header {
    /// §7.2 as far as the probabilities' fate.
    fn parse(frame: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(frame);
        if bits.number(2)? != 2 {
            return None;
        }
        let profile = u8::from(bits.flag()?) | u8::from(bits.flag()?) << 1;
        if profile == 3 && bits.flag()? {
            return None;
        }
        if bits.flag()? {
            // `show_existing_frame` shows again and changes nothing.
            return Some(Self {
                discardable: true,
                format: None,
                size: None,
            });
        }
        let inter = bits.flag()?;
        let shown = bits.flag()?;
        let resilient = bits.flag()?;
        if inter {
            return Self::inter(&mut bits, profile, shown, resilient);
        }
        sync_code(&mut bits)?;
        let mut format = Format::read_color(&mut bits, profile)?;
        let size = size(&mut bits)?;
        (format.width, format.height) = size;
        Some(Self {
            discardable: false,
            format: Some(format),
            size: Some(size),
        })
    }

    fn inter(bits: &mut Bits<'_>, profile: u8, shown: bool, resilient: bool) -> Option<Self> {
        let intra_only = !shown && bits.flag()?;
        if !resilient {
            bits.skip(2)?; // reset_frame_context
        }
        let (refreshed, own_size);
        if intra_only {
            sync_code(bits)?;
            if profile > 0 {
                Format::read_color(bits, profile)?;
            }
            refreshed = bits.number(8)?;
            own_size = Some(size(bits)?);
            skip_render_size(bits)?;
        } else {
            refreshed = bits.number(8)?;
            bits.skip(12)?; // three times ref_frame_idx, ref_frame_sign_bias
            own_size = size_with_references(bits)?;
            bits.skip(1)?; // allow_high_precision_mv
            if !bits.flag()? {
                bits.skip(2)?; // raw_interpolation_filter
            }
        }
        let keeps_probabilities = !resilient && bits.flag()?;
        Some(Self {
            discardable: refreshed == 0 && !keeps_probabilities,
            format: None,
            size: own_size,
        })
    }
}

impl Format {
    /// `color_config()`.
    fn read_color(bits: &mut Bits<'_>, profile: u8) -> Option<Self> {
        let bit_depth = match profile >= 2 {
            true if bits.flag()? => 12,
            true => 10,
            false => 8,
        };
        let space = bits.number(3)?;
        let tells_chroma = profile & 1 == 1;
        let (full_range, subsampling) = if space == RGB {
            if !tells_chroma || bits.flag()? {
                return None;
            }
            (true, (false, false))
        } else {
            let full_range = bits.flag()?;
            let mut subsampling = (true, true);
            if tells_chroma {
                subsampling = (bits.flag()?, bits.flag()?);
                bits.skip(1)?; // reserved_zero
            }
            (full_range, subsampling)
        };
        Some(Self {
            profile,
            bit_depth,
            chroma: match subsampling {
                // Where the samples lie is not told; colocated is the record's usual word for it.
                (true, true) => 1,
                (true, false) => 2,
                _ => 3,
            },
            full_range,
            color: color(space),
            width: 0,
            height: 0,
        })
    }
}

fn sync_code(bits: &mut Bits<'_>) -> Option<()> {
    (bits.number(24)? == 0x49_83_42).then_some(())
}

fn size(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let width = bits.number(16)?.checked_add(1)?;
    Some((width, bits.number(16)?.checked_add(1)?))
}

fn skip_render_size(bits: &mut Bits<'_>) -> Option<()> {
    if bits.flag()? {
        bits.skip(32)?;
    }
    Some(())
}

/// The inner `None` is a size taken from one of the references.
#[expect(
    clippy::option_option,
    reason = "a malformed header and a size told elsewhere are two things"
)]
fn size_with_references(bits: &mut Bits<'_>) -> Option<Option<(u32, u32)>> {
    let mut own = true;
    for _ in 0..3 {
        if bits.flag()? {
            own = false;
            break;
        }
    }
    let size = if own { Some(size(bits)?) } else { None };
    skip_render_size(bits)?;
    Some(size)
}

/// `color_space` as the matrix of ISO/IEC 23091-2. It does not tell primaries and transfer: HDR is BT.2020 here too.
const fn color(space: u32) -> [u8; 3] {
    let [primaries, transfer, unknown] = UNSPECIFIED;
    let matrix = match space {
        1 | 3 => 6,
        2 => 1,
        4 => 7,
        5 => 9,
        RGB => 0,
        _ => unknown,
    };
    [primaries, transfer, matrix]
}

const RGB: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superframe_with_an_index_that_does_not_fit_is_malformed() {
        // Two frames of 200 bytes each, and there is one byte.
        assert_eq!(inspect(&[0x82, 0xc1, 200, 200, 0xc1]), None);
        assert_eq!(inspect(&[]), None);
    }

    #[test]
    fn a_frame_that_ends_like_an_index_is_one_frame() {
        assert_eq!(frames(&[0x82, 0, 0xc1]).unwrap(), [[0x82, 0, 0xc1]]);
    }

    #[test]
    fn frames_that_nothing_is_kept_of_are_discardable() {
        // Shown, error resilient, inter; refreshes nothing, then slot 7.
        let mut frame = [0x87, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00];
        assert!(inspect(&frame).unwrap().discardable);
        frame[1] = 0x80;
        assert!(!inspect(&frame).unwrap().discardable);
        // show_existing_frame
        assert!(inspect(&[0x88]).unwrap().discardable);
    }
}
