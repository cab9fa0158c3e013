//! A session's event streams and its end.

use std::time::Instant;

use super::action::Step;
use super::changes::check_json;
use super::endpoint::{Due, Endpoint, Output, gone};
use super::event;
use super::event_stream::{EventReader, EventStream};
use super::http::{Request, Response};
use super::problem::Problem;
use super::session::Session;
use super::session_id::SessionId;

impl Endpoint {
    /// What is to be written to an event stream's response now; may be empty. Nothing: the response ends.
    pub fn poll_events(&mut self, reader: EventReader) -> Option<String> {
        let stream = self.reading(reader)?;
        Some(stream.drain())
    }

    /// The client has closed an event stream's response. The stream stays, for a reader that comes back.
    pub fn detach(&mut self, reader: EventReader) {
        let Some(stream) = self.reading(reader) else {
            return;
        };
        let due = stream.keep_alive_at.take();
        if let Some(at) = due {
            self.deadlines.remove(&(at, Due::KeepAlive(reader)));
        }
    }

    pub(crate) fn open_event_stream(
        &mut self,
        id: SessionId,
        request: &Request<'_>,
    ) -> Result<Step, Problem> {
        let session = self.sessions.get_mut(&id).ok_or_else(gone)?;
        if !request.body.is_empty() {
            check_json(request, self.options.max_fragment_bytes)?;
        }
        let kinds = event::requested(request.body)
            .ok_or_else(|| Problem::new(400, "the content is no array of known events"))?;
        if session.event_streams.len() >= self.options.max_event_streams {
            return Err(Problem::new(409, "the session has event streams enough"));
        }
        session.last_event_stream = session.last_event_stream.saturating_add(1);
        let mut stream = EventStream::new(session.last_event_stream, kinds);
        if let Some((state, _)) = self.streams.get(&session.key) {
            state.initial().for_each(|event| stream.push(event));
        }
        let url = session.url(id);
        let response =
            Response::empty(201).with("Location", format!("{url}/sse/{}", stream.number));
        session.event_streams.push(stream);
        Ok(Step::Respond(response))
    }

    pub(crate) fn read_event_stream(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
    ) -> Result<Step, Problem> {
        self.end_reader(id, number);
        let at = now.checked_add(self.options.keep_alive).unwrap_or(now);
        let session = self.sessions.get_mut(&id).ok_or_else(gone)?;
        let stream = session.event_stream(number).ok_or_else(gone)?;
        let reader = EventReader {
            session: id,
            stream: number,
            attempt: stream.attach(at),
        };
        if stream.is_news() {
            stream.announced = true;
            self.output.push_back(Output::Events { reader });
        }
        self.deadlines.insert((at, Due::KeepAlive(reader)));
        let mut response = Response::empty(200)
            .with("Content-Type", "text/event-stream")
            .with("Cache-Control", "no-store");
        response.events = Some(reader);
        Ok(Step::Respond(response))
    }

    pub(crate) fn close_event_stream(
        &mut self,
        id: SessionId,
        number: u32,
    ) -> Result<Step, Problem> {
        self.end_reader(id, number);
        let session = self.sessions.get_mut(&id).ok_or_else(gone)?;
        let before = session.event_streams.len();
        session
            .event_streams
            .retain(|stream| stream.number != number);
        if session.event_streams.len() == before {
            return Err(gone());
        }
        Ok(Step::Respond(Response::empty(200)))
    }

    pub(crate) fn keep_alive(&mut self, now: Instant, reader: EventReader) {
        let at = now.checked_add(self.options.keep_alive);
        let Some((stream, at)) = self.reading(reader).zip(at) else {
            return;
        };
        stream.keep_alive_at = Some(at);
        stream.comment_due = true;
        let news = stream.is_news();
        stream.announced |= news;
        if news {
            self.output.push_back(Output::Events { reader });
        }
        self.deadlines.insert((at, Due::KeepAlive(reader)));
    }

    /// Takes a session out of every table and ends its event streams.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let numbers: Vec<u32> = {
            let session = self.sessions.get(&id)?;
            session.event_streams.iter().map(|s| s.number).collect()
        };
        for number in numbers {
            self.end_reader(id, number);
        }
        let session = self.sessions.remove(&id)?;
        if let Some(until) = session.answer_until {
            self.deadlines.remove(&(until, Due::Answer(id)));
        }
        if let Some((_, viewers)) = self.streams.get_mut(&session.key) {
            viewers.remove(&id);
            if viewers.is_empty() {
                self.streams.remove(&session.key);
            }
        }
        Some(session)
    }

    /// Lets the present reader of a stream find out that it is not any more.
    fn end_reader(&mut self, id: SessionId, number: u32) {
        let Some(stream) = self
            .sessions
            .get_mut(&id)
            .and_then(|session| session.event_stream(number))
        else {
            return;
        };
        let Some(at) = stream.keep_alive_at.take() else {
            return;
        };
        let reader = EventReader {
            session: id,
            stream: number,
            attempt: stream.attempt(),
        };
        self.deadlines.remove(&(at, Due::KeepAlive(reader)));
        self.output.push_back(Output::Events { reader });
    }

    fn reading(&mut self, reader: EventReader) -> Option<&mut EventStream> {
        self.sessions
            .get_mut(&reader.session)?
            .event_stream(reader.stream)
            .filter(|stream| stream.is_read_by(reader.attempt))
    }
}
