//! A published track: its layers and who subscribes.

use std::time::Instant;

use sluice_media::{Codec, MediaKind};
use str0m::format::PayloadParams;
use str0m::media::{Mid, Rid};

use crate::id::TrackId;
use crate::layer::Layer;
use crate::options::Replay;
use crate::propagated::PublishedTrack;
use crate::selector::Rung;
use crate::stats::TrackStats;

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    /// Dense index of the publisher.
    pub(crate) publisher: u32,
    pub(crate) mid: Mid,
    pub(crate) kind: MediaKind,
    pub(crate) codec: Option<Codec>,
    /// The publisher's payload type and its parameters, for matching with each subscriber's.
    pub(crate) params: Option<PayloadParams>,
    /// In the publisher's order of rids; one without rid when there is no simulcast.
    pub(crate) layers: Vec<Layer>,
    /// Every packet stopped: muted at the source.
    pub(crate) muted: bool,
    /// The bridge gets a copy.
    pub(crate) tapped: bool,
}

impl Track {
    pub(crate) fn new(
        id: TrackId,
        publisher: u32,
        mid: Mid,
        kind: MediaKind,
        rids: &[Rid],
        replay: Replay,
    ) -> Self {
        let layers = if rids.is_empty() {
            vec![Layer::new(None, replay)]
        } else {
            rids.iter()
                .take(MAX_LAYERS)
                .map(|rid| Layer::new(Some(*rid), replay))
                .collect()
        };
        Self {
            id,
            publisher,
            mid,
            kind,
            codec: None,
            params: None,
            layers,
            muted: false,
            tapped: false,
        }
    }

    /// The layer that `rid` names. One m-line without simulcast has one layer, whatever the rid.
    pub(crate) fn layer_of(&self, rid: Option<Rid>) -> Option<usize> {
        self.layers
            .iter()
            .position(|layer| layer.rid == rid)
            .or_else(|| (self.layers.len() == 1).then_some(0))
    }

    /// The layers as the selector sees them, lowest first.
    ///
    /// Ranked by picture size once all sizes are known, by the publisher's order before: browsers
    /// list the lowest first, but nothing obliges them to.
    pub(crate) fn rungs(&self, now: Instant, out: &mut Vec<Rung>) {
        out.clear();
        out.extend(self.layers.iter().enumerate().map(|(index, layer)| Rung {
            layer: index,
            active: layer.is_active(now),
            bits_per_second: layer.rate.bits_per_second(now),
            area: layer.resolution.map(|(w, h)| u32::from(w) * u32::from(h)),
        }));
        if out.iter().all(|rung| rung.area.is_some()) {
            out.sort_by_key(|rung| rung.area);
        }
    }

    pub(crate) fn describe(&self) -> PublishedTrack {
        PublishedTrack {
            id: self.id,
            client_id: self.id.client(),
            mid: self.mid.to_string(),
            kind: self.kind,
            codec: self.codec,
            rids: self
                .layers
                .iter()
                .filter_map(|l| l.rid.map(|rid| rid.to_string()))
                .collect(),
            muted: self.muted,
        }
    }

    pub(crate) fn stats(&self, now: Instant) -> TrackStats {
        TrackStats {
            track: self.describe(),
            layers: self.layers.iter().map(|layer| layer.stats(now)).collect(),
            subscribers: self.layers.iter().map(|layer| layer.viewers.len()).sum(),
        }
    }
}

/// More encodings than any browser sends.
const MAX_LAYERS: usize = 8;
