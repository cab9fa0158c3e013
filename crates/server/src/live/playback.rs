//! Who may play recordings back.

use std::time::Instant;

use sluice_live::{AccessRequest, Action};
use tokio::sync::oneshot;

use super::Live;
use super::access::Asked;
use super::http::LiveResponse;
use crate::error::ServerError;
use crate::rooms::Rooms;

/// Answered with nothing when it is allowed, else with the refusal.
pub(super) type PlaybackReply = oneshot::Sender<Result<Option<LiveResponse>, ServerError>>;

impl Live {
    /// Puts somebody's wish to play recordings of a stream before the authorizer.
    pub(crate) fn ask_playback(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        request: AccessRequest,
        reply: PlaybackReply,
    ) {
        let asked = Asked::Playback(reply);
        if let Err((asked, error)) = self.ask(now, Action::Playback, request, asked, false) {
            self.turn_down(now, rooms, asked, error);
        }
    }
}
