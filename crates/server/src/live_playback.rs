//! What callers may ask of recordings that are finished.

use std::sync::Arc;

use sluice_live::{AccessRequest, Protocol};
use tokio::sync::oneshot;

use crate::error::ServerError;
use crate::live::{LiveRequest, bearer, socket_address};
use crate::pending::Pending;
use crate::playback::{self, Playback, Source};
use crate::record::Storage;
use crate::server::Server;

/// Of recordings over HTTP.
impl Server {
    /// Whether a path behind the live prefix is one of recordings.
    pub fn is_playback_path(path: &str) -> bool {
        playback::key_of(path).is_some()
    }

    /// Answers an HTTP request for `app/stream/recordings` and what is below, from a storage; `None`: the path is none
    /// of these. The authorizer is asked with `Action::Playback`.
    pub fn playback(
        &self,
        storage: Arc<dyn Storage>,
        request: LiveRequest,
    ) -> Option<Pending<Playback>> {
        let key = playback::key_of(&request.path)?;
        let wanted = match playback::refused(&request.path, &request) {
            Ok(wanted) => wanted,
            Err(refusal) => return Some(Pending::gathered(async { Ok(refusal) })),
        };
        let mut access = AccessRequest::new(key.clone(), Protocol::PLAYBACK);
        access.address = request.address.map(socket_address);
        access.credentials.token = bearer(&request.headers);
        access.credentials.query =
            (!request.query.is_empty()).then(|| request.query.clone().into());
        let asked = self.answered(self.home(&key), move |live, rooms, now, reply| {
            live.ask_playback(now, rooms, access, reply);
        });
        let source = Source {
            storage,
            readers: self.readers().clone(),
            budget: self.playback_budget().clone(),
        };
        Some(Pending::gathered(async move {
            if let Some(response) = asked.await? {
                return Ok(Playback {
                    response,
                    content: None,
                });
            }
            let (sender, receiver) = oneshot::channel();
            let (place, readers) = (source.storage.place(), source.readers.clone());
            let job = move || {
                // Who hung up needs no answer.
                let _ = sender.send(playback::answer(&source, &key, &wanted, &request));
            };
            match readers.post(&place, job) {
                Ok(()) => receiver.await.map_err(|_| ServerError::Closed),
                Err(ServerError::Busy) => Ok(playback::busy()),
                Err(error) => Err(error),
            }
        }))
    }
}
