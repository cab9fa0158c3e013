//! Responses that stay open: what WHEP viewers are told of their stream while they watch.

use std::collections::{BTreeMap, HashMap};

use sluice_proto::wish::{Event, EventReader, Layer, MediaLayers};
use tokio::sync::oneshot;

use super::Live;
use super::publisher::Publisher;
use super::wish::Wish;
use crate::error::ServerError;
use crate::shard_number::{on_shard, shard_of};

/// The content of one response. Its shard is in its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventsId(u64);

impl EventsId {
    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one of that number; a foreign number has nothing to read.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn shard(self) -> usize {
        shard_of(self.0)
    }
}

type TextReply = oneshot::Sender<Result<Option<String>, ServerError>>;

/// The open contents of a shard: as many as event streams, of which sessions have a few each.
#[derive(Debug, Default)]
pub(super) struct EventBodies {
    open: HashMap<EventsId, Body>,
    ids: BTreeMap<EventReader, EventsId>,
    last: u64,
}

#[derive(Debug)]
struct Body {
    reader: EventReader,
    /// Who waits for the next text.
    waiting: Option<TextReply>,
}

/// What the viewers of one key were told.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) sessions: usize,
    active: Option<bool>,
    viewers: Option<u64>,
    rids: Vec<String>,
}

impl Live {
    pub(super) fn open_events(&mut self, reader: EventReader) -> EventsId {
        let bodies = &mut self.wish.bodies;
        bodies.last += 1;
        let id = EventsId(on_shard(bodies.last, usize::from(self.shard)));
        bodies.ids.insert(reader, id);
        let waiting = None;
        bodies.open.insert(id, Body { reader, waiting });
        id
    }

    pub(crate) fn read_events(&mut self, id: EventsId, reply: TextReply) {
        let refusal = match self.wish.bodies.open.get_mut(&id) {
            None => Ok(None),
            Some(body) if body.waiting.is_some() => Err(ServerError::Busy),
            Some(body) => {
                body.waiting = Some(reply);
                let reader = body.reader;
                self.wish.answer_events(reader);
                return;
            }
        };
        // Who no longer waits has hung up.
        let _ = reply.send(refusal);
    }

    pub(crate) fn close_events(&mut self, id: EventsId) {
        if let Some(body) = self.wish.bodies.open.remove(&id) {
            self.wish.bodies.ids.remove(&body.reader);
            self.wish.endpoint.detach(body.reader);
        }
    }

    /// Tells the viewers of streams what has changed for them.
    pub(super) fn tell_viewers(&mut self) {
        for home in std::mem::take(&mut self.wish.untold) {
            let Some(hall) = self.halls.get_mut(&home) else {
                continue;
            };
            let stream = self.engine.stream(&home);
            let active = stream.is_some_and(|stream| stream.session().is_some());
            let viewers = hall.viewers.len() as u64;
            let publisher = hall.publisher.as_ref();
            let rids = publisher.map_or_else(Vec::new, Publisher::rids);
            for (key, watch) in &mut hall.watched {
                let endpoint = &mut self.wish.endpoint;
                if watch.active.replace(active) != Some(active) {
                    let event = if active {
                        Event::Active
                    } else {
                        Event::Inactive
                    };
                    endpoint.tell(key, &event);
                }
                if watch.rids != rids {
                    watch.rids.clone_from(&rids);
                    endpoint.tell(key, &layers(&rids));
                }
                if watch.viewers.replace(viewers) != Some(viewers) {
                    endpoint.tell(key, &Event::ViewerCount(viewers));
                }
            }
        }
    }
}

impl Wish {
    /// Gives whoever waits what there is.
    pub(super) fn answer_events(&mut self, reader: EventReader) {
        let Some(id) = self.bodies.ids.get(&reader).copied() else {
            return;
        };
        let Some(body) = self.bodies.open.get_mut(&id) else {
            return;
        };
        if body.waiting.is_none() {
            return;
        }
        let text = self.endpoint.poll_events(reader);
        if text.as_ref().is_some_and(String::is_empty) {
            return;
        }
        let ends = text.is_none();
        if let Some(reply) = body.waiting.take() {
            // Who hung up says so by closing it.
            let _ = reply.send(Ok(text));
        }
        if ends {
            self.bodies.open.remove(&id);
            self.bodies.ids.remove(&reader);
        }
    }
}

/// A viewer's one picture: which of its m-lines that is, it knows.
fn layers(rids: &[String]) -> Event {
    let layers = rids.iter().map(|rid| Layer {
        rid: Some(rid.as_str().into()),
        ..Layer::default()
    });
    Event::Layers(vec![MediaLayers {
        media_id: 0,
        layers: layers.collect(),
    }])
}
