//! A client and the caller of an endpoint, both in memory.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sluice_proto::wish::{
    Action, Candidate, Endpoint, IceCredentials, IceServer, Options, Outcome, Output, Request,
    Response, SessionId, Step, Ticket,
};

/// What str0m answers, in short.
pub(crate) const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n\
    a=ice-options:trickle ice2\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:srvA\r\n\
    a=ice-pwd:2e13dde17c1cb009202f627f\r\na=recvonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=recvonly\r\n";

/// A valid offer, with the direction of its sections.
pub(crate) fn offer(direction: &str) -> String {
    let msid = if direction == "recvonly" {
        ""
    } else {
        "a=msid:stream track\r\n"
    };
    let transport = "c=IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n\
        a=fingerprint:sha-256 DA:7B:57:DC\r\na=setup:actpass\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n";
    format!(
        "v=0\r\no=- 5228595038118931041 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}a=mid:0\r\na={direction}\r\n{msid}\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{transport}a=mid:1\r\na={direction}\r\n{msid}"
    )
}

pub(crate) const TRICKLE: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
    a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\na=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n";

pub(crate) const RESTART: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:ysXw\r\n\
    a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\na=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n";

pub(crate) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
pub(crate) const SDP: &str = "application/sdp";

/// An endpoint whose caller consents to everything at once, and remembers what it was asked.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    /// What the caller says of these actions instead of yes.
    pub(crate) authorization: Outcome,
    pub(crate) creation: Outcome,
    pub(crate) change: Option<Outcome>,
    pub(crate) actions: Vec<Action>,
    pub(crate) peer: IpAddr,
    entropy: u8,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
    pub(crate) fn with(options: Options) -> Self {
        let server = IceServer::new("stun:stun.example.net", None).unwrap();
        Self {
            endpoint: Endpoint::new(options),
            now: Instant::now(),
            authorization: Outcome::Allowed,
            creation: Outcome::Answered {
                answer: ANSWER.to_owned(),
                ice_servers: vec![server],
            },
            change: None,
            actions: Vec::new(),
            peer: [192, 0, 2, 1].into(),
            entropy: 0,
        }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.endpoint.handle_timeout(self.now);
    }

    /// A request up to the first action.
    pub(crate) fn start(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Step {
        self.entropy += 1;
        let request = Request {
            prefix: "/live",
            method,
            path,
            query: "token=from-the-query",
            headers,
            body: body.as_bytes(),
            peer: self.peer,
            entropy: [self.entropy; 24],
        };
        self.endpoint.handle(self.now, &request)
    }

    /// A request and its response.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut step = self.start(method, path, headers, body);
        loop {
            match step {
                Step::Respond(response) => return response,
                Step::Act { ticket, action } => step = self.act(ticket, action),
            }
        }
    }

    pub(crate) fn act(&mut self, ticket: Ticket, action: Action) -> Step {
        let outcome = match &action {
            Action::Authorize { .. } => self.authorization.clone(),
            Action::Create { .. } => self.creation.clone(),
            Action::RestartIce { .. } => self.change.clone().unwrap_or_else(restarted),
            _ => self.change.clone().unwrap_or(Outcome::Done),
        };
        self.actions.push(action);
        self.endpoint.resume(self.now, ticket, outcome).unwrap()
    }

    /// Publishes and gives the session's path and entity tag.
    pub(crate) fn publish(&mut self) -> (String, String) {
        let response = self.post("live/show/whip", &offer("sendonly"));
        assert_eq!(response.status, 201);
        located(&response)
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> Response {
        self.send("POST", path, &[("Content-Type", SDP)], body)
    }

    pub(crate) fn patch(&mut self, path: &str, if_match: &str, body: &str) -> Response {
        let headers = [("content-type", FRAGMENT), ("if-match", if_match)];
        self.send("PATCH", path, &headers, body)
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.endpoint.poll_output()).collect()
    }

    pub(crate) fn session(&self) -> SessionId {
        let made = self.actions.iter().rev().find_map(|action| match action {
            Action::Create { session, .. } => Some(*session),
            _ => None,
        });
        made.unwrap()
    }
}

/// Where a response says the session is, without the prefix, and its entity tag.
pub(crate) fn located(response: &Response) -> (String, String) {
    let location = response.header("location").unwrap();
    let path = location.strip_prefix("/live/").unwrap().to_owned();
    (path, response.header("etag").unwrap().to_owned())
}

pub(crate) fn restarted() -> Outcome {
    let candidate = Candidate::parse("candidate:1 1 udp 2130706431 198.51.100.1 39132 typ host");
    Outcome::Restarted {
        credentials: IceCredentials::new("289b31b754eaa438", "0b66f472495ef0ccac7bda65").unwrap(),
        candidates: vec![candidate.unwrap()],
    }
}
