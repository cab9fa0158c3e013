//! WHIP and WHEP: what their machine asks for, done with clients of halls.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use sluice_live::{
    AccessRequest, Action as Access, FinishReason, Protocol, SessionId as Turn, StreamError,
};
use sluice_media::StreamKey;
use sluice_proto::Permission;
use sluice_proto::wish::{
    Action, Candidate, Endpoint, IceCredentials, LayerSelection, Options, Outcome, Output,
    Protocol as WishProtocol, Request, Response, SdpFragment, SessionId, Step, Ticket,
};
use sluice_sfu::{ClientId, ClientOptions, PreferredLayers, Role, SfuError};

use super::Live;
use super::access::{Asked, socket_address};
use super::event_bodies::{EventBodies, EventsId};
use super::hall::close;
use super::http::{LiveRequest, LiveResponse, Reply};
use super::offer::{is_rejected_in_part, sending_only};
use crate::error::ServerError;
use crate::rooms::Rooms;

/// The sessions of WHIP and WHEP on this shard.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) endpoint: Endpoint,
    replies: HashMap<Ticket, Reply>,
    peers: HashMap<SessionId, Peer>,
    sessions: HashMap<ClientId, SessionId>,
    pub(super) bodies: EventBodies,
    /// Streams whose viewers are to be told something at the end of the turn.
    pub(super) untold: Vec<StreamKey>,
}

#[derive(Debug)]
struct Peer {
    client: ClientId,
    /// What it watches, if it does, and in whose hall.
    watches: Option<(StreamKey, StreamKey)>,
    /// The newest remote description: an ICE restart changes its credentials alone.
    offer: String,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new(Options::default()),
            bodies: EventBodies::default(),
            untold: Vec::new(),
            replies: HashMap::new(),
            peers: HashMap::new(),
            sessions: HashMap::new(),
        }
    }
}

impl Wish {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.endpoint.deadline()
    }

    /// Sessions that have a URL.
    pub(super) fn sessions(&self) -> usize {
        self.endpoint.session_count()
    }
}

impl Live {
    pub(super) fn handle_wish(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        request: &LiveRequest,
        entropy: [u8; 24],
        reply: Reply,
    ) {
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let step = self.wish.endpoint.handle(
            now,
            &Request {
                method: &request.method,
                prefix: &request.prefix,
                path: &request.path,
                query: &request.query,
                headers: &headers,
                body: &request.body,
                peer: request.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                entropy,
            },
        );
        self.follow(now, rooms, step, reply, None);
    }

    /// The authorizer has spoken: with a publisher's turn, with a viewer's leave, or with a refusal.
    pub(super) fn wish_granted(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        ticket: Ticket,
        granted: Result<Option<Turn>, StreamError>,
    ) {
        let Some(reply) = self.wish.replies.remove(&ticket) else {
            if let Ok(Some(turn)) = granted {
                self.finish(now, turn, FinishReason::Disconnected);
            }
            return;
        };
        let outcome = match &granted {
            Err(StreamError::Unauthorized { reason }) => match reason {
                sluice_live::Denial::BadCredentials | sluice_live::Denial::Expired => {
                    Outcome::Unauthenticated
                }
                _ => Outcome::Forbidden,
            },
            Err(StreamError::AppNotFound) => Outcome::Forbidden,
            _ => Outcome::Allowed,
        };
        let step = self.wish.endpoint.resume(now, ticket, outcome);
        match step {
            Some(step) => self.follow(now, rooms, step, reply, Some(granted)),
            None => {
                if let Ok(Some(turn)) = granted {
                    self.finish(now, turn, FinishReason::Disconnected);
                }
            }
        }
    }

    pub(super) fn wish_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        let endpoint = &mut self.wish.endpoint;
        if endpoint.deadline().is_some_and(|at| at <= now) {
            endpoint.handle_timeout(now);
        }
        self.take_wish_outputs(now, rooms);
    }

    pub(super) fn take_wish_outputs(&mut self, now: Instant, rooms: &mut Rooms) {
        while let Some(output) = self.wish.endpoint.poll_output() {
            match output {
                Output::Respond { ticket, response } => {
                    if let Some(reply) = self.wish.replies.remove(&ticket) {
                        self.answer(reply, response);
                    }
                }
                Output::Events { reader } => self.wish.answer_events(reader),
                Output::Close { session } => self.end(now, rooms, session),
                _ => {}
            }
        }
    }

    /// A client is gone: so is its URL.
    pub(super) fn wish_gone(&mut self, client: ClientId) {
        if let Some(session) = self.wish.sessions.remove(&client) {
            self.wish.endpoint.closed(session);
            self.leave(session);
        }
    }

    /// Does what the machine asks for until it has an answer, or has to wait for one.
    fn follow(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        mut step: Step,
        reply: Reply,
        mut granted: Option<Result<Option<Turn>, StreamError>>,
    ) {
        loop {
            let (ticket, action) = match step {
                Step::Respond(response) => {
                    if let Some(Ok(Some(turn))) = granted {
                        self.finish(now, turn, FinishReason::Malformed);
                    }
                    self.answer(reply, response);
                    return;
                }
                Step::Act { ticket, action } => (ticket, action),
            };
            let outcome = match action {
                Action::Authorize {
                    permission,
                    key,
                    token,
                    peer,
                } => {
                    self.wish.replies.insert(ticket, reply);
                    let token = token.map(|token| token.as_str().into());
                    self.ask_for(now, rooms, ticket, permission, key, token, peer);
                    return;
                }
                Action::Create {
                    session,
                    protocol,
                    key,
                    offer,
                    ..
                } => {
                    let turn = granted.take().unwrap_or(Err(StreamError::NotAdmitted));
                    self.create(now, rooms, session, protocol, &key, offer, turn)
                }
                Action::Trickle { session, fragment } => {
                    self.trickle(now, rooms, session, &fragment)
                }
                Action::RestartIce { session, fragment } => {
                    self.restart_ice(now, rooms, session, &fragment)
                }
                Action::SelectLayer { session, selection } => {
                    self.select_layer(now, rooms, session, &selection)
                }
                Action::Close { session } => {
                    self.end(now, rooms, session);
                    Outcome::Done
                }
                _ => Outcome::Failed,
            };
            match self.wish.endpoint.resume(now, ticket, outcome) {
                Some(next) => step = next,
                None => return,
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one action")]
    fn ask_for(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        ticket: Ticket,
        permission: Permission,
        key: StreamKey,
        token: Option<Box<str>>,
        peer: IpAddr,
    ) {
        let (action, protocol) = match permission {
            Permission::Publish => (Access::Publish, Protocol::WHIP),
            // WISH asks for no recordings.
            Permission::Play | Permission::Playback => (Access::Play, Protocol::WHEP),
        };
        let mut request = AccessRequest::new(key, protocol);
        request.address = Some(socket_address(peer));
        request.credentials.token = token;
        if let Err((asked, error)) = self.ask(now, action, request, Asked::Wish(ticket), false) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one action")]
    fn create(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        protocol: WishProtocol,
        key: &StreamKey,
        offer: String,
        granted: Result<Option<Turn>, StreamError>,
    ) -> Outcome {
        let turn = match granted {
            Ok(turn) => turn,
            Err(StreamError::StreamAlreadyPublishing) => return Outcome::AlreadyPublishing,
            Err(_) => return Outcome::Busy,
        };
        let offer = match protocol {
            WishProtocol::Whip => sending_only(&offer),
            WishProtocol::Whep => offer,
        };
        let home = match turn {
            Some(_) => Some(key.clone()),
            None => self.watched_in(key),
        };
        let Some(home) = home else {
            return Outcome::NoPublisher;
        };
        match self.enter(now, rooms, &home, protocol, &offer, turn) {
            Ok((client, answer)) => {
                let watches = match protocol {
                    WishProtocol::Whip => None,
                    WishProtocol::Whep => Some((home.clone(), key.clone())),
                };
                if watches.is_some()
                    && let Some(hall) = self.halls.get_mut(&home)
                {
                    hall.watched.entry(key.clone()).or_default().sessions += 1;
                    self.wish.untold.push(home.clone());
                }
                if home != *key {
                    let rid = key.layer_name().map(str::to_owned);
                    let layers = PreferredLayers {
                        rid,
                        ..PreferredLayers::default()
                    };
                    // Without pictures in its offer there is nothing to choose.
                    let _ = prefer(now, rooms, client, layers);
                }
                let peer = Peer {
                    client,
                    watches,
                    offer,
                };
                self.wish.peers.insert(session, peer);
                self.wish.sessions.insert(client, session);
                Outcome::Answered {
                    answer,
                    ice_servers: Vec::new(),
                }
            }
            Err(error) => {
                if let Some(turn) = turn {
                    self.finish(now, turn, FinishReason::Malformed);
                }
                self.close_empty_hall(now, rooms, &home);
                error
            }
        }
    }

    /// In whose hall a stream is watched: a layer of a publisher there beside its siblings, any other by itself.
    fn watched_in(&self, key: &StreamKey) -> Option<StreamKey> {
        let base = key.layer_base();
        let hall = self.halls.get(&base);
        let publisher = hall.and_then(|hall| hall.publisher.as_ref());
        let name = key.layer_name();
        let is_sent = name.is_some_and(|name| publisher.is_some_and(|p| p.sends(name)));
        let home = if is_sent { &base } else { key };
        self.engine.stream(home).map(|_| home.clone())
    }

    /// A new client of the stream's hall, and the answer to its offer.
    fn enter(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
        protocol: WishProtocol,
        offer: &str,
        turn: Option<Turn>,
    ) -> Result<(ClientId, String), Outcome> {
        let room = self
            .hall(now, rooms, key)
            .map_err(|error| outcome_of(&error))?;
        let mut options = ClientOptions::default();
        options.role = match protocol {
            WishProtocol::Whip => Role::Publish,
            WishProtocol::Whep => Role::Subscribe,
        };
        let client = rooms
            .insert(now, room, options)
            .map_err(|error| outcome_of(&error))?;
        if let Some(turn) = turn {
            // It holds the key: it was admitted in this very turn.
            let _ = self.engine.reserve_layers(now, turn);
            self.begin_turn(now, rooms, key, client, turn);
        } else {
            if let Some(hall) = self.halls.get_mut(key) {
                hall.viewers.push(client);
            }
            self.open_source(now, rooms, key);
        }
        let answer = rooms.client(now, client, |room, out| {
            room.accept_offer(now, client, offer, out)
        });
        let refusal = match answer {
            Ok(answer) if turn.is_some() && is_rejected_in_part(offer, &answer) => {
                Outcome::Unprocessable
            }
            Ok(answer) => return Ok((client, answer)),
            Err(error) => outcome_of(&error),
        };
        close(now, rooms, client, "its offer was refused");
        Err(refusal)
    }

    fn trickle(
        &self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        fragment: &SdpFragment,
    ) -> Outcome {
        let Some(peer) = self.wish.peers.get(&session) else {
            return Outcome::Gone;
        };
        let client = peer.client;
        for candidate in fragment.candidates() {
            let added = rooms.client(now, client, |room, out| {
                room.add_ice_candidate(now, client, candidate.as_str(), out)
            });
            match added {
                // One that we cannot use does no harm (RFC 9725 §4.3.2).
                Ok(()) | Err(ServerError::Sfu(SfuError::Candidate(_))) => {}
                Err(error) => return outcome_of(&error),
            }
        }
        Outcome::Done
    }

    fn restart_ice(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        fragment: &SdpFragment,
    ) -> Outcome {
        let (Some(peer), Some(credentials)) =
            (self.wish.peers.get_mut(&session), fragment.credentials())
        else {
            return Outcome::Gone;
        };
        let offer = with_credentials(&peer.offer, credentials, fragment);
        let client = peer.client;
        let answer = rooms.client(now, client, |room, out| {
            room.accept_offer(now, client, &offer, out)
        });
        match answer {
            Ok(answer) => {
                peer.offer = offer;
                restarted(&answer)
            }
            Err(error) => outcome_of(&error),
        }
    }

    fn select_layer(
        &self,
        now: Instant,
        rooms: &mut Rooms,
        session: SessionId,
        selection: &LayerSelection,
    ) -> Outcome {
        let Some(peer) = self.wish.peers.get(&session) else {
            return Outcome::Gone;
        };
        let client = peer.client;
        let layers = PreferredLayers {
            rid: selection.rid.as_deref().map(str::to_owned),
            spatial: selection.spatial_layer.or(selection.max_spatial_layer),
            temporal: selection.temporal_layer.or(selection.max_temporal_layer),
        };
        match prefer(now, rooms, client, layers) {
            Ok(true) => Outcome::Done,
            Ok(false) => Outcome::Unprocessable,
            Err(error) => outcome_of(&error),
        }
    }

    fn end(&mut self, now: Instant, rooms: &mut Rooms, session: SessionId) {
        if let Some(client) = self.leave(session) {
            close(now, rooms, client, "the session was deleted");
        }
    }

    /// A session is over; whose it was, if it was not over before.
    fn leave(&mut self, session: SessionId) -> Option<ClientId> {
        let peer = self.wish.peers.remove(&session)?;
        if let Some((home, key)) = peer.watches
            && let Some(hall) = self.halls.get_mut(&home)
            && let Some(watch) = hall.watched.get_mut(&key)
        {
            watch.sessions = watch.sessions.saturating_sub(1);
            if watch.sessions == 0 {
                hall.watched.remove(&key);
            }
        }
        Some(peer.client)
    }

    fn answer(&mut self, reply: Reply, response: Response) {
        let events = response.events;
        let response = live_response(response, events.map(|to| self.open_events(to)));
        let opened = response.events;
        // Who hung up needs no answer.
        if reply.send(Ok(response)).is_err()
            && let Some(events) = opened
        {
            self.close_events(events);
        }
    }
}

/// Which layer of its picture a viewer is to get; false where it has none.
fn prefer(
    now: Instant,
    rooms: &mut Rooms,
    client: ClientId,
    layers: PreferredLayers,
) -> Result<bool, ServerError> {
    rooms.client(now, client, |room, out| {
        let stats = room.client_stats(now, client)?;
        let video = stats
            .subscriptions
            .iter()
            .find(|subscription| subscription.subscription.kind == sluice_media::MediaKind::Video);
        let Some(video) = video else { return Ok(false) };
        let track = video.subscription.track_id;
        room.set_preferred_layers(now, client, track, layers, out)?;
        Ok(true)
    })
}

fn live_response(response: Response, events: Option<EventsId>) -> LiveResponse {
    LiveResponse {
        status: response.status,
        headers: response
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        body: response.body.into(),
        events,
    }
}

fn outcome_of(error: &ServerError) -> Outcome {
    match error {
        ServerError::Sfu(SfuError::Sdp(_) | SfuError::SdpFatal(_)) => Outcome::Malformed,
        ServerError::Sfu(SfuError::Full) | ServerError::Busy => Outcome::Busy,
        ServerError::Closed => Outcome::Gone,
        _ => Outcome::Failed,
    }
}

/// The same description with other ICE credentials and candidates: an offer to restart (RFC 9429 §5.2.1).
fn with_credentials(offer: &str, credentials: &IceCredentials, fragment: &SdpFragment) -> String {
    let mut text = String::with_capacity(offer.len() + 256);
    for line in offer.lines() {
        if line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates") {
            continue;
        }
        if line.starts_with("a=ice-ufrag:") {
            text += "a=ice-ufrag:";
            text += credentials.ufrag();
        } else if line.starts_with("a=ice-pwd:") {
            text += "a=ice-pwd:";
            text += credentials.pwd();
        } else {
            text += line;
        }
        text += "\r\n";
    }
    // Everything is bundled into one transport: behind the last section is as good as behind the first.
    for candidate in fragment.candidates() {
        text += "a=";
        text += candidate.as_str();
        text += "\r\n";
    }
    text
}

/// Our side of a restart, out of the answer to it.
fn restarted(answer: &str) -> Outcome {
    let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name));
    let credentials = value("a=ice-ufrag:")
        .zip(value("a=ice-pwd:"))
        .and_then(|(ufrag, pwd)| IceCredentials::new(ufrag, pwd).ok());
    let Some(credentials) = credentials else {
        return Outcome::Failed;
    };
    let mut candidates: Vec<Candidate> = Vec::new();
    for line in answer.lines() {
        let candidate = line.strip_prefix("a=").map(Candidate::parse);
        if let Some(Ok(candidate)) = candidate
            && !candidates.contains(&candidate)
        {
            candidates.push(candidate);
        }
    }
    Outcome::Restarted {
        credentials,
        candidates,
    }
}
