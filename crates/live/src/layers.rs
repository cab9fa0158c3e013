//! The layers of a stream: streams beside it, one for each size its publisher sends or somebody makes of it.

use std::sync::Arc;
use std::time::Instant;

use sluice_media::StreamKey;

use crate::engine::Engine;
use crate::error::StreamError;
use crate::event::{FinishReason, StreamEventKind};
use crate::id::SessionId;
use crate::request::AccessRequest;
use crate::stream::{Session, Stream};

impl Engine {
    /// The names of a stream's live layers, in alphabetical order.
    pub fn layers<'a>(&'a self, base: &StreamKey) -> impl Iterator<Item = &'a str> + use<'a> {
        self.layers
            .get(base)
            .into_iter()
            .flat_map(|layers| layers.keys().map(AsRef::as_ref))
    }

    /// Keeps the layers of a publisher's stream for [`Self::begin_layer`] until its turn is over. Who publishes one now
    /// loses it; requests for one are refused with [`StreamError::StreamAlreadyPublishing`].
    ///
    /// # Errors
    /// When the session is over.
    pub fn reserve_layers(&mut self, now: Instant, session: SessionId) -> Result<(), StreamError> {
        let stream = self.held_mut(session)?;
        let base = stream.key.as_ref().clone();
        if let Some(session) = &mut stream.session {
            session.reserves_layers = true;
        }
        let layers = self.layers.get(&base).into_iter().flat_map(|l| l.values());
        let foreign: Vec<u32> = layers
            .copied()
            .filter(|layer| !self.is_part_of(*layer, session))
            .collect();
        for layer in foreign {
            if self.take_session(layer, FinishReason::Replaced, true) {
                self.await_publisher(now, layer);
            }
        }
        Ok(())
    }

    /// Begins a layer of a publisher's stream as a part of its turn: nobody is asked, and it ends when the turn does. A
    /// layer that waits for its publisher goes on. It may be silent for as long as it likes.
    ///
    /// # Errors
    /// When the session is over, `key` is no layer of its stream or one it publishes already, or at a limit.
    pub fn begin_layer(
        &mut self,
        now: Instant,
        session: SessionId,
        key: &StreamKey,
    ) -> Result<SessionId, StreamError> {
        let stream = self.held_mut(session)?;
        if key.layer_name().is_none() || key.layer_base() != *stream.key {
            return Err(StreamError::StreamNotFound);
        }
        let Some(turn) = &stream.session else {
            return Err(StreamError::SessionEnded);
        };
        let mut request = AccessRequest::new(key.clone(), turn.protocol.clone());
        request.identity.clone_from(&turn.identity);
        request.address = turn.address;
        let index = match self.keys.get(key).copied() {
            Some(index) if self.is_part_of(index, session) => {
                return Err(StreamError::StreamAlreadyPublishing);
            }
            Some(index) => {
                if !self.take_session(index, FinishReason::Replaced, true) {
                    self.room_for_publisher()?;
                }
                index
            }
            None => self.create(now, key)?,
        };
        let layer = Session {
            of: Some(session),
            ..self.session(now, index, &request)
        };
        let begun = self.begin_session(now, index, layer);
        begun.ok_or(StreamError::StreamNotFound)
    }

    /// Whether a key is kept for the layers of a publisher's turn.
    pub(crate) fn is_reserved(&self, key: &StreamKey) -> bool {
        key.layer_name().is_some()
            && self
                .keys
                .get(&key.layer_base())
                .and_then(|index| self.streams.at(*index)?.session.as_ref())
                .is_some_and(|session| session.reserves_layers)
    }

    /// The layers that are a part of the stream's present turn.
    pub(crate) fn layers_of_turn(&self, index: u32) -> Vec<u32> {
        let turn = self
            .streams
            .at(index)
            .and_then(|stream| stream.session_id());
        let mut layers = self.layers_of(index);
        layers.retain(|layer| turn.is_some_and(|turn| self.is_part_of(*layer, turn)));
        layers
    }

    /// The layers that are or were a publisher's of this stream.
    pub(crate) fn layers_of(&self, index: u32) -> Vec<u32> {
        let Some(stream) = self.streams.at(index) else {
            return Vec::new();
        };
        let Some(layers) = self.layers.get(stream.key.as_ref()) else {
            return Vec::new();
        };
        let is_its = |layer: &Stream| layer.base == Some(stream.id);
        layers
            .values()
            .copied()
            .filter(|layer| self.streams.at(*layer).map(Box::as_ref).is_some_and(is_its))
            .collect()
    }

    /// A stream came to be: one more layer, if it is one.
    pub(crate) fn note_layer(&mut self, key: &StreamKey, index: u32) {
        if let Some(name) = key.layer_name() {
            let layers = self.layers.entry(key.layer_base()).or_default();
            layers.insert(name.into(), index);
            self.tell_layers(key);
        }
    }

    /// A stream is over: one layer less, if it was one.
    pub(crate) fn forget_layer(&mut self, key: &StreamKey) {
        let Some(name) = key.layer_name() else {
            return;
        };
        let base = key.layer_base();
        if let Some(layers) = self.layers.get_mut(&base) {
            layers.remove(name);
            if layers.is_empty() {
                self.layers.remove(&base);
            }
        }
    }

    /// Says which layers of a base are live, when `key` is one of them.
    pub(crate) fn tell_layers(&mut self, key: &StreamKey) {
        if key.layer_name().is_none() {
            return;
        }
        let base = key.layer_base();
        let layers = self.layers(&base).map(Into::into).collect();
        self.outputs
            .event(&Arc::new(base), StreamEventKind::LayersChanged { layers });
    }

    fn is_part_of(&self, layer: u32, turn: SessionId) -> bool {
        let session = self.streams.at(layer).and_then(|l| l.session.as_ref());
        session.is_some_and(|session| session.of == Some(turn))
    }

    fn held_mut(&mut self, session: SessionId) -> Result<&mut Stream, StreamError> {
        self.streams
            .named_mut(session.stream.index, session.stream.generation)
            .map(Box::as_mut)
            .filter(|stream| stream.holds(session))
            .ok_or(StreamError::SessionEnded)
    }
}
