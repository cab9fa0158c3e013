//! Frames into RTP payloads, once per stream and codec whatever the number of viewers.

mod audio;
mod av1;
mod nal;
mod rtp_payload;
mod vpx;

pub use rtp_payload::RtpPayload;

use bytes::Bytes;
use sluice_media::{Codec, Frame};

use nal::NalFormat;

/// How large the payloads become and where the numbers in them begin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketizerOptions {
    /// Bytes of a whole RTP packet as UDP carries it. Default 1 200.
    pub max_packet_bytes: usize,
    /// What of it is not payload: RTP header with its extensions, the SRTP tag, the two bytes RTX adds. Default 12,
    /// the bare header. At least 32 bytes stay for the payload, whatever the numbers say.
    pub overhead_bytes: usize,
    /// Picture id of the first frame (VP8, VP9), 15 bits; random is best (RFC 7741 §4.2). Default 0.
    pub first_picture_id: u16,
    /// VP8 only: send `TL0PICIDX` and `TID`, discardable frames as temporal layer 1 and all others as layer 0, so that
    /// an SFU can halve the frame rate. Default off.
    pub temporal_layers: bool,
}

impl Default for PacketizerOptions {
    fn default() -> Self {
        Self {
            max_packet_bytes: 1_200,
            overhead_bytes: 12,
            first_picture_id: 0,
            temporal_layers: false,
        }
    }
}

impl PacketizerOptions {
    fn budget(&self) -> usize {
        self.max_packet_bytes
            .saturating_sub(self.overhead_bytes)
            .max(MIN_BUDGET)
    }
}

/// Cuts the frames of one stream into RTP payloads.
///
/// One per stream and codec, never per viewer: picture ids count here.
///
/// - H.264 (RFC 6184, packetization-mode 1): single NAL units and FU-A; the parameter sets in front of a keyframe as
///   STAP-A. H.265 (RFC 7798): the same with FU and AP, without decoding order numbers.
/// - VP8 (RFC 7741): 15-bit picture id, `N` on discardable frames; `PID` stays 0, as §4.2 allows.
/// - VP9 (RFC 9628): non-flexible mode, one spatial and one temporal layer, 15-bit picture id, the scalability
///   structure with the size on keyframes. Chromium wants `TL0PICIDX` in this mode, so it is there.
/// - AV1 (AOM RTP 1.0): OBUs without size fields and temporal delimiters, at most three elements to a packet.
/// - Opus (RFC 7587): one packet to a payload, above the budget too, since the format has no fragments.
/// - G.711, G.722 (RFC 3551): cut into pieces of the budget, each with its own time.
/// - AAC (RFC 3640, AAC-hbr): one access unit to a payload, or fragments of it.
#[derive(Debug, Clone)]
pub struct Packetizer {
    format: Format,
    budget: usize,
}

impl Packetizer {
    /// A packetizer for one stream; `None` for codecs without a payload format here (H.266, MP3, others).
    pub fn new(codec: Codec, options: &PacketizerOptions) -> Option<Self> {
        let first_id = options.first_picture_id;
        let format = match codec {
            Codec::H264 => Format::Nal(nal::Packetizer::new(NalFormat::H264)),
            Codec::H265 => Format::Nal(nal::Packetizer::new(NalFormat::H265)),
            Codec::Vp8 => Format::Vp8(vpx::Vp8::new(first_id, options.temporal_layers)),
            Codec::Vp9 => Format::Vp9(vpx::Vp9::new(first_id)),
            Codec::Av1 => Format::Av1,
            Codec::Opus => Format::Whole,
            Codec::Pcmu | Codec::Pcma | Codec::G722 => Format::Samples,
            Codec::Aac => Format::Aac,
            Codec::H266 | Codec::Mp3 | Codec::Other { .. } => return None,
        };
        Some(Self {
            format,
            budget: options.budget(),
        })
    }

    /// The parameter sets that go in front of each keyframe from now on, in decoding order (H.264: SPS, PPS; H.265:
    /// VPS, SPS, PPS), as NAL units without length or start code. No effect for other codecs.
    pub fn set_parameter_sets(&mut self, sets: &[Bytes]) {
        if let Format::Nal(format) = &mut self.format {
            format.set_parameter_sets(sets);
        }
    }

    /// Appends the payloads of one frame to `out`; they share its bytes (see [`RtpPayload`] for what is copied).
    ///
    /// # Errors
    /// When the frame is not in the form of [`Frame::data`] or cannot be carried; `out` and the numbers in later
    /// frames are then as if it had not been there.
    pub fn packetize(
        &mut self,
        frame: &Frame,
        out: &mut Vec<RtpPayload>,
    ) -> Result<(), PacketizeError> {
        if frame.data.is_empty() {
            return Err(PacketizeError::Empty);
        }
        let before = out.len();
        let result = match &mut self.format {
            Format::Nal(format) => format.packetize(frame, self.budget, out),
            Format::Vp8(format) => {
                format.packetize(frame, self.budget, out);
                Ok(())
            }
            Format::Vp9(format) => {
                format.packetize(frame, self.budget, out);
                Ok(())
            }
            Format::Av1 => av1::packetize(frame, self.budget, out),
            Format::Whole => {
                out.push(RtpPayload::whole(frame.data.clone()));
                Ok(())
            }
            Format::Samples => audio::samples(frame, self.budget, out),
            Format::Aac => audio::aac(frame, self.budget, out),
        };
        if result.is_err() {
            out.truncate(before);
        }
        result
    }
}

/// Why a frame cannot be packetized: the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketizeError {
    /// It has no bytes.
    Empty,
    /// A NAL unit or OBU does not fit into the frame, or is no such thing.
    Malformed {
        /// Where in the frame the unit begins.
        at: usize,
    },
    /// The unit is longer than the format can say: 8 191 bytes of AAC.
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
}

impl std::fmt::Display for PacketizeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => write!(f, "the frame is empty"),
            Self::Malformed { at } => write!(f, "malformed unit at byte {at} of the frame"),
            Self::TooLarge { bytes } => write!(f, "{bytes} bytes are too many for the format"),
        }
    }
}

impl std::error::Error for PacketizeError {}

#[derive(Debug, Clone)]
enum Format {
    Nal(nal::Packetizer),
    Vp8(vpx::Vp8),
    Vp9(vpx::Vp9),
    Av1,
    Whole,
    Samples,
    Aac,
}

/// Room for the longest descriptor and some of the frame.
const MIN_BUDGET: usize = 32;

/// `data` in the fewest pieces of at most `most` bytes, of nearly the same size: a tiny last packet costs as much to
/// send as a full one.
fn pieces(data: &Bytes, most: usize) -> impl Iterator<Item = Bytes> {
    let size = data
        .len()
        .div_ceil(data.len().div_ceil(most.max(1)).max(1))
        .max(1);
    let mut rest = data.clone();
    std::iter::from_fn(move || (!rest.is_empty()).then(|| rest.split_to(size.min(rest.len()))))
}
