//! One payload on its way out: the bytes the format puts in front, and a piece of the frame.

use bytes::Bytes;

/// The payload of one RTP packet.
///
/// The body is a slice of the frame; only the head (at most 16 bytes) is written anew. What is copied: parameter sets
/// into an aggregate, and AV1 OBUs that share a packet. [`into_bytes`](Self::into_bytes) joins both parts and copies
/// the body, except where there is no head: single NAL units, Opus, G.711, G.722.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPayload {
    head: Head,
    body: Bytes,
    marker: bool,
    ticks: u32,
}

impl RtpPayload {
    /// A payload without a head.
    pub(super) const fn whole(body: Bytes) -> Self {
        Self {
            head: Head::EMPTY,
            body,
            marker: false,
            ticks: 0,
        }
    }

    /// A payload of a descriptor and a piece of the frame.
    pub(super) fn new(head: Head, body: Bytes) -> Self {
        Self {
            head,
            ..Self::whole(body)
        }
    }

    pub(super) fn with_marker(self, marker: bool) -> Self {
        Self { marker, ..self }
    }

    pub(super) fn with_ticks(self, ticks: u32) -> Self {
        Self { ticks, ..self }
    }

    /// What the payload format puts in front: descriptor, fragment or aggregation header; may be empty.
    pub fn head(&self) -> &[u8] {
        self.head.bytes()
    }

    /// What follows, shared with the frame where the format allows.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The RTP marker bit: video sets it on the last packet of an access unit, AAC on the last fragment of a unit.
    pub const fn marker(&self) -> bool {
        self.marker
    }

    /// To be added to the frame's RTP timestamp: above 0 only in later pieces of G.711 and G.722.
    pub const fn ticks(&self) -> u32 {
        self.ticks
    }

    /// Bytes of head and body.
    pub fn size(&self) -> usize {
        self.head.size().saturating_add(self.body.len())
    }

    /// Appends the payload to a packet under construction.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head());
        out.extend_from_slice(&self.body);
    }

    /// The payload in one piece.
    pub fn into_bytes(self) -> Bytes {
        if self.head.length == 0 {
            return self.body;
        }
        let mut out = Vec::with_capacity(self.size());
        self.write_to(&mut out);
        out.into()
    }
}

/// A head under construction; what does not fit is left out, so formats stay below [`HEAD`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    bytes: [u8; HEAD],
    length: u8,
}

impl Head {
    const EMPTY: Self = Self {
        bytes: [0; HEAD],
        length: 0,
    };

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut this = Self::EMPTY;
        this.push(bytes);
        this
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(slot) = self.bytes.get_mut(usize::from(self.length)) {
                *slot = *byte;
                self.length = self.length.saturating_add(1);
            } else {
                debug_assert!(false, "a head of more than {HEAD} bytes");
            }
        }
    }

    pub(super) fn size(self) -> usize {
        usize::from(self.length)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.size()).unwrap_or_default()
    }
}

/// VP9's descriptor with its scalability structure is the longest: 13 bytes.
const HEAD: usize = 16;
