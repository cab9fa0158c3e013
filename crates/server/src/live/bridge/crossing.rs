//! Frames on their way from one half of a bridge to the other: a batch a turn, bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sluice_media::{CodecConfig, Frame, MediaKind, TrackId};

/// One thing for the other half.
#[derive(Debug)]
pub(super) enum Item {
    /// Frames of the track are coded like this from here on.
    Config(TrackId, CodecConfig),
    /// A frame; its payload is shared.
    Frame(Frame),
    /// Times begin anew.
    Restart,
}

/// What goes across at once. Its weight counts as under way until it is dropped, wherever that is.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    weight: usize,
    under_way: Arc<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    bytes: AtomicUsize,
    batches: AtomicUsize,
}

/// The near end.
#[derive(Debug, Default)]
pub(super) struct Crossing {
    items: Vec<Item>,
    weight: usize,
    under_way: Arc<UnderWay>,
    lanes: Vec<Lane>,
    dropped: u64,
}

#[derive(Debug)]
struct Lane {
    track: TrackId,
    /// Not sent yet: it goes with the first frame that is coded under it.
    config: Option<CodecConfig>,
    /// A picture was dropped: what follows refers to it.
    awaits_keyframe: bool,
}

impl Crossing {
    pub(super) fn configure(&mut self, track: TrackId, config: CodecConfig) {
        self.lane(track).config = Some(config);
    }

    pub(super) fn restart(&mut self) {
        if !matches!(self.items.last(), Some(Item::Restart)) {
            self.items.push(Item::Restart);
        }
    }

    /// Takes a frame along; false when it cannot, and a keyframe is needed to go on.
    pub(super) fn push(&mut self, frame: Frame) -> bool {
        let weight = frame.data.len() + size_of::<Item>();
        let under_way = self.under_way.bytes.load(Ordering::Relaxed);
        let full = under_way + self.weight + weight > MAX_BYTES;
        let lane = self.lane(frame.track);
        if full || (lane.awaits_keyframe && !frame.keyframe) {
            lane.awaits_keyframe = frame.codec.kind() == MediaKind::Video;
            self.dropped += 1;
            return false;
        }
        lane.awaits_keyframe = false;
        let config = lane.config.take();
        if let Some(config) = config {
            self.items.push(Item::Config(frame.track, config));
        }
        self.items.push(Item::Frame(frame));
        self.weight += weight;
        true
    }

    /// What there is, when the other half has taken enough of what went before.
    pub(super) fn depart(&mut self) -> Option<Batch> {
        let batches = &self.under_way.batches;
        if batches.load(Ordering::Relaxed) >= MAX_BATCHES {
            return None;
        }
        batches.fetch_add(1, Ordering::Relaxed);
        let weight = std::mem::take(&mut self.weight);
        self.under_way.bytes.fetch_add(weight, Ordering::Relaxed);
        Some(Batch {
            items: std::mem::take(&mut self.items),
            weight,
            under_way: Arc::clone(&self.under_way),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Frames that could not be taken since this was last asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn lane(&mut self, track: TrackId) -> &mut Lane {
        let index = self.lanes.iter().position(|lane| lane.track == track);
        let index = index.unwrap_or_else(|| {
            self.lanes.push(Lane {
                track,
                config: None,
                awaits_keyframe: false,
            });
            self.lanes.len() - 1
        });
        &mut self.lanes[index]
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.under_way
            .bytes
            .fetch_sub(self.weight, Ordering::Relaxed);
        self.under_way.batches.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Under way and waiting: two seconds of a very good picture.
const MAX_BYTES: usize = 4 << 20;
/// A mailbox is for commands too: no bridge fills it.
const MAX_BATCHES: usize = 8;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use bytes::Bytes;
    use sluice_media::{Codec, Timestamp};

    use super::*;

    fn frame(keyframe: bool, bytes: usize) -> Frame {
        let at = Timestamp::new(0, NonZeroU32::new(90_000).unwrap());
        Frame {
            track: TrackId::VIDEO,
            codec: Codec::Vp8,
            pts: at,
            dts: at,
            duration: None,
            keyframe,
            discardable: false,
            discontinuity: false,
            captured_micros: None,
            data: Bytes::from(vec![0; bytes]),
        }
    }

    #[test]
    fn at_the_cap_whole_frames_are_dropped_until_a_keyframe_fits() {
        let mut crossing = Crossing::default();
        assert!(crossing.push(frame(true, MAX_BYTES / 2)));
        let batch = crossing.depart().unwrap();
        assert!(!crossing.push(frame(false, MAX_BYTES / 2)), "under way");
        drop(batch);
        assert!(!crossing.push(frame(false, 100)), "refers to what is lost");
        assert!(crossing.push(frame(true, 100)));
        assert!(crossing.push(frame(false, 100)));
        assert_eq!(crossing.take_dropped(), 2);
    }

    #[test]
    fn a_neighbour_that_takes_nothing_has_a_few_batches_at_most() {
        let mut crossing = Crossing::default();
        let mut batches = Vec::new();
        for _ in 0..MAX_BATCHES {
            assert!(crossing.push(frame(true, 10)));
            batches.push(crossing.depart().unwrap());
        }
        assert!(crossing.push(frame(true, 10)));
        assert!(crossing.depart().is_none());
        batches.pop();
        assert_eq!(crossing.depart().unwrap().items.len(), 1);
    }

    #[test]
    fn a_config_goes_with_the_first_frame_under_it() {
        let mut crossing = Crossing::default();
        let config = CodecConfig::opus(48_000, 2).unwrap();
        crossing.configure(TrackId::VIDEO, config.clone());
        assert!(crossing.is_empty());
        assert!(!crossing.push(frame(true, MAX_BYTES)));
        assert!(crossing.is_empty(), "it waits for a frame that fits");
        assert!(crossing.push(frame(true, 10)));
        let batch = crossing.depart().unwrap();
        assert!(matches!(
            &batch.items[..],
            [Item::Config(..), Item::Frame(_)]
        ));
    }
}
