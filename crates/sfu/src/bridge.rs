//! What crosses between a room and whatever else has media: packets out of a track, packets into one.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sluice_media::Codec;
use str0m::format::{CodecConfig, PayloadParams};

use crate::id::TrackId;

/// A packet of a tapped track, as its publisher sent it, in order of arrival.
#[derive(Debug, Clone)]
pub struct Tapped {
    /// The track.
    pub track_id: TrackId,
    /// Index of the simulcast layer in the publisher's order; 0 without simulcast.
    pub layer: u8,
    /// Its RTP source; another one than before begins anew with all its numbers.
    pub ssrc: u32,
    /// What it carries.
    pub codec: Codec,
    /// Ticks per second of `time`.
    pub clock_rate: u32,
    /// Extended sequence number.
    pub seq: u64,
    /// Extended RTP timestamp.
    pub time: u64,
    /// The RTP marker bit.
    pub marker: bool,
    /// The payload, shared with the room's ring.
    pub payload: Arc<[u8]>,
    /// When it arrived.
    pub arrived: Instant,
    /// The newest sender report of its source (RFC 3550 §6.4.1): the publisher's wall clock and the RTP time that
    /// went with it.
    pub report: Option<(SystemTime, u32)>,
}

/// A packet for a track whose packets come from inside the process.
#[derive(Debug, Clone)]
pub struct SourcePacket {
    /// Grows by one with each packet.
    pub seq: u64,
    /// RTP time in ticks of the codec's clock rate, never wrapping.
    pub time: u64,
    /// The RTP marker bit: the last packet of a video frame.
    pub marker: bool,
    /// The payload, at most 1 200 bytes for browsers.
    pub payload: Arc<[u8]>,
    /// When it was captured, on our clock; not after now.
    pub captured: Instant,
}

/// How a source's packets are described to subscribers; none for codecs that no browser takes.
///
/// H.264 counts as constrained baseline, which every browser offers: their decoders take higher profiles too, and no
/// browser offers those for what it receives.
pub(crate) fn source_params(codec: Codec) -> Option<PayloadParams> {
    let mut config = CodecConfig::empty();
    match codec {
        Codec::Opus => config.enable_opus(true, false),
        Codec::Pcmu => config.enable_pcmu(true, false),
        Codec::Pcma => config.enable_pcma(true, false),
        Codec::G722 => config.enable_g722(true, false),
        Codec::Vp8 => config.enable_vp8(true),
        Codec::Vp9 => config.enable_vp9(true),
        Codec::H264 => config.enable_h264(true),
        Codec::H265 => config.enable_h265(true),
        Codec::Av1 => config.enable_av1(true),
        Codec::H266 | Codec::Aac | Codec::Mp3 | Codec::Other { .. } => return None,
    }
    let baseline = config.find(|params| {
        let format = params.spec().format;
        codec == Codec::H264
            && format.packetization_mode == Some(1)
            && format.profile_level_id == Some(CONSTRAINED_BASELINE)
    });
    baseline.or_else(|| config.params().first()).copied()
}

/// 42e01f (RFC 6184 §8.1).
const CONSTRAINED_BASELINE: u32 = 0x42_e0_1f;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h264_sources_are_described_as_every_browser_offers_them() {
        let format = source_params(Codec::H264).unwrap().spec().format;
        assert_eq!(format.profile_level_id, Some(CONSTRAINED_BASELINE));
        assert_eq!(format.packetization_mode, Some(1));
    }

    #[test]
    fn what_no_browser_takes_has_no_description() {
        assert!(source_params(Codec::Aac).is_none());
        assert!(source_params(Codec::Mp3).is_none());
    }
}
