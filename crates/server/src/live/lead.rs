//! Which of a publisher's layers the stream itself carries.

use std::time::{Duration, Instant};

/// Chooses the best layer that flows, and when to go to another one.
///
/// - A layer flows until it has brought no picture for 500 ms while another one brought three: a slow camera is not
///   silent, nor is a publisher that pauses as a whole.
/// - When the layer that is carried falls silent, the best one that flows is asked for a keyframe and carried from
///   there on.
/// - A better layer is carried again from a keyframe it is asked for, once it has flowed without a break for one
///   second. Each fall within 30 s of a rise doubles this time, up to 16 s, and a later fall makes it one second
///   again: a link that is too thin for a layer is tried seldom, and not at every breath.
/// - Keyframes are asked for once a second while one is wanted; one that comes unasked is as good.
#[derive(Debug)]
pub(super) struct Lead {
    layers: Vec<Flow>,
    carried: usize,
    /// Nothing of the carried layer can be decoded before its keyframe.
    awaits_keyframe: bool,
    risen: Option<Instant>,
    patience: Duration,
    asked: Option<(usize, Instant)>,
    request: Option<usize>,
}

/// What is known of one layer's pictures.
#[derive(Debug, Clone, Default)]
struct Flow {
    newest: Option<Instant>,
    /// Since when they come without a break.
    since: Option<Instant>,
    /// How many each of the others has brought since the newest.
    missed: Vec<u8>,
}

/// What becomes of a picture in the stream itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// It is another layer's.
    Leave,
    /// It is the next one.
    Carry,
    /// It is the first one of another layer than before.
    Switch,
}

impl Lead {
    /// Begins with the next keyframe of a layer, of so many; they are numbered from the lowest.
    pub(super) fn new(layers: usize, first: usize) -> Self {
        let flow = Flow {
            missed: vec![0; layers],
            ..Flow::default()
        };
        Self {
            layers: vec![flow; layers],
            carried: first,
            awaits_keyframe: true,
            risen: None,
            patience: PATIENCE,
            asked: None,
            request: None,
        }
    }

    /// The layer that is carried.
    pub(super) const fn carried(&self) -> usize {
        self.carried
    }

    /// Whether a layer brings pictures.
    pub(super) fn flows(&self, now: Instant, layer: usize) -> bool {
        self.layers.get(layer).is_some_and(|flow| flow.flows(now))
    }

    /// Takes note of a picture.
    pub(super) fn handle_picture(&mut self, now: Instant, layer: usize, keyframe: bool) -> Pass {
        self.count(now, layer);
        let wanted = self.wanted(now);
        let pass = match wanted {
            Some(wanted) if wanted == layer && keyframe => {
                self.go(now, layer);
                Pass::Switch
            }
            _ if layer != self.carried || self.awaits_keyframe && !keyframe => Pass::Leave,
            _ if self.awaits_keyframe => {
                self.awaits_keyframe = false;
                Pass::Switch
            }
            _ => Pass::Carry,
        };
        match self.wanted(now) {
            Some(wanted) => self.ask(now, wanted),
            None => self.asked = None,
        }
        pass
    }

    /// A layer that is to be asked for a keyframe now.
    pub(super) fn poll_request(&mut self) -> Option<usize> {
        self.request.take()
    }

    fn count(&mut self, now: Instant, layer: usize) {
        for (number, flow) in self.layers.iter_mut().enumerate() {
            if number == layer {
                if !flow.flows(now) {
                    flow.since = Some(now);
                }
                flow.newest = Some(now);
                flow.missed.fill(0);
            } else if let Some(missed) = flow.missed.get_mut(layer) {
                *missed = missed.saturating_add(1);
            }
        }
    }

    /// The layer that should be carried instead.
    fn wanted(&self, now: Instant) -> Option<usize> {
        let silent = !self.flows(now, self.carried)
            && self.layers.get(self.carried).is_some_and(Flow::has_begun);
        let mut better = (0..self.layers.len()).rev().filter(|layer| {
            if silent {
                *layer != self.carried && self.flows(now, *layer)
            } else {
                *layer > self.carried && self.is_steady(now, *layer)
            }
        });
        better.next()
    }

    fn is_steady(&self, now: Instant, layer: usize) -> bool {
        let since = self.layers.get(layer).and_then(|flow| flow.since);
        self.flows(now, layer) && since.is_some_and(|since| now >= since + self.patience)
    }

    fn go(&mut self, now: Instant, layer: usize) {
        if layer > self.carried {
            self.risen = Some(now);
        } else {
            let soon = self.risen.is_some_and(|risen| now < risen + SOON);
            self.patience = if soon {
                MAX_PATIENCE.min(self.patience * 2)
            } else {
                PATIENCE
            };
        }
        self.carried = layer;
        self.awaits_keyframe = false;
    }

    fn ask(&mut self, now: Instant, layer: usize) {
        let again = |(asked, at): (usize, Instant)| asked != layer || now >= at + ASK_EVERY;
        if self.asked.is_none_or(again) {
            self.asked = Some((layer, now));
            self.request = Some(layer);
        }
    }
}

impl Flow {
    const fn has_begun(&self) -> bool {
        self.newest.is_some()
    }

    fn flows(&self, now: Instant) -> bool {
        self.newest.is_some_and(|newest| {
            now < newest + SILENCE || self.missed.iter().all(|missed| *missed < MISSED)
        })
    }
}

const SILENCE: Duration = Duration::from_millis(500);
const MISSED: u8 = 3;
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_PATIENCE: Duration = Duration::from_secs(16);
/// A fall so soon after a rise says that the rise was too early.
const SOON: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_secs(1);
