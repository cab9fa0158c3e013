//! Which codec a track speaks, and the clock it counts in.

/// What a track carries (W3C `MediaStreamTrack.kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl MediaKind {
    /// The SDP media name (RFC 8866 §5.14).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// The coding of a track, as far as anything here depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// G.711 mu-law, RFC 3551 §4.5.14.
    Pcmu,
    /// G.711 A-law, RFC 3551 §4.5.14.
    Pcma,
    /// RFC 3551 §4.5.2.
    G722,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// AOM "RTP Payload Format for AV1" 1.0.
    Av1,
    /// RFC 9328.
    H266,
    /// MPEG-4 AAC, RFC 3640.
    Aac,
    /// MPEG-1 audio layer III, RFC 3551 §4.5.13.
    Mp3,
    /// Anything else: forwarded, never looked into.
    Other {
        /// Audio or video.
        kind: MediaKind,
        /// Ticks per second of its RTP timestamps.
        clock_rate: u32,
    },
}

impl Codec {
    /// Every codec that is looked into, in the order of the enum.
    pub const KNOWN: [Self; 12] = [
        Self::Opus,
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::Vp8,
        Self::Vp9,
        Self::H264,
        Self::H265,
        Self::Av1,
        Self::H266,
        Self::Aac,
        Self::Mp3,
    ];

    /// The codec of an SDP encoding name, in any case (RFC 4855 §3); `None` when it is not a known one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::KNOWN
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// Audio or video.
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Pcmu | Self::Pcma | Self::G722 | Self::Aac | Self::Mp3 => {
                MediaKind::Audio
            }
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 | Self::H266 => {
                MediaKind::Video
            }
            Self::Other { kind, .. } => kind,
        }
    }

    /// The encoding name of SDP's `a=rtpmap`, e.g. `VP8`; `other` for what we do not look into.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Av1 => "AV1",
            Self::H266 => "H266",
            Self::Aac => "MPEG4-GENERIC",
            Self::Mp3 => "MPA",
            Self::Other { .. } => "other",
        }
    }

    /// RTP ticks per second. AAC counts in its sample rate, which the track tells; 48 000 stands for it here.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus | Self::Aac => 48_000,
            // G.722 samples at 16 kHz but counts at 8 kHz, an old mistake kept (RFC 3551 §4.5.2).
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Vp8
            | Self::Vp9
            | Self::H264
            | Self::H265
            | Self::Av1
            | Self::H266
            | Self::Mp3 => 90_000,
            Self::Other { clock_rate, .. } => clock_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_any_case() {
        for codec in Codec::KNOWN {
            assert_eq!(Codec::from_name(codec.name()), Some(codec));
            assert_eq!(Codec::from_name(&codec.name().to_lowercase()), Some(codec));
        }
        assert_eq!(Codec::from_name("rtx"), None);
        assert_eq!(Codec::from_name("other"), None);
    }

    #[test]
    fn video_counts_at_90_khz_and_g722_at_8() {
        for codec in Codec::KNOWN
            .into_iter()
            .filter(|codec| codec.kind() == MediaKind::Video)
        {
            assert_eq!(codec.clock_rate(), 90_000);
        }
        assert_eq!(Codec::G722.clock_rate(), 8_000);
    }
}
