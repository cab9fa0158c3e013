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
            None if !self.awaits_keyframe => self.asked = None,
            None if layer == self.carried => self.ask(now, layer),
            None => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// A publisher of three layers that answers requests for keyframes after 60 ms.
    struct Camera {
        lead: Lead,
        now: Instant,
        /// From picture to picture.
        step: Duration,
        flowing: [bool; 3],
        due: [Option<Instant>; 3],
        /// What was carried last, and since when.
        switches: Vec<(Duration, usize)>,
        asked: Vec<(Duration, usize)>,
        answers: bool,
        began: Instant,
    }

    impl Camera {
        fn new(step: Duration) -> Self {
            let began = Instant::now();
            Self {
                lead: Lead::new(3, 2),
                now: began,
                step,
                flowing: [true; 3],
                due: [Some(began); 3],
                switches: Vec::new(),
                asked: Vec::new(),
                answers: true,
                began,
            }
        }

        fn run(&mut self, time: Duration) {
            let end = self.now + time;
            while self.now < end {
                for layer in 0..3 {
                    if self.flowing[layer] {
                        self.show(layer);
                    }
                }
                self.now += self.step;
            }
        }

        fn show(&mut self, layer: usize) {
            // Each layer's packets come a moment after those of the one below.
            self.now += MS;
            let keyframe = self.due[layer].take_if(|due| *due <= self.now).is_some();
            let since = self.now - self.began;
            let before = self.lead.carried();
            match self.lead.handle_picture(self.now, layer, keyframe) {
                Pass::Leave => assert_eq!(self.lead.carried(), before),
                Pass::Carry => assert_eq!((layer, before), (self.lead.carried(), layer)),
                Pass::Switch => {
                    assert!(keyframe, "a switch lands on a keyframe");
                    assert_eq!(self.lead.carried(), layer);
                    self.switches.push((since, layer));
                }
            }
            if let Some(asked) = self.lead.poll_request() {
                self.asked.push((since, asked));
                if self.answers {
                    self.due[asked].get_or_insert(self.now + 60 * MS);
                }
            }
        }

        fn carried(&self) -> Vec<usize> {
            self.switches.iter().map(|(_, layer)| *layer).collect()
        }
    }

    #[test]
    fn a_silent_layer_is_left_for_the_best_that_flows_and_taken_again() {
        let mut camera = Camera::new(33 * MS);
        camera.run(SECOND * 5);
        assert_eq!(camera.carried(), [2]);
        assert_eq!(camera.asked, [], "nobody is asked while all flow");
        camera.flowing[2] = false;
        let silent = camera.now - camera.began;
        camera.run(SECOND * 5);
        assert_eq!(camera.carried(), [2, 1]);
        let (left, _) = camera.switches[1];
        assert!(
            left > silent + 400 * MS && left < silent + 800 * MS,
            "{left:?}"
        );
        camera.flowing[2] = true;
        let back = camera.now - camera.began;
        camera.run(SECOND * 5);
        assert_eq!(camera.carried(), [2, 1, 2]);
        let (taken, _) = camera.switches[2];
        assert!(
            taken > back + SECOND && taken < back + 1500 * MS,
            "{taken:?}"
        );
    }

    #[test]
    fn two_layers_that_fall_silent_leave_the_third() {
        let mut camera = Camera::new(33 * MS);
        camera.run(SECOND);
        camera.flowing = [true, false, false];
        camera.run(SECOND * 3);
        assert_eq!(camera.carried(), [2, 0]);
        camera.flowing = [true, true, false];
        camera.run(SECOND * 3);
        assert_eq!(camera.carried(), [2, 0, 1]);
    }

    #[test]
    fn a_publisher_that_pauses_or_is_slow_is_not_silent() {
        let mut camera = Camera::new(33 * MS);
        camera.run(SECOND);
        camera.flowing = [false; 3];
        camera.run(SECOND * 10);
        camera.flowing = [true; 3];
        camera.run(SECOND * 10);
        let mut slow = Camera::new(SECOND * 2);
        slow.run(SECOND * 60);
        for camera in [camera, slow] {
            assert_eq!(camera.carried(), [2]);
            assert_eq!(camera.asked, []);
        }
    }

    #[test]
    fn a_layer_that_comes_and_goes_is_tried_ever_more_seldom() {
        let mut camera = Camera::new(33 * MS);
        for _ in 0..60 {
            camera.flowing[2] = true;
            camera.run(SECOND * 3);
            camera.flowing[2] = false;
            camera.run(SECOND * 2);
        }
        // 1, 2 and then 4 s: as long as it never flows.
        assert_eq!(camera.carried(), [2, 1, 2, 1, 2, 1]);
        camera.flowing[2] = true;
        camera.run(SECOND * 40);
        camera.flowing[2] = false;
        camera.run(SECOND * 5);
        camera.flowing[2] = true;
        camera.run(SECOND * 2);
        assert_eq!(camera.carried()[6..], [2, 1, 2], "it has proved itself");
    }

    #[test]
    fn a_keyframe_that_does_not_come_is_asked_for_each_second() {
        let mut camera = Camera::new(33 * MS);
        camera.run(SECOND);
        camera.flowing[2] = false;
        camera.answers = false;
        camera.run(SECOND * 10);
        assert_eq!(camera.carried(), [2]);
        assert!((9..=10).contains(&camera.asked.len()), "{:?}", camera.asked);
        assert!(camera.asked.iter().all(|(_, layer)| *layer == 1));
    }

    #[test]
    fn whatever_comes_and_goes_the_best_that_stays_is_carried_in_the_end() {
        for seed in 1..=200_u64 {
            let mut state = seed;
            let mut below = |bound: u32| {
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                let random = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
                u32::try_from(random % u64::from(bound)).unwrap()
            };
            let mut camera = Camera::new(MS * (10 + below(60)));
            for _ in 0..40 {
                for flows in &mut camera.flowing {
                    *flows = below(3) > 0;
                }
                camera.run(MS * below(4000));
            }
            let switches = camera.switches.len();
            assert!(switches < 40, "seed {seed}: {switches} switches");
            camera.flowing[usize::try_from(below(3)).unwrap()] = true;
            camera.run(SECOND * 40);
            let best = camera.flowing.iter().rposition(|flows| *flows);
            assert_eq!(Some(camera.lead.carried()), best, "seed {seed}");
        }
    }
}
