//! Who may publish and play: a request's way to the authorizer and back.

use std::net::IpAddr;
use std::time::Instant;

use sluice_live::{
    AccessRequest, Action, AdmissionId, Denial, Grant, Identity, StreamError, Verdict,
};
use sluice_media::StreamKey;
use sluice_proto::wish::Ticket;

use super::Live;
use super::bridge::{CastGrant, ShowWish};
use super::call::Answered;
use super::hls::{HlsWish, refusal, say};
use super::playback::PlaybackReply;
use super::record::RecordWish;
use super::script::{PublishReply, ReadWish};
use super::values::{AuthorizeRequest, LiveEvent};
use crate::rooms::Rooms;
use crate::shard_number::on_shard;

/// Who decides what the clients of protocols may do. The application's own calls need nobody's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Access {
    /// Nobody: all are refused.
    #[default]
    Denied,
    /// Nobody: all are let in.
    Open,
    /// Whoever listens to [`LiveEvent::Authorize`]; silent for 5 s is refused.
    Listener,
}

/// What follows from a verdict.
#[derive(Debug)]
pub(super) enum Asked {
    /// A request of WHIP or WHEP goes on.
    Wish(Ticket),
    /// The application has a publisher.
    Publish(PublishReply),
    /// The application has a reader.
    Read(ReadWish),
    /// A stream's hall gets its frames.
    Hall(StreamKey),
    /// A player of HLS gets its answer.
    Hls(Box<HlsWish>),
    /// A stream's packager gets its frames.
    Packager(StreamKey),
    /// A foreign server's stream gets its key.
    Call(Box<Answered>),
    /// Recordings are played back.
    Playback(PlaybackReply),
    /// A recording gets its frames.
    Record(StreamKey, Box<RecordWish>),
    /// What a room has becomes a stream.
    Cast(CastGrant),
    /// A room gets a stream's frames.
    Show(Box<ShowWish>),
}

/// A request before the authorizer.
#[derive(Debug)]
pub(super) struct Waiting {
    asked: Asked,
    /// What the listener calls it.
    number: Option<u64>,
}

impl Live {
    /// Says who decides from now on.
    pub(crate) fn set_access(&mut self, access: Access) {
        self.access = access;
    }

    /// A verdict of the listener: `None` refuses. One that comes too late changes nothing.
    pub(crate) fn decide(
        &mut self,
        now: Instant,
        number: u64,
        verdict: Result<Option<Identity>, Denial>,
    ) {
        let Some(admission) = self.numbered.remove(&number) else {
            return;
        };
        let verdict = match verdict {
            Ok(identity) => Verdict::Allow { identity },
            Err(reason) => Verdict::Deny { reason },
        };
        let _ = self.engine.decide(now, admission, verdict);
    }

    /// Puts a wish before the authorizer, or grants it at once when it is the application's `own`.
    ///
    /// # Errors
    /// When it is refused without asking; `asked` comes back.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        action: Action,
        request: AccessRequest,
        asked: Asked,
        own: bool,
    ) -> Result<(), (Asked, StreamError)> {
        let identity = request.identity.clone();
        let admission = match action {
            Action::Publish => self.engine.request_publish(now, request),
            Action::Play => self.engine.request_play(now, request),
            Action::Playback => self.engine.request_playback(now, request),
        };
        let admission = match admission {
            Ok(admission) => admission,
            Err(error) => return Err((asked, error)),
        };
        let waiting = Waiting {
            asked,
            number: None,
        };
        self.waiting.insert(admission, waiting);
        if own {
            self.own.push(admission);
            let verdict = Verdict::Allow { identity };
            let _ = self.engine.decide(now, admission, verdict);
        }
        Ok(())
    }

    pub(super) fn authorize(
        &mut self,
        now: Instant,
        admission: AdmissionId,
        action: Action,
        request: AccessRequest,
    ) {
        if let Some(place) = self.own.iter().position(|own| *own == admission) {
            self.own.swap_remove(place);
            return;
        }
        let verdict = match self.access {
            Access::Denied => Verdict::Deny {
                reason: Denial::NotAllowed,
            },
            Access::Open => Verdict::Allow { identity: None },
            Access::Listener => {
                self.next_number += 1;
                let number = on_shard(self.next_number, usize::from(self.shard));
                if let Some(waiting) = self.waiting.get_mut(&admission) {
                    waiting.number = Some(number);
                }
                self.numbered.insert(number, admission);
                self.events.push(LiveEvent::Authorize(AuthorizeRequest {
                    number,
                    action,
                    key: request.key,
                    protocol: request.protocol,
                    address: request.address.map(|address| address.ip()),
                    credentials: request.credentials,
                }));
                return;
            }
        };
        let _ = self.engine.decide(now, admission, verdict);
    }

    pub(super) fn admitted(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        admission: AdmissionId,
        grant: Grant,
    ) {
        match (self.forget_waiting(admission), grant) {
            (Some(Asked::Wish(ticket)), Grant::Publish(session)) => {
                self.wish_granted(now, rooms, ticket, Ok(Some(session)));
            }
            (Some(Asked::Wish(ticket)), Grant::Play) => {
                self.engine.cancel(admission);
                self.wish_granted(now, rooms, ticket, Ok(None));
            }
            (Some(Asked::Publish(reply)), Grant::Publish(session)) => {
                self.open_publisher(now, session, reply);
            }
            (Some(Asked::Call(answered)), Grant::Publish(session)) => {
                self.call_admitted(now, rooms, session, *answered);
            }
            (Some(Asked::Read(wish)), Grant::Play) => self.open_reader(now, admission, wish),
            (Some(Asked::Hall(key)), Grant::Play) => self.start_source(now, admission, &key),
            (Some(Asked::Hls(wish)), Grant::Play) => self.hls_granted(now, admission, *wish),
            (Some(Asked::Packager(key)), Grant::Play) => self.start_packager(now, admission, &key),
            (Some(Asked::Record(key, wish)), Grant::Play) => {
                self.start_recorder(now, admission, &key, *wish);
            }
            (Some(Asked::Cast(cast)), Grant::Publish(session)) => {
                self.start_cast(now, session, cast);
            }
            (Some(Asked::Show(wish)), Grant::Play) => self.start_show(now, admission, *wish),
            (Some(Asked::Playback(reply)), Grant::Play) => {
                self.engine.cancel(admission);
                // Who hung up needs no answer.
                let _ = reply.send(Ok(None));
            }
            (_, Grant::Publish(session)) => {
                self.finish(now, session, sluice_live::FinishReason::Disconnected);
            }
            (_, Grant::Play) => self.engine.cancel(admission),
        }
    }

    pub(super) fn refused(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        admission: AdmissionId,
        error: StreamError,
    ) {
        self.own.retain(|own| *own != admission);
        if let Some(asked) = self.forget_waiting(admission) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    /// Tells whoever asked that it cannot be.
    pub(super) fn turn_down(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        asked: Asked,
        error: StreamError,
    ) {
        match asked {
            Asked::Wish(ticket) => self.wish_granted(now, rooms, ticket, Err(error)),
            // Who no longer waits needs no refusal.
            Asked::Publish(reply) => drop(reply.send(Err(error.into()))),
            Asked::Call(answered) => answered.refuse(error.into()),
            Asked::Read(wish) => drop(wish.reply.send(Err(error.into()))),
            // The hall stays without its frames, as its stream has none to give.
            Asked::Hall(_) => {}
            Asked::Hls(wish) => say(wish.reply, refusal(&error)),
            Asked::Packager(key) => self.close_packager(now, &key),
            Asked::Playback(reply) => drop(reply.send(Ok(Some(refusal(&error))))),
            Asked::Record(_, wish) => drop(wish.reply.send(Err(error.into()))),
            Asked::Cast(cast) => self.refuse_cast(cast, error),
            Asked::Show(wish) => drop(wish.reply.send(Err(error.into()))),
        }
    }

    fn forget_waiting(&mut self, admission: AdmissionId) -> Option<Asked> {
        let waiting = self.waiting.remove(&admission)?;
        if let Some(number) = waiting.number {
            self.numbered.remove(&number);
        }
        Some(waiting.asked)
    }
}

/// An address without a port, in the form requests carry.
pub(crate) fn socket_address(ip: IpAddr) -> std::net::SocketAddr {
    std::net::SocketAddr::new(ip, 0)
}
