//! Frames, configurations and streams as values.

use std::num::NonZeroU32;

use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use sluice_server::stream::{
    self, Bytes, Codec as MediaCodec, CodecConfig, Frame, LiveItem, Parameters, Timestamp,
    TrackCoding, TrackId,
};

use crate::errors::{Code, Fault};
use crate::tracks::{length, milliseconds, number};

/// Codecs of live streams.
#[napi(string_enum)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveCodec {
    /// ITU-T H.264.
    #[napi(value = "H264")]
    H264,
    /// ITU-T H.265.
    #[napi(value = "H265")]
    H265,
    /// VP8.
    #[napi(value = "VP8")]
    Vp8,
    /// VP9.
    #[napi(value = "VP9")]
    Vp9,
    /// AV1.
    #[napi(value = "AV1")]
    Av1,
    /// RFC 6716.
    #[napi(value = "opus")]
    Opus,
    /// MPEG-4 AAC.
    #[napi(value = "AAC")]
    Aac,
    /// MPEG-1 audio layer III.
    #[napi(value = "MP3")]
    Mp3,
    /// G.711 mu-law.
    #[napi(value = "PCMU")]
    Pcmu,
    /// G.711 A-law.
    #[napi(value = "PCMA")]
    Pcma,
    /// G.722.
    #[napi(value = "G722")]
    G722,
    /// ITU-T H.266.
    #[napi(value = "H266")]
    H266,
}

impl From<LiveCodec> for MediaCodec {
    fn from(codec: LiveCodec) -> Self {
        match codec {
            LiveCodec::H264 => Self::H264,
            LiveCodec::H265 => Self::H265,
            LiveCodec::Vp8 => Self::Vp8,
            LiveCodec::Vp9 => Self::Vp9,
            LiveCodec::Av1 => Self::Av1,
            LiveCodec::Opus => Self::Opus,
            LiveCodec::Aac => Self::Aac,
            LiveCodec::Mp3 => Self::Mp3,
            LiveCodec::Pcmu => Self::Pcmu,
            LiveCodec::Pcma => Self::Pcma,
            LiveCodec::G722 => Self::G722,
            LiveCodec::H266 => Self::H266,
        }
    }
}

impl LiveCodec {
    /// None for a codec this binding has no word for.
    pub(crate) fn known(codec: MediaCodec) -> Option<Self> {
        Some(match codec {
            MediaCodec::H264 => Self::H264,
            MediaCodec::H265 => Self::H265,
            MediaCodec::Vp8 => Self::Vp8,
            MediaCodec::Vp9 => Self::Vp9,
            MediaCodec::Av1 => Self::Av1,
            MediaCodec::Opus => Self::Opus,
            MediaCodec::Aac => Self::Aac,
            MediaCodec::Mp3 => Self::Mp3,
            MediaCodec::Pcmu => Self::Pcmu,
            MediaCodec::Pcma => Self::Pcma,
            MediaCodec::G722 => Self::G722,
            MediaCodec::H266 => Self::H266,
            MediaCodec::Other { .. } => return None,
        })
    }
}

/// A track and how it is coded, from a publisher.
#[napi(object, object_to_js = false)]
pub struct LiveTrackInput {
    /// Its number.
    pub track: u32,
    /// Its codec.
    pub codec: LiveCodec,
    /// The configuration record as MP4 carries it; empty where the frames tell it.
    pub record: Uint8Array,
}

/// A frame from a publisher.
#[napi(object, object_to_js = false)]
pub struct LiveFrameInput {
    /// Its track.
    pub track: u32,
    /// Its codec.
    pub codec: LiveCodec,
    /// Ticks per second of the times.
    pub rate: u32,
    /// When it is shown, in ticks.
    pub pts: f64,
    /// When it is decoded, in ticks.
    pub dts: f64,
    /// How long it lasts, in ticks.
    pub duration: Option<u32>,
    /// A decoder may begin here.
    pub keyframe: bool,
    /// No other frame refers to it.
    pub discardable: Option<bool>,
    /// The coded bytes.
    pub data: Uint8Array,
}

/// A track and how it is coded.
#[napi(object, object_from_js = false)]
pub struct LiveTrack {
    /// Its number.
    pub track: u32,
    /// Its codec; none for one this version has no word for.
    pub codec: Option<LiveCodec>,
    /// The name of RFC 6381, where there is one.
    pub codec_string: Option<String>,
    /// The configuration record as MP4 carries it.
    pub record: Buffer,
    /// Width of a picture.
    pub width: Option<u32>,
    /// Height of a picture.
    pub height: Option<u32>,
    /// Samples per second.
    pub sample_rate: Option<u32>,
    /// Channels.
    pub channels: Option<u32>,
}

/// One thing a reader is told; what is absent does not apply to its kind.
#[napi(
    discriminant = "type",
    discriminant_case = "camelCase",
    object_from_js = false
)]
pub enum LiveRead {
    /// Frames of the track are coded like this from here on.
    Config {
        /// The track.
        track: LiveTrack,
    },
    /// A frame.
    Frame {
        /// Its track.
        track: u32,
        /// Ticks per second.
        rate: u32,
        /// When it is shown, in ticks.
        pts: f64,
        /// When it is decoded, in ticks.
        dts: f64,
        /// How long it lasts, in ticks.
        duration: Option<u32>,
        /// A decoder may begin here.
        keyframe: bool,
        /// No other frame refers to it.
        discardable: bool,
        /// The timeline jumps in front of it.
        discontinuity: bool,
        /// When it was captured, in ms since 1970.
        captured_at_ms: Option<f64>,
        /// Bytes of the batch's data that are its own: they follow those of the frame before.
        size: u32,
    },
    /// The reader was slow.
    Lagged {
        /// Frames it will not see.
        skipped: f64,
        /// How much time they are.
        lost_ms: f64,
    },
    /// Timestamps begin anew.
    Discontinuity,
}

/// What a reader got at once: one crossing, one buffer.
#[napi(object, object_from_js = false)]
pub struct LiveBatch {
    /// In order.
    pub items: Vec<LiveRead>,
    /// The bytes of all frames.
    pub data: Buffer,
    /// Set with the last batch.
    pub end: Option<LiveEnd>,
}

/// Why there is nothing more to read.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveEnd {
    /// The publisher is done.
    Completed,
    /// The publisher was lost.
    PublisherLost,
    /// The publisher sent nothing for too long.
    Idle,
    /// The application ended it.
    Closed,
    /// The reader was too slow.
    Evicted,
}

impl From<stream::EndReason> for LiveEnd {
    fn from(reason: stream::EndReason) -> Self {
        match reason {
            stream::EndReason::Completed => Self::Completed,
            stream::EndReason::PublisherLost => Self::PublisherLost,
            stream::EndReason::Idle => Self::Idle,
            stream::EndReason::Evicted => Self::Evicted,
            _ => Self::Closed,
        }
    }
}

impl From<stream::LiveBatch> for LiveBatch {
    fn from(batch: stream::LiveBatch) -> Self {
        let size = batch.items.iter().map(|item| match item {
            LiveItem::Frame(frame) => frame.data.len(),
            _ => 0,
        });
        let mut data = Vec::with_capacity(size.sum());
        let items = batch.items.into_iter().map(|item| match item {
            LiveItem::Config { track, config } => LiveRead::Config {
                track: LiveTrack::new(track, &config),
            },
            LiveItem::Frame(frame) => {
                data.extend_from_slice(&frame.data);
                LiveRead::from(frame)
            }
            LiveItem::Lagged { skipped, lost } => LiveRead::Lagged {
                skipped: number(skipped),
                lost_ms: milliseconds(lost),
            },
            LiveItem::Discontinuity => LiveRead::Discontinuity,
        });
        Self {
            items: items.collect(),
            data: data.into(),
            end: batch.end.map(LiveEnd::from),
        }
    }
}

impl From<Frame> for LiveRead {
    fn from(frame: Frame) -> Self {
        Self::Frame {
            track: u32::from(frame.track.number()),
            rate: frame.pts.rate().get(),
            pts: signed(frame.pts.ticks()),
            dts: signed(frame.dts.ticks()),
            duration: frame.duration,
            keyframe: frame.keyframe,
            discardable: frame.discardable,
            discontinuity: frame.discontinuity,
            captured_at_ms: frame.captured_micros.map(|micros| signed(micros) / 1000.0),
            size: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
        }
    }
}

impl LiveTrack {
    fn new(track: TrackId, config: &CodecConfig) -> Self {
        let (video, audio) = match config.parameters {
            Parameters::Video(video) => (Some(video), None),
            Parameters::Audio(audio) => (None, Some(audio)),
        };
        Self {
            track: u32::from(track.number()),
            codec: LiveCodec::known(config.codec),
            codec_string: config.codec_string(),
            record: config.record.to_vec().into(),
            width: video.map(|video| video.width),
            height: video.map(|video| video.height),
            sample_rate: audio.map(|audio| audio.sample_rate),
            channels: audio.map(|audio| u32::from(audio.channels)),
        }
    }
}

/// What comes in over the last second.
#[napi(object, object_from_js = false)]
pub struct LiveQos {
    /// Payload bits a second.
    pub bits_per_second: f64,
    /// Frames a second.
    pub frames_per_second: f64,
    /// Frames since the beginning.
    pub frames: f64,
    /// Payload bytes since the beginning.
    pub bytes: f64,
}

impl From<stream::Qos> for LiveQos {
    fn from(qos: stream::Qos) -> Self {
        Self {
            bits_per_second: qos.bits_per_second,
            frames_per_second: qos.frames_per_second,
            frames: number(qos.frames),
            bytes: number(qos.bytes),
        }
    }
}

/// A track of a stream as it is now.
#[napi(object, object_from_js = false)]
pub struct StreamTrackInfo {
    /// How it is coded.
    pub track: LiveTrack,
    /// What it brings.
    pub qos: LiveQos,
}

/// What a stream is doing.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveState {
    /// A publisher holds the key and has sent nothing.
    Idle,
    /// Frames come.
    Publishing,
    /// The publisher was lost, and the next one is waited for.
    Resuming,
    /// It is over.
    Ended,
}

impl From<stream::StreamState> for LiveState {
    fn from(state: stream::StreamState) -> Self {
        match state {
            stream::StreamState::Idle => Self::Idle,
            stream::StreamState::Publishing => Self::Publishing,
            stream::StreamState::Resuming => Self::Resuming,
            stream::StreamState::Ended => Self::Ended,
        }
    }
}

/// A stream as it is now.
#[napi(object, object_from_js = false)]
pub struct StreamInfo {
    /// Its key.
    pub key: String,
    /// What it is doing.
    pub state: LiveState,
    /// It is recorded.
    pub recording: bool,
    /// It is transcoded.
    pub transcoding: bool,
    /// Over what its publisher came.
    pub protocol: Option<String>,
    /// Who its publisher is.
    pub identity: Option<String>,
    /// All tracks together.
    pub qos: LiveQos,
    /// Its tracks.
    pub tracks: Vec<StreamTrackInfo>,
    /// Its readers.
    pub subscribers: f64,
    /// Seconds since its first frame.
    pub age_seconds: Option<f64>,
    /// Bytes its ring keeps.
    pub ring_bytes: f64,
    /// The names of its layers that are streams of their own.
    pub layers: Vec<String>,
    /// The layer that it carries now.
    pub carries: Option<String>,
}

impl From<stream::StreamInfo> for StreamInfo {
    fn from(info: stream::StreamInfo) -> Self {
        Self {
            key: info.key.to_string(),
            state: info.state.into(),
            recording: info.activities.recording,
            transcoding: info.activities.transcoding,
            protocol: info.protocol.map(|protocol| protocol.name().to_owned()),
            identity: info.identity.map(Into::into),
            qos: info.qos.into(),
            tracks: info
                .tracks
                .iter()
                .map(|track| StreamTrackInfo {
                    track: LiveTrack::new(track.track, &track.config),
                    qos: track.qos.into(),
                })
                .collect(),
            subscribers: length(info.subscribers),
            age_seconds: info.age_seconds,
            ring_bytes: length(info.ring_bytes),
            layers: info.layers.into_iter().map(Into::into).collect(),
            carries: info.carries.map(Into::into),
        }
    }
}

/// A track's configuration out of what a publisher gave.
pub(crate) fn coding_of(input: &LiveTrackInput) -> Result<(TrackId, TrackCoding), Fault> {
    let record = Bytes::copy_from_slice(&input.record);
    let coding = TrackCoding::parse(input.codec.into(), record)
        .map_err(|error| Fault::new(Code::Codec, error.to_string()))?;
    Ok((track_id(input.track)?, coding))
}

/// A frame out of what a publisher gave; its bytes are copied once.
pub(crate) fn frame_of(input: LiveFrameInput) -> Result<Frame, Fault> {
    let rate = NonZeroU32::new(input.rate).ok_or_else(|| invalid("rate must be above 0"))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, which is as far as time goes"
    )]
    let at = |ticks: f64| Timestamp::new(ticks as i64, rate);
    Ok(Frame {
        track: track_id(input.track)?,
        codec: input.codec.into(),
        pts: at(input.pts),
        dts: at(input.dts),
        duration: input.duration,
        keyframe: input.keyframe,
        discardable: input.discardable.unwrap_or_default(),
        discontinuity: false,
        captured_micros: None,
        data: Bytes::copy_from_slice(&input.data),
    })
}

pub(crate) fn track_id(number: u32) -> Result<TrackId, Fault> {
    u16::try_from(number)
        .map(TrackId::new)
        .map_err(|_| invalid("track must be at most 65535"))
}

pub(crate) fn invalid(why: &str) -> Fault {
    Fault::new(Code::InvalidArgument, why.to_owned())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "JavaScript has no other numbers; exact up to 2^53"
)]
fn signed(value: i64) -> f64 {
    value as f64
}
