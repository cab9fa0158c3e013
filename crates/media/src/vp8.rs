//! VP8: the frame tag and the key frame header (RFC 6386 §9.1).

/// What the first bytes of a frame say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// 0 to 3.
    pub(crate) version: u8,
    /// Width and height in pixels, of a key frame.
    pub(crate) key_size: Option<(u16, u16)>,
}

impl FrameHeader {
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let (tag, rest) = frame.split_first_chunk::<3>()?;
        let [first, ..] = *tag;
        let key_size = if first & 0x01 == 0 {
            let (&[0x9d, 0x01, 0x2a, width, wide, height, high], _) = rest.split_first_chunk()?
            else {
                return None;
            };
            // The upper two bits of each are a scale for display.
            let size = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
            Some((size(width, wide), size(height, high)))
        } else {
            None
        };
        Some(Self {
            version: first >> 1 & 0x07,
            key_size,
        })
    }
}
