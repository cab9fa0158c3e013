//! All readers, and one of them on a visit to its stream.

use std::sync::Arc;
use std::time::Duration;

use sluice_media::StreamKey;

use crate::event::StreamEventKind;
use crate::id::SubscriptionId;
use crate::output::{Output, Outputs};
use crate::reader::{Next, Place, Story, Visit};
use crate::stream::{Phase, Stream};
use crate::timer::Timers;
use crate::wake::Berth;

/// A subscription on a visit to its stream: for reading much without naming it each time.
#[derive(Debug)]
pub struct Reader<'e> {
    pub(crate) id: SubscriptionId,
    pub(crate) visit: Visit<'e>,
    pub(crate) stream: &'e mut Stream,
    pub(crate) outputs: &'e mut Outputs,
    pub(crate) timers: &'e mut Timers,
}

impl<'e> Reader<'e> {
    /// Which subscription it is.
    pub const fn id(&self) -> SubscriptionId {
        self.id
    }

    /// The next thing it is to know, as [`Engine::read`](crate::Engine::read) tells it.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "what it gives borrows from it, which an iterator cannot"
    )]
    pub fn next(&mut self) -> Next<'_> {
        step(
            self.id,
            &mut self.visit,
            self.stream,
            self.outputs,
            self.timers,
        )
    }

    /// The only thing that is asked for on this visit.
    pub(crate) fn into_next(mut self) -> Next<'e> {
        step(
            self.id,
            &mut self.visit,
            self.stream,
            self.outputs,
            self.timers,
        )
    }
}

#[inline]
fn step<'a>(
    id: SubscriptionId,
    visit: &mut Visit<'_>,
    stream: &'a mut Stream,
    outputs: &mut Outputs,
    timers: &mut Timers,
) -> Next<'a> {
    let next = visit.next(&stream.ring, &stream.tracks);
    match next {
        Next::Empty => {
            if let Phase::Ended(reason) = stream.phase {
                return Next::Ended(reason);
            }
            if visit.place.berth == Berth::NOWHERE {
                visit.place.berth = stream.wake.wait(id.index);
            }
            if visit.place.take_wish() && stream.lacks_start() {
                stream.keyframes.want();
                if stream.keyframes.allow(visit.now) {
                    outputs.extend(stream.session_id().map(Output::RequestKeyframe));
                }
                let due = stream.keyframes.due();
                timers.advance(&mut stream.timer, due, stream.id);
            }
        }
        Next::Lagged { skipped, lost } => {
            let evicted = visit.place.is_evicted();
            let loss = Loss {
                subscription: id,
                skipped,
                lost,
                evicted: evicted.then(|| visit.story.recent_loss(visit.now)),
            };
            loss.tell(visit.story, &stream.key, outputs);
        }
        _ => {}
    }
    next
}

/// What a reader has lost at once.
struct Loss {
    subscription: SubscriptionId,
    skipped: u64,
    lost: Duration,
    /// What it has lost within its window, when that was too much.
    evicted: Option<Duration>,
}

impl Loss {
    #[cold]
    fn tell(self, story: &Story, key: &Arc<StreamKey>, outputs: &mut Outputs) {
        let subscription = self.subscription;
        outputs.event(
            key,
            StreamEventKind::SubscriberLagged {
                subscription,
                protocol: story.protocol.clone(),
                skipped: self.skipped,
                lost: self.lost,
            },
        );
        if let Some(lost) = self.evicted {
            outputs.event(
                key,
                StreamEventKind::SubscriberEvicted {
                    subscription,
                    protocol: story.protocol.clone(),
                    lost,
                },
            );
        }
    }
}

/// All readers by dense index, what each visit touches apart from the rest.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    places: Vec<Place>,
    /// By the same index; what was freed keeps its last story.
    stories: Vec<Story>,
    free: Vec<u32>,
}

impl Readers {
    pub(crate) const fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// A new reader, at the place that is made for its name.
    pub(crate) fn insert(
        &mut self,
        story: Story,
        make: impl FnOnce(SubscriptionId) -> Place,
    ) -> SubscriptionId {
        let index = self.free.pop();
        let index = index.unwrap_or(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        let at = index as usize;
        let generation = self.places.get(at).map_or(0, |place| place.generation);
        let id = SubscriptionId { index, generation };
        if let Some(old) = self.stories.get_mut(at)
            && let Some(place) = self.places.get_mut(at)
        {
            (*place, *old) = (make(id), story);
        } else {
            self.places.push(make(id));
            self.stories.push(story);
        }
        id
    }

    pub(crate) fn remove(&mut self, id: SubscriptionId) {
        let place = self.places.get_mut(id.index as usize);
        if let Some(place) = place.filter(|place| place.generation == id.generation) {
            place.generation = place.generation.wrapping_add(1);
            self.free.push(id.index);
        }
    }

    pub(crate) fn named(&self, id: SubscriptionId) -> Option<(&Place, &Story)> {
        let at = id.index as usize;
        let (place, story) = (self.places.get(at)?, self.stories.get(at)?);
        (place.generation == id.generation).then_some((place, story))
    }

    #[inline]
    pub(crate) fn named_mut(&mut self, id: SubscriptionId) -> Option<(&mut Place, &mut Story)> {
        let at = id.index as usize;
        let (place, story) = (self.places.get_mut(at)?, self.stories.get_mut(at)?);
        (place.generation == id.generation).then_some((place, story))
    }

    /// The place of a reader that is there.
    #[inline]
    pub(crate) fn place_at(&mut self, index: u32) -> Option<&mut Place> {
        self.places.get_mut(index as usize)
    }
}
