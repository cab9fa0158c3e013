//! Live events as JavaScript sees them; `ts/live/events.ts` follows this enum.

use napi_derive::napi;
use sluice_server::stream::{
    self, Action, AuthorizeRequest, BridgeEvent, BridgeEventKind, RecordError, RecordingEvent,
    RecordingEventKind, SourceState as Source, StreamEvent, StreamEventKind,
};

use crate::live_bridges::BridgeEndReason;
use crate::live_recordings::RecordedFile;
use crate::live_values::{LiveCodec, LiveEnd};
use crate::tracks::{milliseconds, number};

/// What somebody wants to do.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveAction {
    /// Write a stream.
    Publish,
    /// Read a stream.
    Play,
    /// Read recordings of a stream.
    Playback,
}

/// Where a stream's frames come from.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveSourceState {
    /// From its publisher.
    Live,
    /// The publisher was lost, and the next one is waited for.
    Resuming,
    /// From nobody any more.
    Ended,
}

/// Why a publisher's turn ended.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveFinishReason {
    /// It said that it is done.
    Completed,
    /// It was lost.
    Disconnected,
    /// It broke its protocol's rules.
    Malformed,
    /// Another one took the key.
    Replaced,
    /// It sent nothing for too long.
    Idle,
    /// It sent more than it may.
    RateLimited,
    /// The application ended it.
    Closed,
}

/// Why a recording fails.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingFault {
    /// No room is left.
    Full,
    /// It may not be written.
    Denied,
    /// The storage failed otherwise.
    Storage,
    /// The stream does not fit into MP4.
    Unsupported,
}

/// Something that happened to a stream.
#[napi(
    discriminant = "type",
    discriminant_case = "camelCase",
    object_from_js = false
)]
pub enum LiveEvent {
    /// Somebody waits for a verdict.
    Authorize {
        /// What to answer to.
        number: f64,
        /// What is wanted.
        action: LiveAction,
        /// Which stream.
        key: String,
        /// Over what.
        protocol: String,
        /// From where.
        address: Option<String>,
        /// A bearer token.
        token: Option<String>,
        /// A user name.
        user: Option<String>,
        /// A password.
        password: Option<String>,
        /// The query of the URL.
        query: Option<String>,
    },
    /// A publisher holds the key.
    PublishStarted {
        /// Which stream.
        key: String,
        /// Over what.
        protocol: String,
        /// From where.
        address: Option<String>,
        /// Who.
        identity: Option<String>,
    },
    /// A publisher let the key go.
    PublishEnded {
        /// Which stream.
        key: String,
        /// Why.
        reason: LiveFinishReason,
        /// Frames it brought.
        frames: f64,
        /// Bytes it brought.
        bytes: f64,
    },
    /// Where frames come from.
    SourceState {
        /// Which stream.
        key: String,
        /// The state.
        state: LiveSourceState,
        /// The newest publisher's turn.
        epoch: u32,
    },
    /// The stream is over.
    StreamEnded {
        /// Which stream.
        key: String,
        /// Why.
        reason: LiveEnd,
    },
    /// A reader came.
    SubscriberJoined {
        /// Which stream.
        key: String,
        /// Over what.
        protocol: String,
    },
    /// A reader went.
    SubscriberLeft {
        /// Which stream.
        key: String,
        /// Over what.
        protocol: String,
        /// Frames it has read.
        frames: f64,
    },
    /// A reader was too slow.
    SubscriberLagged {
        /// Which stream.
        key: String,
        /// Over what.
        protocol: String,
        /// Frames it will never see.
        skipped: f64,
        /// How much time they are.
        lost_ms: f64,
    },
    /// A reader was too slow for too long.
    SubscriberEvicted {
        /// Which stream.
        key: String,
        /// Over what.
        protocol: String,
        /// Time it lost.
        lost_ms: f64,
    },
    /// Recording began or ended.
    Recording {
        /// Which stream.
        key: String,
        /// It is recorded now.
        active: bool,
    },
    /// A recording misses parts because the storage is slow.
    RecordingGap {
        /// Which stream.
        key: String,
        /// Which recording.
        recording: f64,
        /// How many parts since the last such event.
        parts: f64,
        /// How much time they are.
        lost_ms: f64,
    },
    /// A recording failed.
    RecordingFailed {
        /// Which stream.
        key: String,
        /// Which recording.
        recording: f64,
        /// Why.
        reason: RecordingFault,
        /// What the storage said.
        message: String,
    },
    /// A recording is over.
    RecordingEnded {
        /// Which stream.
        key: String,
        /// Which recording.
        recording: f64,
        /// What was recorded.
        files: Vec<RecordedFile>,
        /// Time it misses.
        lost_ms: f64,
    },
    /// Other tracks of a room are published from here on.
    BridgeSource {
        /// Which stream.
        key: String,
        /// Which bridge.
        bridge: f64,
        /// Whose picture is shown.
        video: Option<String>,
        /// Whose sound is heard.
        audio: Option<String>,
    },
    /// A track of a stream is not shown in a room.
    BridgeTrackSkipped {
        /// Which stream.
        key: String,
        /// Which bridge.
        bridge: f64,
        /// Which track.
        track: u32,
        /// Its codec.
        codec: Option<LiveCodec>,
    },
    /// A bridge lost frames because a thread was too slow.
    BridgeDropped {
        /// Which stream.
        key: String,
        /// Which bridge.
        bridge: f64,
        /// How many since the last such event.
        frames: f64,
    },
    /// A bridge is over.
    BridgeEnded {
        /// Which stream.
        key: String,
        /// Which bridge.
        bridge: f64,
        /// Why.
        reason: BridgeEndReason,
    },
    /// Transcoding began or ended.
    Transcoding {
        /// Which stream.
        key: String,
        /// It is transcoded now.
        active: bool,
    },
    /// A track is new or is coded otherwise.
    CodecChanged {
        /// Which stream.
        key: String,
        /// Which track.
        track: u32,
        /// Its codec.
        codec: Option<LiveCodec>,
        /// How many configurations it had.
        revision: u32,
    },
    /// Layers came or went.
    LayersChanged {
        /// The base of the layers.
        key: String,
        /// Those that are live.
        layers: Vec<String>,
    },
    /// A publisher sent more than it may.
    RateLimited {
        /// Which stream.
        key: String,
        /// The limit.
        bytes_per_second: f64,
    },
    /// A publisher sent nothing for too long.
    StreamReaped {
        /// Which stream.
        key: String,
    },
    /// Frames were refused.
    FrameRejected {
        /// Which stream.
        key: String,
        /// Why the newest was.
        message: String,
        /// How many since the last such event.
        count: f64,
    },
}

/// None for what this binding has no word for yet.
pub(crate) fn live_event(event: stream::LiveEvent) -> Option<LiveEvent> {
    match event {
        stream::LiveEvent::Authorize(request) => Some(authorize(request)),
        stream::LiveEvent::Stream(event) => of_stream(event),
        stream::LiveEvent::Recording(event) => of_recording(event),
        stream::LiveEvent::Bridge(event) => of_bridge(&event),
    }
}

fn of_bridge(event: &BridgeEvent) -> Option<LiveEvent> {
    let (key, bridge) = (event.key.to_string(), number(event.bridge.raw()));
    Some(match event.kind {
        BridgeEventKind::SourceChanged { video, audio } => LiveEvent::BridgeSource {
            key,
            bridge,
            video: video.map(|track| track.to_string()),
            audio: audio.map(|track| track.to_string()),
        },
        BridgeEventKind::TrackSkipped { track, codec } => LiveEvent::BridgeTrackSkipped {
            key,
            bridge,
            track: u32::from(track.number()),
            codec: LiveCodec::known(codec),
        },
        BridgeEventKind::Dropped { frames } => LiveEvent::BridgeDropped {
            key,
            bridge,
            frames: number(frames),
        },
        BridgeEventKind::Ended { reason } => LiveEvent::BridgeEnded {
            key,
            bridge,
            reason: reason.into(),
        },
        _ => return None,
    })
}

fn of_recording(event: RecordingEvent) -> Option<LiveEvent> {
    let (key, recording) = (event.key.to_string(), number(event.recording.raw()));
    Some(match event.kind {
        RecordingEventKind::Gap { parts, lost } => LiveEvent::RecordingGap {
            key,
            recording,
            parts: number(parts),
            lost_ms: milliseconds(lost),
        },
        RecordingEventKind::Failed(error) => LiveEvent::RecordingFailed {
            key,
            recording,
            reason: match &*error {
                error if error.is_full() => RecordingFault::Full,
                error if error.is_denied() => RecordingFault::Denied,
                RecordError::Mux(_) => RecordingFault::Unsupported,
                _ => RecordingFault::Storage,
            },
            message: error.to_string(),
        },
        RecordingEventKind::Ended { files, lost } => LiveEvent::RecordingEnded {
            key,
            recording,
            files: files.into_iter().map(RecordedFile::from).collect(),
            lost_ms: milliseconds(lost),
        },
        _ => return None,
    })
}

fn authorize(request: AuthorizeRequest) -> LiveEvent {
    let text = |text: Option<Box<str>>| text.map(String::from);
    LiveEvent::Authorize {
        number: number(request.number),
        action: match request.action {
            Action::Publish => LiveAction::Publish,
            Action::Play => LiveAction::Play,
            Action::Playback => LiveAction::Playback,
        },
        key: request.key.to_string(),
        protocol: request.protocol.name().to_owned(),
        address: request.address.map(|address| address.to_string()),
        token: text(request.credentials.token),
        user: text(request.credentials.user),
        password: text(request.credentials.password),
        query: text(request.credentials.query),
    }
}

fn of_stream(event: StreamEvent) -> Option<LiveEvent> {
    let key = event.key.to_string();
    Some(match event.kind {
        StreamEventKind::PublishStarted {
            protocol,
            address,
            identity,
            ..
        } => LiveEvent::PublishStarted {
            key,
            protocol: protocol.name().to_owned(),
            address: address.map(|address| address.ip().to_string()),
            identity: identity.map(|identity| identity.name().to_owned()),
        },
        StreamEventKind::PublishEnded {
            reason,
            frames,
            bytes,
            ..
        } => LiveEvent::PublishEnded {
            key,
            reason: finish_reason(reason),
            frames: number(frames),
            bytes: number(bytes),
        },
        StreamEventKind::SourceState { state, epoch } => LiveEvent::SourceState {
            key,
            state: match state {
                Source::Live => LiveSourceState::Live,
                Source::Resuming => LiveSourceState::Resuming,
                Source::Ended => LiveSourceState::Ended,
            },
            epoch,
        },
        StreamEventKind::StreamEnded { reason } => LiveEvent::StreamEnded {
            key,
            reason: reason.into(),
        },
        StreamEventKind::SubscriberJoined { protocol, .. } => LiveEvent::SubscriberJoined {
            key,
            protocol: protocol.name().to_owned(),
        },
        StreamEventKind::SubscriberLeft {
            protocol, frames, ..
        } => LiveEvent::SubscriberLeft {
            key,
            protocol: protocol.name().to_owned(),
            frames: number(frames),
        },
        StreamEventKind::SubscriberLagged {
            protocol,
            skipped,
            lost,
            ..
        } => LiveEvent::SubscriberLagged {
            key,
            protocol: protocol.name().to_owned(),
            skipped: number(skipped),
            lost_ms: milliseconds(lost),
        },
        StreamEventKind::SubscriberEvicted { protocol, lost, .. } => LiveEvent::SubscriberEvicted {
            key,
            protocol: protocol.name().to_owned(),
            lost_ms: milliseconds(lost),
        },
        StreamEventKind::RecordingStarted => LiveEvent::Recording { key, active: true },
        StreamEventKind::RecordingEnded => LiveEvent::Recording { key, active: false },
        StreamEventKind::TranscodeStarted => LiveEvent::Transcoding { key, active: true },
        StreamEventKind::TranscodeEnded => LiveEvent::Transcoding { key, active: false },
        StreamEventKind::CodecChanged {
            track,
            codec,
            revision,
        } => LiveEvent::CodecChanged {
            key,
            track: u32::from(track.number()),
            codec: LiveCodec::known(codec),
            revision,
        },
        StreamEventKind::LayersChanged { layers } => LiveEvent::LayersChanged {
            key,
            layers: layers.into_iter().map(String::from).collect(),
        },
        StreamEventKind::RateLimited {
            bytes_per_second, ..
        } => LiveEvent::RateLimited {
            key,
            bytes_per_second: number(bytes_per_second),
        },
        StreamEventKind::StreamReaped => LiveEvent::StreamReaped { key },
        StreamEventKind::FrameRejected { error, count } => LiveEvent::FrameRejected {
            key,
            message: error.to_string(),
            count: number(count),
        },
        _ => return None,
    })
}

fn finish_reason(reason: stream::FinishReason) -> LiveFinishReason {
    match reason {
        stream::FinishReason::Completed => LiveFinishReason::Completed,
        stream::FinishReason::Disconnected => LiveFinishReason::Disconnected,
        stream::FinishReason::Malformed => LiveFinishReason::Malformed,
        stream::FinishReason::Replaced => LiveFinishReason::Replaced,
        stream::FinishReason::Idle => LiveFinishReason::Idle,
        stream::FinishReason::RateLimited => LiveFinishReason::RateLimited,
        _ => LiveFinishReason::Closed,
    }
}
