//! Picture numbers of VP8 and VP9 in a subscriber slot: consecutive for the decoder across drops and switches.

use crate::payload::PayloadInfo;

use super::SequenceRewriter;

/// The numbers to write into an outgoing payload descriptor; `None` where the incoming one has no such field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PictureIds {
    /// Picture id, as wide as the incoming one.
    pub picture_id: Option<u16>,
    /// `TL0PICIDX`.
    pub tl0_picture_index: Option<u8>,
    /// VP8's `KEYIDX`, five bits.
    pub key_index: Option<u8>,
}

/// Maps the picture numbers of changing sources so that the decoder sees no gap of our making and no repeat.
///
/// `TL0PICIDX` keeps a gap where a base-layer frame was dropped: what refers to that frame cannot be decoded, and
/// the gap is how the decoder knows.
#[derive(Debug, Clone)]
pub struct PictureIdRewriter {
    picture: SequenceRewriter,
    /// The present source's newest picture id, extended, and how wide its ids are.
    newest: Option<(u64, u8)>,
    tl0: Counter,
    key: Counter,
}

impl PictureIdRewriter {
    /// The first picture gets `first_picture_id`, modulo its width.
    pub const fn new(first_picture_id: u16) -> Self {
        Self {
            picture: SequenceRewriter::new(first_picture_id as u64),
            newest: None,
            tl0: Counter::new(0xff),
            key: Counter::new(0x1f),
        }
    }

    /// The first source begins with the packet described by `first` and keeps its own numbers.
    ///
    /// Nothing needs rewriting before the first switch or drop, which spares a copy per packet.
    pub fn continuing(first: &PayloadInfo) -> Self {
        let mut rewriter = Self::new(first.picture_id.unwrap_or_default());
        rewriter.tl0 = Counter::identity(0xff, first.tl0_picture_index);
        rewriter.key = Counter::identity(0x1f, first.key_index);
        if let Some(picture_id) = first.picture_id {
            let extended = ORIGIN.saturating_add(u64::from(picture_id));
            rewriter.newest = Some((extended, first.picture_id_bits));
            rewriter.picture.switch(extended);
        }
        rewriter
    }

    /// The next source begins with the packet described by `first`.
    pub fn switch(&mut self, first: &PayloadInfo) {
        self.newest = None;
        self.tl0.offset = None;
        self.key.offset = None;
        if let Some(picture_id) = first.picture_id {
            let extended = ORIGIN.saturating_add(u64::from(picture_id));
            self.newest = Some((extended, first.picture_id_bits));
            self.picture.switch(extended);
        }
    }

    /// No packet of this picture is forwarded; any of its packets may report it, more than once.
    pub fn drop_frame(&mut self, info: &PayloadInfo) {
        if let Some(extended) = self.extend(info) {
            self.picture.drop(extended);
        }
    }

    /// The numbers for a packet that is forwarded; `None` when its picture was dropped, lies before the switch
    /// point, or is more than 512 pictures late.
    pub fn map(&mut self, info: &PayloadInfo) -> Option<PictureIds> {
        let picture_id = match self.extend(info) {
            Some(extended) => Some(narrow(self.picture.map(extended)?, info.picture_id_bits)),
            None => None,
        };
        Some(PictureIds {
            picture_id,
            tl0_picture_index: info.tl0_picture_index.map(|index| self.tl0.map(index)),
            key_index: info.key_index.map(|index| self.key.map(index)),
        })
    }

    fn extend(&mut self, info: &PayloadInfo) -> Option<u64> {
        let picture_id = u64::from(info.picture_id?);
        if self
            .newest
            .is_none_or(|(_, bits)| bits != info.picture_id_bits)
        {
            // A source may not change the width; one that does is taken for a new source.
            self.switch(info);
        }
        let (newest, bits) = self.newest?;
        let modulus = 1_u64.checked_shl(u32::from(bits))?;
        let ahead = picture_id.wrapping_sub(newest) & modulus.wrapping_sub(1);
        let extended = if ahead < modulus / 2 {
            newest.saturating_add(ahead)
        } else {
            newest.saturating_add(ahead).saturating_sub(modulus)
        };
        self.newest = Some((newest.max(extended), bits));
        Some(extended)
    }
}

/// A small wrapping counter that goes on by one at each switch and follows its source in between.
#[derive(Debug, Clone)]
struct Counter {
    mask: u8,
    last_out: u8,
    offset: Option<u8>,
}

impl Counter {
    const fn new(mask: u8) -> Self {
        Self {
            mask,
            last_out: mask,
            offset: None,
        }
    }

    /// Goes on from `first`, unchanged.
    fn identity(mask: u8, first: Option<u8>) -> Self {
        match first {
            Some(first) => Self {
                mask,
                last_out: first.wrapping_sub(1) & mask,
                offset: Some(0),
            },
            None => Self::new(mask),
        }
    }

    fn map(&mut self, index: u8) -> u8 {
        let next = self.last_out.wrapping_add(1);
        let offset = *self.offset.get_or_insert(next.wrapping_sub(index));
        let out = index.wrapping_add(offset) & self.mask;
        let ahead = out.wrapping_sub(self.last_out) & self.mask;
        if ahead <= self.mask / 2 {
            self.last_out = out;
        }
        out
    }
}

fn narrow(extended: u64, bits: u8) -> u16 {
    let mask = if bits == 7 { 0x7f } else { 0x7fff };
    // The mask keeps it within 15 bits.
    u16::try_from(extended & mask).unwrap_or_default()
}

/// Room below the first id of a source, so that a late one from before the switch is a smaller number, not a wrap.
const ORIGIN: u64 = 1 << 32;
