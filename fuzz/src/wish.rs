//! WHIP and WHEP: what must hold whatever a client sends and however its caller's actions go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sluice_media::StreamKey;
use sluice_proto::wish::{
    Action, Candidate, Endpoint, Event, EventReader, IceCredentials, Options, Outcome, Output,
    RateLimit, Request, Response, SdpFragment, SessionId, Step, Ticket,
};

/// A fragment: every candidate reads back, and what was left out is counted.
pub fn sdp_fragment(data: &[u8]) {
    let Ok(fragment) = SdpFragment::parse(data, 16 * 1024) else {
        return;
    };
    for candidate in fragment.candidates() {
        assert_eq!(Candidate::parse(candidate.as_str()).as_ref(), Ok(candidate));
    }
    let lines = data.split(|byte| *byte == b'\n');
    let written = lines
        .filter(|line| line.starts_with(b"a=candidate:"))
        .count();
    assert_eq!(
        fragment.candidates().count() + fragment.discarded(),
        written
    );
    if let Some(credentials) = fragment.credentials() {
        let again = IceCredentials::new(credentials.ufrag(), credentials.pwd());
        assert_eq!(again.as_ref(), Ok(credentials));
    }
}

/// Records between bytes 0x1e: method and path, headers, outcome, time, then the content.
pub fn http_semantics(data: &[u8]) {
    let mut world = World::new();
    for record in data.split(|byte| *byte == 0x1e).take(64) {
        if let Some((&[what, how, outcome, time], body)) = record.split_first_chunk::<4>() {
            world.record(what, how, outcome, time, body);
        }
    }
    world.settle();
}

/// A caller that believes what it is told, and a model of what it then must have.
struct World {
    endpoint: Endpoint,
    now: Instant,
    /// Requests without a response, with the action each waits for.
    waiting: BTreeMap<Ticket, Action>,
    /// Media sessions the caller has.
    alive: BTreeSet<SessionId>,
    /// Those that the endpoint may close by itself.
    unanswered: BTreeSet<SessionId>,
    ever: BTreeSet<SessionId>,
    url: String,
    tag: String,
    event_stream: String,
    reader: Option<EventReader>,
    entropy: u8,
}

impl World {
    fn new() -> Self {
        let mut options = Options::default();
        options.max_sessions = MAX_SESSIONS;
        options.max_pending = MAX_PENDING;
        options.max_addresses = MAX_ADDRESSES;
        options.max_event_streams = 2;
        options.posts = RateLimit {
            burst: 8,
            interval: Duration::from_millis(300),
        };
        Self {
            endpoint: Endpoint::new(options),
            now: Instant::now(),
            waiting: BTreeMap::new(),
            alive: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            ever: BTreeSet::new(),
            url: String::new(),
            tag: String::new(),
            event_stream: String::new(),
            reader: None,
            entropy: 0,
        }
    }

    fn record(&mut self, what: u8, how: u8, outcome: u8, time: u8, body: &[u8]) {
        self.pass(Duration::from_millis(u64::from(time) * 40));
        if how & 0x80 != 0 {
            self.between(outcome);
        }
        let method = METHODS[usize::from(what & 7)];
        let text = String::from_utf8_lossy(body).into_owned();
        let path = match what >> 3 & 7 {
            0 => "live/show/whip".to_owned(),
            1 => "live/show/whep".to_owned(),
            2 => self.url.clone(),
            3 => format!("{}/sse", self.url),
            4 => format!("{}/layer", self.url),
            5 => self.event_stream.clone(),
            6 => format!("live/show/whip/{text}"),
            _ => text.clone(),
        };
        let types = [
            "",
            "application/sdp",
            "application/trickle-ice-sdpfrag",
            "application/json",
        ];
        let tags = ["", &self.tag, "*", text.lines().next().unwrap_or_default()];
        let (media_type, tag) = (types[usize::from(how & 3)], tags[usize::from(how >> 2 & 3)]);
        let all = [
            ("Content-Type", media_type),
            ("If-Match", tag),
            (
                "Authorization",
                if how & 0x10 == 0 { "" } else { "Bearer a.b" },
            ),
        ];
        let headers: Vec<_> = all
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        if how & 0x20 == 0 {
            self.entropy = self.entropy.wrapping_add(1);
        }
        let request = Request {
            prefix: "/live",
            method,
            path: &path,
            query: "",
            headers: &headers,
            body,
            peer: [192, 0, 2, what >> 6].into(),
            entropy: [self.entropy; 24],
        };
        let step = self.endpoint.handle(self.now, &request);
        self.follow(step, outcome);
        self.outputs();
        self.check();
    }

    /// What happens on its own, between requests.
    fn between(&mut self, which: u8) {
        let key = StreamKey::new("live", "show").expect("a valid key");
        match which & 7 {
            0 => self.endpoint.tell(&key, &Event::Active),
            1 => self.endpoint.tell(&key, &Event::Inactive),
            2 => self
                .endpoint
                .tell(&key, &Event::ViewerCount(u64::from(which))),
            3 => {
                if let Some(session) = self.alive.pop_first() {
                    assert!(self.endpoint.closed(session), "a session without a URL");
                }
            }
            4 => {
                if let Some((ticket, _)) = self.waiting.pop_first() {
                    self.endpoint.abandon(ticket);
                    assert_eq!(self.endpoint.resume(self.now, ticket, Outcome::Done), None);
                }
            }
            5 => self.endpoint.set_draining(which & 8 != 0),
            6 => drop(
                self.reader
                    .take()
                    .map(|reader| self.endpoint.detach(reader)),
            ),
            _ => {
                if let Some((ticket, action)) = self.waiting.pop_first() {
                    self.resume(ticket, &action, which >> 3);
                }
            }
        }
        self.outputs();
    }

    fn follow(&mut self, step: Step, outcome: u8) {
        match step {
            Step::Respond(response) => self.responded(&response),
            Step::Act { ticket, action } => {
                if let Action::Create { session, .. } = &action {
                    assert!(self.ever.insert(*session) || !self.alive.contains(session));
                }
                if let Action::Close { session } = &action {
                    assert!(self.alive.remove(session), "closed what was not there");
                }
                if outcome & 0x80 == 0 {
                    self.resume(ticket, &action, outcome);
                } else {
                    assert!(self.waiting.insert(ticket, action).is_none());
                }
            }
        }
    }

    fn resume(&mut self, ticket: Ticket, action: &Action, which: u8) {
        let outcome = outcome(action, which);
        if let Action::Create { session, .. } = action {
            let made = matches!(
                outcome,
                Outcome::Answered { .. }
                    | Outcome::CounterOffer { .. }
                    | Outcome::Done
                    | Outcome::Restarted { .. }
            );
            if made {
                self.alive.insert(*session);
            }
            if !matches!(outcome, Outcome::Answered { .. }) {
                self.unanswered.insert(*session);
            }
        }
        if let (Action::Answer { session, .. }, Outcome::Done) = (action, &outcome) {
            self.unanswered.remove(session);
        }
        let touched = match action {
            Action::Answer { session, .. }
            | Action::Trickle { session, .. }
            | Action::RestartIce { session, .. }
            | Action::SelectLayer { session, .. } => Some(*session),
            _ => None,
        };
        if let (Outcome::Gone, Some(session)) = (&outcome, touched) {
            self.alive.remove(&session);
        }
        let step = self.endpoint.resume(self.now, ticket, outcome);
        let step = step.expect("a waiting request was forgotten");
        // An outcome in front may leave the next action waiting.
        self.follow(step, which);
    }

    fn responded(&mut self, response: &Response) {
        assert!((200..600).contains(&response.status));
        for (name, value) in &response.headers {
            let clean = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(clean, "{name}: {value}");
        }
        let location = response.header("location");
        if let Some(path) = location.and_then(|location| location.strip_prefix("/live/")) {
            let known = if path.contains("/sse/") {
                &mut self.event_stream
            } else {
                &mut self.url
            };
            path.clone_into(known);
        }
        if let Some(tag) = response.header("etag") {
            assert!(tag.starts_with('"') && tag.ends_with('"'));
            // Entropy that repeats after its session has gone gives the same names again.
            assert!(response.status != 200 || tag != self.tag);
            tag.clone_into(&mut self.tag);
        }
        if response.events.is_some() {
            self.reader = response.events;
        }
        let allow = response.header("allow").is_some();
        assert_eq!(
            allow,
            response.status == 405 || response.header("access-control-max-age").is_some()
        );
    }

    fn outputs(&mut self) {
        let mut news = BTreeSet::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Respond { ticket, response } => {
                    assert!(self.waiting.remove(&ticket).is_some(), "answered twice");
                    self.responded(&response);
                }
                Output::Close { session } => {
                    let was_alive = self.alive.remove(&session);
                    assert!(!was_alive || self.unanswered.contains(&session));
                }
                Output::Events { reader } => {
                    news.insert(reader);
                }
                _ => {}
            }
        }
        for reader in news {
            let text = self.endpoint.poll_events(reader);
            assert!(text.is_none_or(|text| text.ends_with("\n\n")));
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.endpoint.handle_timeout(self.now);
        self.outputs();
        assert!(self.endpoint.deadline().is_none_or(|at| at > self.now));
    }

    fn check(&self) {
        assert_eq!(self.endpoint.session_count(), self.alive.len());
        assert_eq!(self.endpoint.pending_count(), self.waiting.len());
        assert!(self.alive.len() <= MAX_SESSIONS && self.waiting.len() <= 2 * MAX_PENDING);
        assert!(self.endpoint.address_count() <= 2 * MAX_ADDRESSES);
    }

    /// After all deadlines nobody waits, and no session is known to one side only.
    fn settle(&mut self) {
        self.pass(Duration::from_secs(60));
        self.pass(Duration::from_secs(60));
        assert!(self.waiting.is_empty());
        self.check();
        while let Some(session) = self.alive.pop_first() {
            assert!(self.endpoint.closed(session));
        }
        self.outputs();
        assert_eq!(
            self.endpoint.deadline(),
            None,
            "something is left of nothing"
        );
        assert_eq!(self.endpoint.watched_count(), 0);
    }
}

fn outcome(action: &Action, which: u8) -> Outcome {
    let description =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 9 X 0\r\na=mid:0\r\n".to_owned();
    let restarted = || {
        Some(Outcome::Restarted {
            credentials: IceCredentials::new("abcd", "0123456789012345678901").ok()?,
            candidates: Vec::new(),
        })
    };
    let fitting = match action {
        Action::Authorize { .. } => Outcome::Allowed,
        Action::Create { .. } if which & 0x10 == 0 => Outcome::Answered {
            answer: description,
            ice_servers: Vec::new(),
        },
        Action::Create { .. } => Outcome::CounterOffer {
            offer: description,
            ice_servers: Vec::new(),
        },
        Action::RestartIce { .. } => restarted().unwrap_or(Outcome::Failed),
        _ => Outcome::Done,
    };
    match which & 15 {
        0..=6 => fitting,
        7 => Outcome::Unauthenticated,
        8 => Outcome::Forbidden,
        9 => Outcome::NoPublisher,
        10 => Outcome::Unprocessable,
        11 => Outcome::Gone,
        12 => Outcome::Busy,
        13 => Outcome::Done,
        14 => Outcome::Redirect {
            url: "https://b.example/x".to_owned(),
            permanent: false,
        },
        _ => restarted().unwrap_or(Outcome::Failed),
    }
}

const METHODS: [&str; 8] = [
    "POST", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "PUT", "post",
];
const MAX_SESSIONS: usize = 3;
const MAX_PENDING: usize = 2;
const MAX_ADDRESSES: usize = 3;
