//! A stream with layers in HLS: one index, a playlist for each, and one timeline for all.
//!
//! The playlist of the stream itself comes first: it is the best layer that flows. Those of its layers lie beside it
//! below the stream's own name, so that whoever may play the stream may play them.

use std::time::{Duration, Instant};

use sluice_media::{CodecConfig, MediaKind, Parameters, StreamKey};
use sluice_mux::hls::{Variant, multivariant};

use super::Live;
use super::gather::wall_micros;
use super::hls::{Directory, late, playlist, problem};
use super::http::LiveResponse;
use super::packager::{INDEX_WAIT, Packager};
use crate::rooms::Rooms;

impl Live {
    /// The multivariant playlist; `None`: not yet. The layers are packaged from here on.
    pub(super) fn index(
        &mut self,
        now: Instant,
        key: &StreamKey,
        waited: Duration,
    ) -> Option<LiveResponse> {
        let layers = self.layer_keys(key);
        for layer in &layers {
            if !self.packagers.contains_key(layer) {
                self.open_packager(now, layer);
            }
        }
        let own = self.packagers.get(key)?;
        if own.playlist.position().is_none() {
            return (waited > INDEX_WAIT || own.playlist.is_ended()).then(late);
        }
        let layers: Vec<(&StreamKey, &Packager)> = layers
            .iter()
            .filter_map(|layer| Some((layer, self.packagers.get(layer)?)))
            .collect();
        let begins = |(_, layer): &(_, &Packager)| layer.playlist.position().is_none();
        if waited < LAYER_WAIT && layers.iter().any(begins) {
            return None;
        }
        let mut variants: Vec<Variant> = layers
            .iter()
            .filter(|layer| !begins(layer))
            .map(|(layer, packager)| self.variant(now, layer, packager, !layers.is_empty()))
            .collect();
        variants.sort_by_key(|variant| {
            let area = variant.resolution.map(|(w, h)| u64::from(w) * u64::from(h));
            std::cmp::Reverse((area, variant.bandwidth.peak_bits_per_second))
        });
        variants.insert(0, self.variant(now, key, own, !layers.is_empty()));
        match multivariant(&variants, &[]) {
            Ok(text) => Some(playlist(text)),
            Err(error) => {
                tracing::warn!(%error, "no multivariant playlist");
                Some(problem(500, "the stream cannot be listed"))
            }
        }
    }

    /// A packager was opened: where the stream has layers, it is one of several.
    pub(super) fn join_renditions(&mut self, now: Instant, key: &StreamKey) {
        let base = key.layer_base();
        let siblings = self.renditions.entry(base.clone()).or_default();
        siblings.push(key.clone());
        self.share_timeline(now, &base);
    }

    pub(super) fn leave_renditions(&mut self, key: &StreamKey, left: &Packager) {
        let base = key.layer_base();
        let Some(siblings) = self.renditions.get_mut(&base) else {
            return;
        };
        siblings.retain(|sibling| sibling != key);
        let uri = report_uri(key, left);
        for sibling in siblings.iter() {
            if let Some(packager) = self.packagers.get_mut(sibling) {
                // The text is ours: numbers, and a name that was checked.
                let _ = packager.playlist.set_report(&uri, None);
            }
        }
        if siblings.is_empty() {
            self.renditions.remove(&base);
        }
    }

    /// Puts all renditions of a stream on one timeline, each from its next beginning on.
    pub(super) fn share_timeline(&mut self, now: Instant, base: &StreamKey) {
        if !self.is_layered(base) {
            return;
        }
        let hall = self.halls.get(base);
        let from_hall = hall.is_some_and(|hall| {
            let publisher = hall.publisher.as_ref();
            publisher.is_some_and(|publisher| publisher.ladder.is_some())
        });
        let known = self.members(base).find_map(|p| p.gathered.anchor());
        let anchor = known.or_else(|| {
            let origin = self.origin.filter(|_| from_hall)?;
            let passed = now.saturating_duration_since(origin).as_micros();
            Some(wall_micros() - i64::try_from(passed).ok()?)
        });
        let Some(siblings) = self.renditions.get(base) else {
            return;
        };
        for sibling in siblings {
            if let Some(packager) = self.packagers.get_mut(sibling) {
                packager.shares = true;
                packager.segmenter.keep_times();
                packager.gathered.set_anchor(anchor);
            }
        }
    }

    /// Whether a stream's pictures come, or are known to.
    pub(super) fn has_pictures(&self, now: Instant, key: &StreamKey) -> bool {
        let announced = self.engine.stream(key).is_some_and(|view| {
            let mut tracks = view.tracks(now);
            tracks.any(|track| track.announced && track.config.codec.kind() == MediaKind::Video)
        });
        announced
            || self.halls.get(key).is_some_and(|hall| {
                let publisher = hall.publisher.as_ref();
                publisher.is_some_and(|publisher| publisher.ladder.is_some())
            })
    }

    /// Tells the siblings of a rendition how far it is.
    pub(super) fn report_rendition(&mut self, key: &StreamKey) {
        let Some(siblings) = self.renditions.get(&key.layer_base()) else {
            return;
        };
        if siblings.len() < 2 {
            return;
        }
        let Some(packager) = self.packagers.get(key) else {
            return;
        };
        let (uri, position) = (report_uri(key, packager), packager.playlist.position());
        for sibling in siblings.iter().filter(|sibling| *sibling != key) {
            if let Some(packager) = self.packagers.get_mut(sibling) {
                // The text is ours: numbers, and a name that was checked.
                let _ = packager.playlist.set_report(&uri, position);
            }
        }
    }

    /// Stops a layer that brings no pictures while the stream itself does: players of it go to another one, which they
    /// do not while its sound goes on, and its segment does not grow without end. Its next picture is a discontinuity.
    pub(super) fn silence_rendition(&mut self, now: Instant, key: &StreamKey) {
        let flows = |packager: &Packager| {
            let at = packager.gathered.picture_at();
            at.is_some_and(|at| now < at + SILENCE)
        };
        if key.layer_name().is_none() || !self.packagers.get(&key.layer_base()).is_some_and(flows) {
            return;
        }
        if let Some(packager) = self.packagers.get_mut(key)
            && !packager.silent
            && packager.gathered.has_pictures()
            && !flows(packager)
        {
            packager.fall_silent();
            self.report_rendition(key);
        }
    }

    /// Asks for keyframes of all renditions of a stream at once, so that their segments begin together.
    pub(super) fn request_renditions(&mut self, now: Instant, rooms: &mut Rooms, base: &StreamKey) {
        let keys = self.renditions.get(base).into_iter().flatten();
        let sessions: Vec<_> = keys
            .filter_map(|key| self.engine.stream(key)?.session())
            .collect();
        for session in sessions {
            self.request_keyframe(now, rooms, session);
        }
    }

    /// When a rendition was asked for last: who plays a stream may go to any of its layers.
    pub(super) fn asked_at(&self, key: &StreamKey, packager: &Packager) -> Instant {
        let base = self.packagers.get(&key.layer_base());
        base.map_or(packager.asked_at, |base| {
            base.asked_at.max(packager.asked_at)
        })
    }

    /// The layers of a stream, which are not asked for layers themselves.
    fn layer_keys(&self, key: &StreamKey) -> Vec<StreamKey> {
        if key.layer_name().is_some() {
            return Vec::new();
        }
        let names = self.engine.layers(key);
        names.filter_map(|name| key.layer(name).ok()).collect()
    }

    fn is_layered(&self, base: &StreamKey) -> bool {
        let hall = self.halls.get(base);
        let publisher = hall.and_then(|hall| hall.publisher.as_ref());
        publisher.is_some_and(|publisher| publisher.ladder.is_some())
            || self.engine.layers(base).next().is_some()
    }

    fn members(&self, base: &StreamKey) -> impl Iterator<Item = &Packager> {
        let keys = self.renditions.get(base).into_iter().flatten();
        keys.filter_map(|key| self.packagers.get(key))
    }

    fn variant(
        &self,
        now: Instant,
        key: &StreamKey,
        packager: &Packager,
        several: bool,
    ) -> Variant {
        let configs = || packager.gathered.configs();
        let codecs: Vec<String> = configs().filter_map(CodecConfig::codec_string).collect();
        let resolution = configs().find_map(|config| {
            let Parameters::Video(video) = config.parameters else {
                return None;
            };
            (video.width > 0).then_some((video.width, video.height))
        });
        let rate = several.then(|| self.pictures_per_thousand_seconds(now, key));
        Variant {
            uri: format!("{}/stream.m3u8", directory(key, packager)),
            codecs: codecs.join(","),
            bandwidth: packager.playlist.bandwidth(),
            resolution,
            frames_per_thousand_seconds: rate.flatten(),
            audio_group: None,
        }
    }

    /// As measured, which is good to one picture a second.
    fn pictures_per_thousand_seconds(&self, now: Instant, key: &StreamKey) -> Option<u32> {
        let view = self.engine.stream(key)?;
        let mut tracks = view.tracks(now);
        let pictures = tracks.find(|track| track.config.codec.kind() == MediaKind::Video)?;
        let rate = pictures.qos.frames_per_second.round().clamp(0.0, MAX_RATE);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was clamped"
        )]
        let rate = rate as u32;
        (rate > 0).then_some(rate * 1000)
    }
}

fn directory(key: &StreamKey, packager: &Packager) -> Directory {
    Directory {
        run: packager.run.clone(),
        layer: key.layer_name().map(str::to_owned),
    }
}

/// The playlist of a rendition as its siblings name it.
fn report_uri(key: &StreamKey, packager: &Packager) -> String {
    format!("../{}/stream.m3u8", directory(key, packager))
}

/// Pictures may be as far apart as the segmenter waits for them.
const SILENCE: Duration = Duration::from_secs(2);
/// How long an index waits for the layers once the stream itself is there.
const LAYER_WAIT: Duration = Duration::from_secs(2);
const MAX_RATE: f64 = 1000.0;
