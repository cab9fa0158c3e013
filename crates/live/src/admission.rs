//! Who is let in: requests, verdicts, and who gets a key that is held.

use std::sync::Arc;
use std::time::Instant;

use sluice_media::StreamKey;

use crate::engine::Engine;
use crate::error::StreamError;
use crate::event::FinishReason;
use crate::id::{AdmissionId, SessionId, StreamId};
use crate::options::Takeover;
use crate::output::{Grant, Output};
use crate::request::{AccessRequest, Action, Denial, PlayRequest, PublishRequest, Verdict};
use crate::stream::{Session, Stream};
use crate::timer::Timer;
use crate::window::Window;

/// A request between its arrival and its use.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) action: Action,
    /// Without the credentials.
    pub(crate) request: AccessRequest,
    pub(crate) stage: Stage,
    /// When it is refused or forgotten; one that waits for its turn has no end.
    pub(crate) deadline: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before the authorizer.
    Asked,
    /// Allowed to publish, and waits for the key.
    Queued,
    /// Allowed to play.
    Granted,
}

enum Claim {
    Has(SessionId),
    Waits,
}

impl Engine {
    /// Asks for a key to publish under. `Output::Authorize` follows; after a verdict, `Output::Admitted` or
    /// `Output::Refused`.
    ///
    /// # Errors
    /// When there is no such application, too many requests are open, or the credentials are too long.
    pub fn request_publish(
        &mut self,
        now: Instant,
        request: PublishRequest,
    ) -> Result<AdmissionId, StreamError> {
        self.request(now, Action::Publish, request)
    }

    /// Asks to play a stream, which need not be live yet. `Output::Authorize` follows; after a verdict,
    /// `Output::Admitted` or `Output::Refused`.
    ///
    /// # Errors
    /// As [`Self::request_publish`].
    pub fn request_play(
        &mut self,
        now: Instant,
        request: PlayRequest,
    ) -> Result<AdmissionId, StreamError> {
        self.request(now, Action::Play, request)
    }

    /// Asks to play recordings of a stream back. As [`Self::request_play`]; whoever is admitted reads elsewhere, and
    /// the request is to be cancelled then.
    ///
    /// # Errors
    /// As [`Self::request_publish`].
    pub fn request_playback(
        &mut self,
        now: Instant,
        request: PlayRequest,
    ) -> Result<AdmissionId, StreamError> {
        self.request(now, Action::Playback, request)
    }

    /// What the authorizer says of a request. Its consequence is an output: `Admitted` or `Refused`, or none yet when
    /// the publisher waits for the key ([`Takeover::Queue`]).
    ///
    /// # Errors
    /// When no request of that name waits for a verdict: it came too late or twice, or the request was given up.
    pub fn decide(
        &mut self,
        now: Instant,
        id: AdmissionId,
        verdict: Verdict,
    ) -> Result<(), StreamError> {
        let admission = self.admissions.get_mut(&id);
        let admission = admission
            .filter(|admission| admission.stage == Stage::Asked)
            .ok_or(StreamError::AdmissionNotFound)?;
        let identity = match verdict {
            Verdict::Allow { identity } => identity,
            Verdict::Deny { reason } => {
                self.refuse(id, StreamError::Unauthorized { reason });
                return Ok(());
            }
        };
        if identity.is_some() {
            admission.request.identity = identity;
        }
        match admission.action {
            Action::Play | Action::Playback => {
                let deadline = now + self.options.authorize_timeout;
                admission.stage = Stage::Granted;
                admission.deadline = Some(deadline);
                self.timers.set(deadline, Timer::Admission(id));
                self.outputs.push(Output::Admitted {
                    admission: id,
                    grant: Grant::Play,
                });
            }
            Action::Publish => {
                let request = admission.request.clone();
                match self.claim(now, id, &request) {
                    Ok(Claim::Has(session)) => self.admit(id, session),
                    Ok(Claim::Waits) => {
                        if let Some(admission) = self.admissions.get_mut(&id) {
                            admission.stage = Stage::Queued;
                            admission.deadline = None;
                        }
                    }
                    Err(error) => self.refuse(id, error),
                }
            }
        }
        Ok(())
    }

    /// Gives a request up, as when its connection is gone. Does nothing to one that was used, refused or forgotten.
    pub fn cancel(&mut self, id: AdmissionId) {
        let Some(admission) = self.take_admission(id) else {
            return;
        };
        if admission.stage == Stage::Queued
            && let Some(index) = self.keys.get(&admission.request.key)
            && let Some(stream) = self.streams.at_mut(*index)
        {
            stream.queue.retain(|waiting| *waiting != id);
        }
    }

    /// Requests that are open now.
    pub fn admissions(&self) -> usize {
        self.admissions.len()
    }

    /// Gives the key of a stream without publisher to whoever waits longest for it; false when nobody does.
    pub(crate) fn admit_next(&mut self, now: Instant, index: u32) -> bool {
        loop {
            let Some(stream) = self.streams.at_mut(index) else {
                return false;
            };
            let Some(id) = stream.queue.pop_front() else {
                return false;
            };
            let Some(admission) = self.admissions.get(&id) else {
                continue;
            };
            let session = self.session(now, index, &admission.request.clone());
            if let Some(session) = self.begin_session(now, index, session) {
                self.admit(id, session);
                return true;
            }
        }
    }

    pub(crate) fn refuse(&mut self, id: AdmissionId, error: StreamError) {
        if self.take_admission(id).is_some() {
            self.outputs.push(Output::Refused {
                admission: id,
                error,
            });
        }
    }

    pub(crate) fn admission_due(&mut self, at: Instant, id: AdmissionId) {
        let Some(admission) = self.admissions.get(&id) else {
            return;
        };
        if admission.deadline != Some(at) {
            return;
        }
        if admission.stage == Stage::Asked {
            let reason = Denial::Silent;
            self.refuse(id, StreamError::Unauthorized { reason });
        } else {
            self.take_admission(id);
        }
    }

    pub(crate) fn take_admission(&mut self, id: AdmissionId) -> Option<Admission> {
        let admission = self.admissions.remove(&id)?;
        if let Some(address) = admission.request.address
            && let Some(count) = self.admissions_by_address.get_mut(&address.ip())
        {
            *count -= 1;
            if *count == 0 {
                self.admissions_by_address.remove(&address.ip());
            }
        }
        Some(admission)
    }

    fn request(
        &mut self,
        now: Instant,
        action: Action,
        mut request: AccessRequest,
    ) -> Result<AdmissionId, StreamError> {
        if !self.app_names.contains_key(request.key.app()) {
            return Err(StreamError::AppNotFound);
        }
        if request.credentials.len() > MAX_CREDENTIALS {
            return Err(StreamError::CredentialsTooLong);
        }
        let limit = self.options.max_admissions;
        if self.admissions.len() >= limit {
            return Err(StreamError::AdmissionLimitReached { limit });
        }
        if let Some(address) = request.address {
            let limit = self.options.max_admissions_per_address;
            let count = self.admissions_by_address.entry(address.ip()).or_default();
            if *count >= limit {
                return Err(StreamError::AdmissionLimitReached { limit });
            }
            *count += 1;
        }
        let id = AdmissionId(self.next_admission);
        self.next_admission += 1;
        let deadline = now + self.options.authorize_timeout;
        self.outputs.push(Output::Authorize {
            admission: id,
            action,
            request: Box::new(request.clone()),
        });
        request.credentials = crate::request::Credentials::default();
        self.admissions.insert(
            id,
            Admission {
                action,
                request,
                stage: Stage::Asked,
                deadline: Some(deadline),
            },
        );
        self.timers.set(deadline, Timer::Admission(id));
        self.sweep_timers();
        Ok(id)
    }

    fn admit(&mut self, id: AdmissionId, session: SessionId) {
        self.take_admission(id);
        self.outputs.push(Output::Admitted {
            admission: id,
            grant: Grant::Publish(session),
        });
    }

    /// Takes the key for an allowed publisher, or says why not. One step: nobody sees the key half taken.
    fn claim(
        &mut self,
        now: Instant,
        id: AdmissionId,
        request: &AccessRequest,
    ) -> Result<Claim, StreamError> {
        if self.is_reserved(&request.key) {
            return Err(StreamError::StreamAlreadyPublishing);
        }
        let index = match self.keys.get(&request.key) {
            Some(index) => *index,
            None => self.create(now, &request.key)?,
        };
        let Some(stream) = self.streams.at_mut(index) else {
            return Err(StreamError::StreamNotFound);
        };
        let Some(app) = self.apps.get(stream.app) else {
            return Err(StreamError::AppNotFound);
        };
        if let Some(holder) = &stream.session {
            let policy = app.spec.takeover;
            // Who is nobody in particular is not the one who holds it, unless that one is gone without a word.
            let is_holder = match &holder.identity {
                Some(_) => holder.identity == request.identity,
                None => now.saturating_duration_since(holder.active) >= SILENT,
            };
            let takeover = if is_holder {
                policy.same_identity
            } else {
                policy.other_identity
            };
            match takeover {
                Takeover::Reject => return Err(StreamError::StreamAlreadyPublishing),
                Takeover::Queue if stream.queue.len() >= app.spec.limits.max_queue => {
                    return Err(StreamError::StreamAlreadyPublishing);
                }
                Takeover::Queue => {
                    stream.queue.push_back(id);
                    return Ok(Claim::Waits);
                }
                Takeover::Replace => {
                    self.end_session(now, index, FinishReason::Replaced, true);
                }
            }
        } else {
            self.room_for_publisher()?;
        }
        let session = self.session(now, index, request);
        let begun = self.begin_session(now, index, session);
        begun.map(Claim::Has).ok_or(StreamError::StreamNotFound)
    }

    pub(crate) fn create(&mut self, now: Instant, key: &StreamKey) -> Result<u32, StreamError> {
        self.room_for_publisher()?;
        let limit = self.options.max_ring_bytes;
        if self.ring_bytes >= limit {
            return Err(StreamError::RingMemoryExhausted { limit });
        }
        let app = self.app_names.get(key.app());
        let app = *app.ok_or(StreamError::AppNotFound)?;
        let home = self.apps.get_mut(app).ok_or(StreamError::AppNotFound)?;
        let limit = home.spec.limits.max_streams;
        if home.streams >= limit {
            return Err(StreamError::StreamLimitReached { limit });
        }
        home.streams += 1;
        let key = Arc::new(key.clone());
        let (index, _) = self.streams.insert(|index, generation| {
            let id = StreamId { index, generation };
            Box::new(Stream::new(now, id, Arc::clone(&key), app, &home.spec))
        });
        self.keys.insert(Arc::clone(&key), index);
        self.note_layer(&key, index);
        Ok(index)
    }

    pub(crate) const fn room_for_publisher(&self) -> Result<(), StreamError> {
        let limit = self.options.max_publishers;
        if self.publishers >= limit {
            return Err(StreamError::PublisherLimitReached { limit });
        }
        Ok(())
    }

    pub(crate) fn session(&self, now: Instant, index: u32, request: &AccessRequest) -> Session {
        let app = self
            .streams
            .at(index)
            .and_then(|stream| self.apps.get(stream.app));
        let limited = app.and_then(|app| app.spec.limits.max_bytes_per_second);
        Session {
            identity: request.identity.clone(),
            protocol: request.protocol.clone(),
            address: request.address,
            active: now,
            frames: 0,
            bytes: 0,
            rate: limited.map(|_| Window::new(RATE_WINDOW)),
            of: None,
            reserves_layers: false,
        }
    }
}

const MAX_CREDENTIALS: usize = 8 << 10;
/// A publisher that nobody knows and that sends nothing for so long was killed, or lost its way: media has no such gaps.
const SILENT: std::time::Duration = std::time::Duration::from_secs(2);
/// A keyframe may come at many times the mean rate, so a limit is one over more than a moment.
pub(crate) const RATE_WINDOW: std::time::Duration = std::time::Duration::from_secs(2);
