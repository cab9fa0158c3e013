//! What a session's requests ask for, and what their outcomes say.

use std::time::Instant;

use super::action::{Action, Outcome, Step};
use super::endpoint::{Due, Endpoint, Output, gone};
use super::entity_tag::Match;
use super::fragment::SdpFragment;
use super::headers::patch_types;
use super::http::{FRAGMENT, Request, Response, SDP};
use super::ice_server::IceServer;
use super::layers::LayerSelection;
use super::offer;
use super::pending::{Creation, Task};
use super::problem::Problem;
use super::route::Protocol;
use super::session::{LocalIce, Session};
use super::session_id::SessionId;

impl Endpoint {
    /// PATCH: candidates, a restart of ICE, or the answer to a counter-offer (RFC 9725 §4.3; draft §4.3.2).
    ///
    /// The content is read after the preconditions are known to hold (RFC 9110 §13.2.1).
    pub(crate) fn patch(
        &self,
        id: SessionId,
        request: &Request<'_>,
    ) -> Result<(Action, Task), Problem> {
        let session = self.sessions.get(&id).ok_or_else(gone)?;
        if request.has_content_type(SDP) && session.answer_until.is_some() {
            return self.answer(id, request);
        }
        if !request.has_content_type(FRAGMENT) {
            return Err(Problem::new(415, "a session takes SDP fragments")
                .with("Accept-Patch", patch_types(session.protocol)));
        }
        if request.body.len() > self.options.max_fragment_bytes {
            return Err(Problem::new(413, "the SDP fragment is too long"));
        }
        let if_match = request
            .header("if-match")
            .ok_or_else(|| Problem::new(428, "PATCH needs If-Match with the session's ETag"))?;
        let matched = session.tag.matched_by(if_match);
        if matched == Match::Stale {
            return Err(Problem::new(412, "If-Match names another ICE session"));
        }
        let fragment = SdpFragment::parse(request.body, self.options.max_fragment_bytes)
            .map_err(|error| Problem::new(400, error.detail()))?;
        if session.answer_until.is_some() {
            return Err(Problem::new(409, "the counter-offer is not answered yet"));
        }
        match fragment.credentials() {
            Some(credentials) if session.is_restart(&fragment) => {
                if !self.options.ice_restart {
                    return Err(Problem::new(422, "ICE restarts are not supported"));
                }
                let ufrag = credentials.ufrag().into();
                let task = Task::Restart { session: id, ufrag };
                let session = id;
                Ok((Action::RestartIce { session, fragment }, task))
            }
            // `*` matches every ICE session, so without credentials nothing says which is meant.
            None if matched == Match::Any => Err(Problem::new(
                400,
                "an ICE restart names new ice-ufrag and ice-pwd",
            )),
            _ if !self.options.trickle => Err(Problem::new(422, "trickle ICE is not supported")),
            _ => {
                let session = id;
                Ok((
                    Action::Trickle { session, fragment },
                    Task::Trickle { session },
                ))
            }
        }
    }

    fn answer(&self, session: SessionId, request: &Request<'_>) -> Result<(Action, Task), Problem> {
        if request.body.len() > self.options.max_offer_bytes {
            return Err(Problem::new(413, "the answer is too long"));
        }
        let credentials = offer::check_answer(request.body)
            .map_err(|error| Problem::new(error.status(), error.detail()))?;
        let answer = String::from_utf8_lossy(request.body).into_owned();
        let ufrag = credentials.ufrag().into();
        Ok((
            Action::Answer { session, answer },
            Task::Answer { session, ufrag },
        ))
    }

    pub(crate) fn select_layer(
        &self,
        session: SessionId,
        request: &Request<'_>,
    ) -> Result<(Action, Task), Problem> {
        if !self.options.layer_selection || self.options.max_event_streams == 0 {
            return Err(Problem::new(404, "layers cannot be selected"));
        }
        check_json(request, self.options.max_fragment_bytes)?;
        let selection = LayerSelection::parse(request.body)
            .map_err(|error| Problem::new(400, error.detail()))?;
        Ok((
            Action::SelectLayer { session, selection },
            Task::SelectLayer { session },
        ))
    }

    /// What an outcome means for the request that waited for it.
    pub(crate) fn conclude(
        &mut self,
        now: Instant,
        task: Task,
        outcome: Outcome,
    ) -> Result<Step, Problem> {
        let outcome = match (task, outcome) {
            (Task::Authorize { next, .. }, Outcome::Allowed) => return self.act(now, *next),
            (Task::Authorize { had_token, .. }, Outcome::Unauthenticated) => {
                return Err(unauthenticated(had_token));
            }
            (Task::Authorize { .. }, Outcome::Forbidden) => {
                return Err(Problem::new(403, "the token does not allow this").with(
                    "WWW-Authenticate",
                    r#"Bearer realm="live", error="insufficient_scope""#,
                ));
            }
            (Task::Create(creation), outcome) => return self.created(now, creation, outcome),
            (Task::Close, _) => return Ok(Step::Respond(Response::empty(200))),
            (Task::Answer { session, ufrag }, Outcome::Done) => {
                let session_state = self.sessions.get_mut(&session).ok_or_else(gone)?;
                session_state.remote_ufrag = ufrag;
                if let Some(until) = session_state.answer_until.take() {
                    self.deadlines.remove(&(until, Due::Answer(session)));
                }
                return Ok(Step::Respond(Response::empty(204)));
            }
            // No ETag, for the ICE session is the same (RFC 9725 §4.3.2).
            (Task::Trickle { session }, Outcome::Done) => {
                self.sessions.get(&session).ok_or_else(gone)?;
                return Ok(Step::Respond(Response::empty(204)));
            }
            (Task::SelectLayer { session }, Outcome::Done) => {
                self.sessions.get(&session).ok_or_else(gone)?;
                return Ok(Step::Respond(Response::empty(200)));
            }
            (
                Task::Restart { session, ufrag },
                Outcome::Restarted {
                    credentials,
                    candidates,
                },
            ) => {
                let session = self.sessions.get_mut(&session).ok_or_else(gone)?;
                session.remote_ufrag = ufrag;
                session.tag = session.tag.next();
                let fragment = session.local.fragment(&credentials, &candidates);
                let response = Response::empty(200)
                    .with("ETag", session.tag.to_string())
                    .content(FRAGMENT, fragment);
                return Ok(Step::Respond(response));
            }
            (
                Task::Answer { session, .. }
                | Task::Trickle { session }
                | Task::Restart { session, .. }
                | Task::SelectLayer { session },
                Outcome::Gone,
            ) => {
                self.remove(session);
                Outcome::Gone
            }
            (_, outcome) => outcome,
        };
        Err(self.failure(&outcome))
    }

    fn created(
        &mut self,
        now: Instant,
        creation: Creation,
        outcome: Outcome,
    ) -> Result<Step, Problem> {
        let id = creation.session;
        match outcome {
            Outcome::Answered {
                answer,
                ice_servers,
            } => self.opened(creation, None, 201, answer, &ice_servers),
            Outcome::CounterOffer { offer, ice_servers } if creation.protocol == Protocol::Whep => {
                let until = now
                    .checked_add(self.options.counter_offer_valid)
                    .unwrap_or(now);
                self.deadlines.insert((until, Due::Answer(id)));
                self.opened(creation, Some(until), 406, offer, &ice_servers)
            }
            Outcome::Redirect { url, permanent } if is_url(&url) => {
                let status = if permanent { 308 } else { 307 };
                let response = Response::empty(status).with("Location", url);
                Ok(Step::Respond(response))
            }
            Outcome::NoPublisher => Err(self.options.later(409, "nobody publishes this stream")),
            Outcome::AlreadyPublishing => {
                Err(self.options.later(409, "somebody publishes this stream"))
            }
            // There may be a session that no URL leads to.
            Outcome::CounterOffer { .. } | Outcome::Done | Outcome::Restarted { .. } => {
                self.output.push_back(Output::Close { session: id });
                Err(self.failure(&Outcome::Failed))
            }
            outcome => Err(self.failure(&outcome)),
        }
    }

    /// The response that gives a session its URL.
    fn opened(
        &mut self,
        creation: Creation,
        answer_until: Option<Instant>,
        status: u16,
        description: String,
        ice_servers: &[IceServer],
    ) -> Result<Step, Problem> {
        let id = creation.session;
        let Some(local) = LocalIce::of(&description) else {
            if let Some(until) = answer_until {
                self.deadlines.remove(&(until, Due::Answer(id)));
            }
            self.output.push_back(Output::Close { session: id });
            return Err(self.failure(&Outcome::Failed));
        };
        let session = Session {
            prefix: creation.prefix,
            key: creation.key,
            protocol: creation.protocol,
            tag: creation.tag,
            remote_ufrag: match answer_until {
                None => creation.ufrag,
                Some(_) => Box::default(),
            },
            answer_until,
            local,
            event_streams: Vec::new(),
            last_event_stream: 0,
        };
        let mut response = Response::empty(status)
            .with("Location", session.url(id))
            .with("ETag", session.tag.to_string())
            .with("Accept-Patch", patch_types(session.protocol));
        for server in ice_servers {
            response = response.with("Link", server.as_link());
        }
        for extension in self.options.extensions(&session, id) {
            response = response.with("Link", extension);
        }
        if session.protocol == Protocol::Whep {
            let (_, viewers) = self.streams.entry(session.key.clone()).or_default();
            viewers.insert(id);
        }
        self.sessions.insert(id, session);
        Ok(Step::Respond(response.content(SDP, description)))
    }

    fn failure(&self, outcome: &Outcome) -> Problem {
        match outcome {
            Outcome::Malformed => Problem::new(400, "the content is malformed"),
            Outcome::Unprocessable => Problem::new(422, "the content cannot be had"),
            Outcome::Busy => self.options.later(503, "the server has no room now"),
            Outcome::Gone => gone(),
            _ => Problem::new(500, "the server has failed"),
        }
    }
}

/// JSON of a bounded size.
pub(crate) fn check_json(request: &Request<'_>, max_bytes: usize) -> Result<(), Problem> {
    if request.body.len() > max_bytes {
        return Err(Problem::new(413, "the content is too long"));
    }
    if !request.has_content_type("application/json") {
        return Err(Problem::new(415, "the content is not application/json")
            .with("Accept-Post", "application/json"));
    }
    Ok(())
}

/// RFC 6750 §3: without a token no error is named.
fn unauthenticated(had_token: bool) -> Problem {
    let challenge = if had_token {
        r#"Bearer realm="live", error="invalid_token""#
    } else {
        r#"Bearer realm="live""#
    };
    Problem::new(401, "a bearer token is needed").with("WWW-Authenticate", challenge)
}

/// What may stand in `Location` without ending it.
fn is_url(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
