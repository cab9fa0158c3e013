//! The machine: requests and outcomes in, responses and actions out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use sluice_media::StreamKey;

use super::action::{Action, Outcome, Step};
use super::bearer;
use super::entity_tag::EntityTag;
use super::event::Event;
use super::event_stream::{EventReader, StreamState};
use super::headers::seconds;
use super::http::{Request, Response, SDP};
use super::options::{Options, SessionAccess};
use super::pending::{Creation, PendingTable, Task, Ticket};
use super::problem::Problem;
use super::rate_limit::RateLimiter;
use super::route::{Place, Protocol, Route};
use super::session::Session;
use super::session_id::SessionId;
use crate::Permission;

/// All WHIP and WHEP resources of a server.
///
/// Each request goes to [`handle`](Self::handle), each action's outcome to [`resume`](Self::resume); after any call,
/// [`poll_output`](Self::poll_output) until it has nothing, then wait for the [`deadline`](Self::deadline).
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) options: Options,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// Streams that are watched, with what their viewers must know.
    pub(crate) streams: BTreeMap<StreamKey, (StreamState, BTreeSet<SessionId>)>,
    pub(crate) pending: PendingTable,
    pub(crate) deadlines: BTreeSet<(Instant, Due)>,
    pub(crate) output: VecDeque<Output>,
    posts: RateLimiter,
    session_requests: RateLimiter,
    draining: bool,
}

/// What happens at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A request has waited long enough for its outcome.
    Outcome(Ticket),
    /// A counter-offer is valid no longer.
    Answer(SessionId),
    /// An event stream has been silent.
    KeepAlive(EventReader),
}

/// What the caller does without having asked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Answers a request that waited too long.
    Respond {
        /// The request; an outcome for it comes too late.
        ticket: Ticket,
        /// Its response.
        response: Response,
    },
    /// Ends a session that nobody will ask for; no outcome is wanted.
    Close {
        /// Which.
        session: SessionId,
    },
    /// There is something to read: [`Endpoint::poll_events`].
    Events {
        /// For whom.
        reader: EventReader,
    },
}

impl Endpoint {
    /// An endpoint without sessions.
    pub fn new(options: Options) -> Self {
        Self {
            sessions: BTreeMap::new(),
            streams: BTreeMap::new(),
            pending: PendingTable::new(options.max_pending),
            deadlines: BTreeSet::new(),
            output: VecDeque::new(),
            posts: RateLimiter::new(options.posts, options.max_addresses),
            session_requests: RateLimiter::new(options.session_requests, options.max_addresses),
            draining: false,
            options,
        }
    }

    /// Bytes of content at most that any request may have; the caller answers 413 itself where more comes.
    pub fn max_body(&self) -> usize {
        self.options
            .max_offer_bytes
            .max(self.options.max_fragment_bytes)
    }

    /// Takes a request.
    pub fn handle(&mut self, now: Instant, request: &Request<'_>) -> Step {
        let result = self.dispatch(now, request);
        let mut step = self.step(result);
        if let Step::Respond(response) = &mut step
            && request.method == "HEAD"
        {
            response.body.clear();
        }
        step
    }

    /// Takes the outcome of an action. Nothing when nobody waits for it any more:
    /// a session that the action has made is then to be closed.
    pub fn resume(&mut self, now: Instant, ticket: Ticket, outcome: Outcome) -> Option<Step> {
        let task = self.take(ticket)?;
        let result = self.conclude(now, task, outcome);
        Some(self.step(result))
    }

    /// The client hung up before its answer: nobody waits for the outcome any more.
    pub fn abandon(&mut self, ticket: Ticket) {
        if let Some(task) = self.take(ticket) {
            self.forget(&task);
        }
    }

    /// The next thing the caller is to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, due)) = self.deadlines.first() {
            if at > now {
                return;
            }
            self.deadlines.pop_first();
            match due {
                Due::Outcome(ticket) => self.expire(ticket),
                Due::Answer(session) => {
                    if self.remove(session).is_some() {
                        self.output.push_back(Output::Close { session });
                    }
                }
                Due::KeepAlive(reader) => self.keep_alive(now, reader),
            }
        }
    }

    /// The session ended on its own: its URL is gone. Whether there was one.
    pub fn closed(&mut self, session: SessionId) -> bool {
        self.remove(session).is_some()
    }

    /// Whether new sessions are refused with 503 while those that are go on.
    pub const fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Sessions that have a URL.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Streams that have a WHEP session.
    pub fn watched_count(&self) -> usize {
        self.streams.len()
    }

    /// Requests that wait for an outcome.
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Addresses that the rate limits remember.
    pub fn address_count(&self) -> usize {
        self.posts.len().saturating_add(self.session_requests.len())
    }

    /// Tells the viewers of a stream; those of a layer by the layer's own key. The newest state is kept for those that listen later, as long as there is a
    /// session: the caller tells the state of a stream when it has made its first.
    pub fn tell(&mut self, key: &StreamKey, event: &Event) {
        let Some((state, sessions)) = self.streams.get_mut(key) else {
            return;
        };
        state.note(event);
        for id in sessions.iter() {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            for stream in &mut session.event_streams {
                stream.push(event);
                if stream.is_news() {
                    stream.announced = true;
                    let reader = EventReader {
                        session: *id,
                        stream: stream.number,
                        attempt: stream.attempt(),
                    };
                    self.output.push_back(Output::Events { reader });
                }
            }
        }
    }

    /// Tells all viewers of all streams, as when a server that drains wants them elsewhere.
    pub fn tell_all(&mut self, event: &Event) {
        let keys: Vec<_> = self.streams.keys().cloned().collect();
        for key in &keys {
            self.tell(key, event);
        }
    }

    fn step(&self, result: Result<Step, Problem>) -> Step {
        match result {
            Ok(Step::Respond(response)) => Step::Respond(self.options.finish(response)),
            Ok(act) => act,
            Err(problem) => Step::Respond(self.options.finish(problem.response())),
        }
    }

    fn dispatch(&mut self, now: Instant, request: &Request<'_>) -> Result<Step, Problem> {
        let route = Route::parse(request.path)
            .map_err(|_| Problem::new(404, "the path names no resource of WHIP or WHEP"))?;
        let (protocol, place) = (route.protocol, route.place);
        match (place, request.method) {
            (_, "OPTIONS") => Ok(Step::Respond(self.options.describe(protocol, place))),
            (Place::Endpoint, "POST") => self.post(now, request, &route),
            (Place::Endpoint, "GET" | "HEAD") => Ok(Step::Respond(discover(protocol))),
            (Place::Session(_), "PATCH" | "DELETE" | "GET" | "HEAD")
            | (Place::Events(_) | Place::Layer(_), "POST")
            | (Place::EventStream(..), "GET" | "DELETE") => {
                limit(&mut self.session_requests, now, request)?;
                self.session_request(now, request, &route)
            }
            _ => {
                Err(Problem::new(405, "the resource has no such method")
                    .with("Allow", place.methods()))
            }
        }
    }

    fn session_request(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        route: &Route,
    ) -> Result<Step, Problem> {
        let (Place::Session(id) | Place::Events(id) | Place::Layer(id) | Place::EventStream(id, _)) =
            route.place
        else {
            return Err(gone());
        };
        self.sessions
            .get(&id)
            .filter(|session| session.key == route.key && session.protocol == route.protocol)
            .ok_or_else(gone)?;
        match (route.place, request.method) {
            (Place::Events(_), _) => self.open_event_stream(id, request),
            (Place::EventStream(_, number), "GET") => self.read_event_stream(now, id, number),
            (Place::EventStream(_, number), _) => self.close_event_stream(id, number),
            (Place::Layer(_), _) => {
                let next = self.select_layer(id, request)?;
                self.authorized(now, request, route, next)
            }
            (_, "PATCH") => {
                let next = self.patch(id, request)?;
                self.authorized(now, request, route, next)
            }
            // An entity tag is ignored here (RFC 9725 §4.3.1).
            (_, "DELETE") => {
                let next = (Action::Close { session: id }, Task::Close);
                self.authorized(now, request, route, next)
            }
            // No representation is defined, so there is no content (RFC 9725 §4.1).
            _ => Ok(Step::Respond(Response::empty(204))),
        }
    }

    fn post(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        route: &Route,
    ) -> Result<Step, Problem> {
        limit(&mut self.posts, now, request)?;
        if self.draining {
            return Err(self.options.later(503, "the server takes no new sessions"));
        }
        if request.body.len() > self.options.max_offer_bytes {
            return Err(Problem::new(413, "the offer is too long"));
        }
        if !request.has_content_type(SDP) {
            return Err(Problem::new(415, "an offer is application/sdp").with("Accept-Post", SDP));
        }
        let credentials = self
            .options
            .offer_rules
            .check_offer(route.protocol, request.body)
            .map_err(|error| Problem::new(error.status(), error.detail()))?;
        let offer = String::from_utf8_lossy(request.body).into_owned();

        let making = self.pending.creations().count();
        if self.sessions.len().saturating_add(making) >= self.options.max_sessions {
            return Err(self
                .options
                .later(503, "the server has no room for a session"));
        }
        let (session, tag) = names(request.entropy);
        let taken = self.sessions.contains_key(&session)
            || self
                .pending
                .creations()
                .any(|other| other.session == session);
        if taken {
            // Entropy that repeats is no entropy; two sessions of one name would be worse than none.
            return Err(Problem::new(500, "the server has no entropy"));
        }
        let action = Action::Create {
            session,
            protocol: route.protocol,
            key: route.key.clone(),
            offer,
            peer: request.peer,
        };
        let task = Task::Create(Creation {
            session,
            tag,
            protocol: route.protocol,
            prefix: request.prefix.into(),
            key: route.key.clone(),
            ufrag: credentials.ufrag().into(),
        });
        self.authorize(now, request, route, (action, task))
    }

    /// Goes on with a request to a session, after the authorizer where the options say so.
    fn authorized(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        route: &Route,
        next: (Action, Task),
    ) -> Result<Step, Problem> {
        match self.options.session_access {
            SessionAccess::Url => self.act(now, next),
            SessionAccess::Authorize => self.authorize(now, request, route, next),
        }
    }

    fn authorize(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        route: &Route,
        next: (Action, Task),
    ) -> Result<Step, Problem> {
        let token = bearer::token(request, self.options.query_token.as_deref());
        let had_token = token.is_some();
        let action = Action::Authorize {
            permission: Permission::from(route.protocol),
            key: route.key.clone(),
            token,
            peer: request.peer,
        };
        let task = Task::Authorize {
            next: Box::new(next),
            had_token,
        };
        self.act(now, (action, task))
    }

    /// Hands an action out and remembers what for.
    pub(crate) fn act(
        &mut self,
        now: Instant,
        (action, task): (Action, Task),
    ) -> Result<Step, Problem> {
        if !self.pending.has_room(&task) {
            return Err(self.options.later(503, "too many requests wait"));
        }
        if let Action::Close { session } = action {
            // Gone at once, so that a second DELETE finds nothing to close.
            self.remove(session);
        }
        let deadline = now.checked_add(self.options.outcome_timeout).unwrap_or(now);
        let ticket = self.pending.add(deadline, task);
        self.deadlines.insert((deadline, Due::Outcome(ticket)));
        Ok(Step::Act { ticket, action })
    }

    fn take(&mut self, ticket: Ticket) -> Option<Task> {
        let (deadline, task) = self.pending.take(ticket)?;
        self.deadlines.remove(&(deadline, Due::Outcome(ticket)));
        Some(task)
    }

    fn expire(&mut self, ticket: Ticket) {
        let Some(task) = self.take(ticket) else {
            return;
        };
        self.forget(&task);
        let problem = match task {
            // An authorizer that does not answer has not consented.
            Task::Authorize { .. } => self.options.later(503, "the authorizer does not answer"),
            _ => Problem::new(504, "the server does not answer"),
        };
        let response = self.options.finish(problem.response());
        self.output.push_back(Output::Respond { ticket, response });
    }

    /// What is left of a request that nobody waits for.
    fn forget(&mut self, task: &Task) {
        if let Task::Create(Creation { session, .. }) = task {
            self.output.push_back(Output::Close { session: *session });
        }
    }
}

/// What is said of an endpoint without any content (RFC 9725 §4.1); a WHEP one is known by its type (draft §4.2).
fn discover(protocol: Protocol) -> Response {
    match protocol {
        Protocol::Whip => Response::empty(204),
        Protocol::Whep => Response::empty(200).content(SDP, []),
    }
}

fn names(entropy: [u8; 24]) -> (SessionId, EntityTag) {
    let mut id = [0; 16];
    let mut nonce = [0; 8];
    for (to, from) in id.iter_mut().chain(&mut nonce).zip(entropy) {
        *to = from;
    }
    let tag = EntityTag::new(u64::from_be_bytes(nonce));
    (SessionId::new(id), tag)
}

fn limit(limiter: &mut RateLimiter, now: Instant, request: &Request<'_>) -> Result<(), Problem> {
    limiter.take(now, request.peer).map_err(|wait| {
        Problem::new(429, "too many requests from this address").with("Retry-After", seconds(wait))
    })
}

pub(crate) fn gone() -> Problem {
    Problem::new(404, "there is no such session")
}
