//! Foreign servers: those that a stream is pushed to by WHIP, and those that one is pulled from by WHEP.
//!
//! Here is the client of the hall that stands for the server, and its side of the negotiation. What goes over HTTP is the
//! caller's: it takes the offer, and brings what the server says to it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use sluice_live::{
    AccessRequest, Action, FinishReason, Identity, Protocol, SessionId, StreamError,
};
use sluice_media::{Codec, MediaKind, StreamKey};
use sluice_sfu::{
    Calling, ClientId, ClientOptions, CloseReason, LocalCandidate, Role, SfuError, Transport,
};
use tokio::sync::oneshot;

use super::Live;
use super::access::Asked;
use super::gather::expected_tracks;
use super::offer::is_open_at_all;
use crate::error::ServerError;
use crate::rooms::Rooms;
use crate::shard_number::{on_shard, shard_of};

/// A foreign server that is called. Its shard is in its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(u64);

impl CallId {
    /// The shard its stream is at home on.
    pub(crate) fn shard(self) -> usize {
        shard_of(self.0)
    }
}

/// What a foreign server is called for.
#[derive(Debug, Clone)]
pub enum CallWish {
    /// It gets a stream (RFC 9725). The offer waits until the stream's tracks are known.
    Push(StreamKey),
    /// It gives one (draft-ietf-wish-whep), which is published under this key and identity once the server has answered.
    Pull(StreamKey, Identity),
}

impl CallWish {
    /// The stream it is about.
    pub(crate) const fn key(&self) -> &StreamKey {
        match self {
            Self::Push(key) | Self::Pull(key, _) => key,
        }
    }
}

/// A call that has begun.
#[derive(Debug, Clone)]
pub struct CallOffer {
    /// Its name.
    pub id: CallId,
    /// What the server is to answer.
    pub sdp: String,
}

/// What a foreign server says to our offer.
#[derive(Debug, Clone)]
pub enum CallDescription {
    /// It takes it.
    Answer(String),
    /// It makes another in its place, for us to answer (draft-ietf-wish-whep-04 §4.3.2).
    CounterOffer(String),
}

/// What becomes of a call, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallNews {
    /// Media may flow.
    Connected,
    /// It is over. Nothing follows.
    Ended(CloseReason),
}

pub(super) type OfferReply = oneshot::Sender<Result<CallOffer, ServerError>>;
/// With our answer to a counter-offer.
type AnswerReply = oneshot::Sender<Result<Option<String>, ServerError>>;
type NewsReply = oneshot::Sender<Result<CallNews, ServerError>>;

/// A pull whose server has answered, on its way to the key.
#[derive(Debug)]
pub(super) struct Answered {
    id: CallId,
    description: CallDescription,
    reply: AnswerReply,
}

impl Answered {
    pub(super) fn refuse(self, error: ServerError) {
        // Who no longer waits needs no refusal.
        let _ = self.reply.send(Err(error));
    }
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<CallId, Call>,
    clients: HashMap<ClientId, CallId>,
    /// Pushes of streams whose tracks are not known yet. Each holds a port, of which there are few.
    early: Vec<EarlyPush>,
    due: Option<Instant>,
    next: u64,
}

#[derive(Debug)]
struct Call {
    key: StreamKey,
    client: ClientId,
    /// Who publishes, if it is a pull.
    identity: Option<Identity>,
    news: VecDeque<CallNews>,
    waiting: Option<NewsReply>,
}

#[derive(Debug)]
struct EarlyPush {
    key: StreamKey,
    line: u16,
    /// Once the stream has tracks, the client that gets them.
    client: Option<ClientId>,
    reply: OfferReply,
}

impl Calls {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Those whose offers were made.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Tells the caller that this client has no more to do here, if it is one that was called: whoever called it takes
    /// leave before it is closed, so that its server knows why.
    pub(super) fn is_told(&mut self, client: ClientId, why: &str) -> bool {
        let is_called = self.clients.contains_key(&client);
        let reason = CloseReason::Application(why.to_owned());
        self.tell(client, CallNews::Ended(reason));
        is_called
    }

    fn tell(&mut self, client: ClientId, news: CallNews) {
        let Some(id) = self.clients.get(&client).copied() else {
            return;
        };
        if matches!(news, CallNews::Ended(_)) {
            self.clients.remove(&client);
        }
        let Some(call) = self.open.get_mut(&id) else {
            return;
        };
        call.news.push_back(news);
        call.answer();
    }
}

impl Call {
    fn answer(&mut self) {
        if let Some(news) = self.news.front()
            && let Some(reply) = self.waiting.take()
            && reply.send(Ok(news.clone())).is_ok()
        {
            self.news.pop_front();
        }
    }
}

impl Live {
    /// Calls a foreign server from a port of its own, `line`.
    pub(crate) fn call(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        wish: CallWish,
        line: Option<u16>,
        reply: OfferReply,
    ) {
        let Some(line) = line else {
            drop(reply.send(Err(ServerError::Busy)));
            return;
        };
        match wish {
            CallWish::Push(key) => {
                self.calls.early.push(EarlyPush {
                    key,
                    line,
                    client: None,
                    reply,
                });
                self.calls.due = Some(now);
                self.calls_on_time(now, rooms);
            }
            CallWish::Pull(key, identity) => {
                let calling = Calling {
                    candidates: self.candidates_at(line),
                    codecs: CODECS.to_vec(),
                    receive: vec![MediaKind::Video, MediaKind::Audio],
                };
                let client = if self.is_held_by_another(&key, &identity) {
                    rooms.hung_up.push(line);
                    Err(StreamError::StreamAlreadyPublishing.into())
                } else {
                    self.dial(now, rooms, &key, line, calling)
                };
                let call = client.map(|client| Call {
                    key,
                    client,
                    identity: Some(identity),
                    news: VecDeque::new(),
                    waiting: None,
                });
                self.offer(now, rooms, call, reply);
            }
        }
    }

    /// Goes on with pushes that wait for tracks.
    pub(super) fn calls_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        if self.calls.due.is_none_or(|at| at > now) {
            return;
        }
        for mut push in std::mem::take(&mut self.calls.early) {
            match self.try_push(now, rooms, &mut push) {
                Some(call) => self.offer(now, rooms, call, push.reply),
                None => self.calls.early.push(push),
            }
        }
        self.calls.due = (!self.calls.early.is_empty()).then(|| now + EARLY);
    }

    /// The call of a push whose stream's tracks are all there.
    fn try_push(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        push: &mut EarlyPush,
    ) -> Option<Result<Call, ServerError>> {
        let refused = |error| Some(Err(error));
        let view = self.engine.stream(&push.key);
        if view.is_none() || push.reply.is_closed() {
            match push.client.take() {
                Some(client) => hang_up(now, rooms, client, NOT_TAKEN),
                None => rooms.hung_up.push(push.line),
            }
            return refused(StreamError::StreamNotFound.into());
        }
        let codecs: Vec<Codec> = view?.tracks(now).map(|t| t.config.codec).collect();
        let Some(client) = push.client else {
            if codecs.is_empty() || codecs.len() < expected_tracks(&self.engine, now, &push.key) {
                return None;
            }
            let calling = Calling {
                candidates: self.candidates_at(push.line),
                codecs,
                receive: Vec::new(),
            };
            match self.dial(now, rooms, &push.key, push.line, calling) {
                Ok(client) => push.client = Some(client),
                Err(error) => return refused(error),
            }
            // A stream's source opens its tracks in the hall at the end of the turn.
            return None;
        };
        let stats = rooms.client(now, client, |room, _| room.client_stats(now, client));
        let wished = stats.map(|stats| stats.subscriptions.len());
        let taken = codecs.iter().filter(|codec| CODECS.contains(codec)).count();
        match wished {
            Ok(wished) if wished < taken => None,
            Ok(0) => {
                hang_up(now, rooms, client, NOT_TAKEN);
                refused(sluice_live::FrameError::CodecMismatch.into())
            }
            Ok(_) => Some(Ok(Call {
                key: push.key.clone(),
                client,
                identity: None,
                news: VecDeque::new(),
                waiting: None,
            })),
            // It was closed before it came to an offer.
            Err(_) => refused(ServerError::Busy),
        }
    }

    /// A new client of the stream's hall that stands for the server.
    fn dial(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
        line: u16,
        calling: Calling,
    ) -> Result<ClientId, ServerError> {
        let mut options = ClientOptions::default();
        let publishes = !calling.receive.is_empty();
        options.role = if publishes {
            Role::Publish
        } else {
            Role::Subscribe
        };
        // One track of a kind is what these protocols know (RFC 9725 §4.4.2).
        (options.video_slots, options.audio_slots) = (1, 1);
        options.calling = Some(calling);
        let room = self.hall(now, rooms, key);
        let client = room.and_then(|room| rooms.insert_called(now, room, options, line));
        let Ok(client) = client else {
            rooms.hung_up.push(line);
            return client;
        };
        if let Some(hall) = self.halls.get_mut(key) {
            if publishes {
                hall.callers.push(client);
            } else {
                hall.viewers.push(client);
                self.open_source(now, rooms, key);
            }
        }
        Ok(client)
    }

    /// Tells the caller what to offer.
    fn offer(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        call: Result<Call, ServerError>,
        reply: OfferReply,
    ) {
        let call = match call {
            Ok(call) => call,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let client = call.client;
        let offer = rooms.client(now, client, |room, out| room.create_offer(now, client, out));
        let sdp = match offer {
            Ok(Some(sdp)) => sdp,
            // There are m-lines to offer, or it would not have come so far.
            Ok(None) => String::new(),
            Err(error) => {
                hang_up(now, rooms, client, NOT_TAKEN);
                return drop(reply.send(Err(error)));
            }
        };
        self.calls.next += 1;
        let id = CallId(on_shard(self.calls.next, usize::from(self.shard)));
        self.calls.clients.insert(client, id);
        self.calls.open.insert(id, call);
        if reply.send(Ok(CallOffer { id, sdp })).is_err() {
            self.end_call(now, rooms, id, FinishReason::Disconnected);
        }
    }

    /// Applies what the server said. A pull takes its key by it, if nobody else has it meanwhile.
    pub(crate) fn answer_call(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: CallId,
        description: CallDescription,
        reply: AnswerReply,
    ) {
        let Some(call) = self.calls.open.get(&id) else {
            drop(reply.send(Err(ServerError::Closed)));
            return;
        };
        let Some(identity) = call.identity.clone() else {
            drop(reply.send(take(now, rooms, call.client, &description)));
            return;
        };
        let mut request = AccessRequest::new(call.key.clone(), Protocol::WHEP);
        request.identity = Some(identity);
        let answered = Answered {
            id,
            description,
            reply,
        };
        let asked = Asked::Call(Box::new(answered));
        if let Err((asked, error)) = self.ask(now, Action::Publish, request, asked, true) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    /// The key is the pull's.
    pub(super) fn call_admitted(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        answered: Answered,
    ) {
        let Answered {
            id,
            description,
            reply,
        } = answered;
        let call = self.calls.open.get(&id);
        let hall = call.and_then(|call| self.halls.get_mut(&call.key));
        let (Some(call), Some(hall)) = (call, hall) else {
            self.finish(now, session, FinishReason::Disconnected);
            return drop(reply.send(Err(ServerError::Closed)));
        };
        let client = call.client;
        if !hall.callers.contains(&client) {
            self.finish(now, session, FinishReason::Disconnected);
            return drop(reply.send(Err(ServerError::Closed)));
        }
        hall.callers.retain(|caller| *caller != client);
        let key = call.key.clone();
        self.begin_turn(now, rooms, &key, client, session);
        let taken = take(now, rooms, client, &description);
        if taken.is_err() {
            hang_up(now, rooms, client, NOT_TAKEN);
        }
        drop(reply.send(taken));
    }

    /// What becomes of a call next: resolves when there is something. One call at a time.
    pub(crate) fn watch_call(&mut self, id: CallId, reply: NewsReply) {
        let Some(call) = self.calls.open.get_mut(&id) else {
            drop(reply.send(Err(ServerError::Closed)));
            return;
        };
        if call.waiting.is_some() {
            drop(reply.send(Err(ServerError::Busy)));
            return;
        }
        call.waiting = Some(reply);
        call.answer();
    }

    /// Ends a call; one that is over is no error. `Completed` ends a pulled stream, anything else leaves it to wait for
    /// the next call.
    pub(crate) fn end_call(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: CallId,
        reason: FinishReason,
    ) {
        let Some(call) = self.calls.open.remove(&id) else {
            return;
        };
        self.calls.clients.remove(&call.client);
        if reason == FinishReason::Completed {
            super::hall::close(now, rooms, call.client, "the call was ended");
        } else {
            hang_up(now, rooms, call.client, "the call was given up");
        }
    }

    pub(super) fn call_connected(&mut self, client: ClientId) {
        self.calls.tell(client, CallNews::Connected);
    }

    pub(super) fn call_gone(&mut self, client: ClientId, reason: &CloseReason) {
        self.calls.tell(client, CallNews::Ended(reason.clone()));
    }

    fn is_held_by_another(&self, key: &StreamKey, identity: &Identity) -> bool {
        self.engine.stream(key).is_some_and(|view| {
            view.session().is_some() && view.metadata().identity.as_ref() != Some(identity)
        })
    }

    fn candidates_at(&self, port: u16) -> Vec<LocalCandidate> {
        let over_udp = |candidate: &&LocalCandidate| candidate.transport == Transport::Udp;
        let udp = self.candidates.iter().filter(over_udp);
        udp.map(|candidate| {
            let mut candidate = *candidate;
            candidate.address.set_port(port);
            candidate
        })
        .collect()
    }
}

/// Applies what a server said to our offer; our answer, where it was a counter-offer.
fn take(
    now: Instant,
    rooms: &mut Rooms,
    client: ClientId,
    description: &CallDescription,
) -> Result<Option<String>, ServerError> {
    let (CallDescription::Answer(sdp) | CallDescription::CounterOffer(sdp)) = description;
    if !is_open_at_all(sdp) {
        let why = "all of its m-lines are rejected";
        return Err(SfuError::Sdp(why.to_owned()).into());
    }
    rooms.client(now, client, |room, out| match description {
        CallDescription::Answer(sdp) => {
            room.accept_answer(now, client, sdp, out)?;
            Ok(None)
        }
        CallDescription::CounterOffer(sdp) => room.accept_offer(now, client, sdp, out).map(Some),
    })
}

/// Closes a client so that the stream it may publish waits for the next one.
fn hang_up(now: Instant, rooms: &mut Rooms, client: ClientId, why: &str) {
    let reason = CloseReason::Sdp(why.to_owned());
    // One that is gone already is no error.
    let _ = rooms.client(now, client, |room, out| {
        room.close_client(now, client, reason, out)
    });
}

/// What a foreign server is offered to send.
const CODECS: [Codec; 5] = [Codec::Opus, Codec::Vp8, Codec::H264, Codec::Vp9, Codec::Av1];
const NOT_TAKEN: &str = "its answer was not taken";
/// How often pushes look for their streams' tracks.
const EARLY: Duration = Duration::from_millis(50);
