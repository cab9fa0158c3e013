//! What the engine gives back.

use std::collections::VecDeque;
use std::sync::Arc;

use sluice_media::StreamKey;

use crate::error::StreamError;
use crate::event::{FinishReason, StreamEvent, StreamEventKind};
use crate::id::{AdmissionId, SessionId, SubscriptionId};
use crate::request::{AccessRequest, Action};

/// What [`Engine::poll_output`](crate::Engine::poll_output) gives, in the order it happened; `Ready` after the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Put this before the authorizer and answer with `decide`.
    Authorize {
        /// What to answer to.
        admission: AdmissionId,
        /// What is wished.
        action: Action,
        /// By whom.
        request: Box<AccessRequest>,
    },
    /// A request was granted.
    Admitted {
        /// Which.
        admission: AdmissionId,
        /// What it may do now.
        grant: Grant,
    },
    /// A request was refused and is forgotten.
    Refused {
        /// Which.
        admission: AdmissionId,
        /// Why.
        error: StreamError,
    },
    /// The engine ended a session that its owner had not finished: close its connection.
    SessionEnded {
        /// Which.
        session: SessionId,
        /// Why.
        reason: FinishReason,
    },
    /// Ask this publisher for a keyframe, if its protocol can. At most once a second.
    RequestKeyframe(SessionId),
    /// Something happened.
    Event(StreamEvent),
    /// This reader has something to read. Told once until it has read to `Empty`.
    Ready(SubscriptionId),
}

/// What a request was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// To write with this session.
    Publish(SessionId),
    /// To call `subscribe`, until [`EngineOptions::authorize_timeout`](crate::EngineOptions::authorize_timeout) is over.
    Play,
}

/// Outputs that wait to be polled.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    queue: VecDeque<Output>,
    telemetry: usize,
    max_telemetry: usize,
    dropped: u64,
}

impl Outputs {
    pub(crate) fn new(max_telemetry: usize) -> Self {
        Self {
            max_telemetry,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(crate) fn extend(&mut self, output: Option<Output>) {
        self.queue.extend(output);
    }

    pub(crate) fn event(&mut self, key: &Arc<StreamKey>, kind: StreamEventKind) {
        if kind.is_telemetry() {
            if self.telemetry >= self.max_telemetry {
                self.dropped += 1;
                return;
            }
            self.telemetry += 1;
        }
        self.push(Output::Event(StreamEvent {
            key: Arc::clone(key),
            kind,
        }));
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        let output = self.queue.pop_front()?;
        if let Output::Event(event) = &output
            && event.kind.is_telemetry()
        {
            self.telemetry -= 1;
        }
        Some(output)
    }

    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }
}
