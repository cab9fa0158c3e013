//! Who speaks in a room, by the levels its publishers say their sound has (RFC 6464).
//!
//! The method is that of Volfin and Cohen, "Dominant speaker identification for multipoint videoconferencing" (2013): how
//! likely it is that somebody speaks, over a moment, over a while and over a second. Whoever wants to take over must be
//! far more likely than the present speaker in the first two and ahead in the third, so that a cough changes nothing.

use std::time::{Duration, Instant};

use crate::id::ClientId;

/// Elects the dominant speaker of one room.
#[derive(Debug)]
pub(crate) struct SpeakerDetector {
    /// By the dense index of the client, so that a packet finds its own without a search.
    voices: Vec<Option<Box<Voice>>>,
    speaker: Option<ClientId>,
    began: Instant,
    next_election: Instant,
}

/// The last second of one client, newest first.
#[derive(Debug)]
struct Voice {
    client: ClientId,
    /// Bands of loudness that were active in each slot, 0 to [`BANDS`].
    slots: [u8; SLOTS],
    /// Number of the newest slot since the detector began.
    newest: u64,
    heard: u64,
}

/// How likely speech is, by span.
#[derive(Debug, Clone, Copy)]
struct Scores {
    moment: f64,
    short: f64,
    second: f64,
}

impl SpeakerDetector {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            voices: Vec::new(),
            speaker: None,
            began: now,
            next_election: now,
        }
    }

    pub(crate) fn speaker(&self) -> Option<ClientId> {
        self.speaker
    }

    /// Takes the level of a packet, in dBov: -127 is silence, 0 the loudest.
    pub(crate) fn hear(&mut self, now: Instant, key: u32, client: ClientId, level: i8) {
        let slot = self.slot(now);
        let index = key as usize;
        if self.voices.len() <= index {
            self.voices.resize_with(index + 1, || None);
        }
        let Some(place) = self.voices.get_mut(index) else {
            return;
        };
        let voice = place.get_or_insert_with(|| Box::new(Voice::new(client, slot)));
        voice.advance(slot);
        let again = voice.heard == slot;
        voice.heard = slot;
        if let Some(newest) = voice.slots.first_mut() {
            *newest = bands(level).max(if again { *newest } else { 0 });
        }
    }

    /// Forgets a client that is gone.
    pub(crate) fn forget(&mut self, key: u32, client: ClientId) {
        if let Some(place) = self.voices.get_mut(key as usize) {
            *place = None;
        }
        if self.speaker == Some(client) {
            self.speaker = None;
        }
    }

    /// Elects when it is due; the new speaker, if it is another one.
    pub(crate) fn elect(&mut self, now: Instant) -> Option<ClientId> {
        if now < self.next_election {
            return None;
        }
        self.next_election = now + ELECTION;
        let slot = self.slot(now);
        let mut present = None;
        let mut others = Vec::new();
        for voice in self.voices.iter_mut().flatten() {
            voice.advance(slot);
            let scores = voice.scores();
            if self.speaker == Some(voice.client) {
                present = Some(scores);
            } else if scores.moment > SILENT {
                others.push((voice.client, scores));
            }
        }
        let mut best: Option<(ClientId, f64)> = None;
        for (client, scores) in others {
            let takes_over = present.is_none_or(|present| scores.are_beyond(present));
            if takes_over && best.is_none_or(|(_, score)| scores.short > score) {
                best = Some((client, scores.short));
            }
        }
        let (client, _) = best?;
        self.speaker = Some(client);
        Some(client)
    }

    fn slot(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began).as_millis() / SLOT.as_millis();
        u64::try_from(passed).unwrap_or_default()
    }
}

impl Voice {
    fn new(client: ClientId, slot: u64) -> Self {
        Self {
            client,
            slots: [0; SLOTS],
            newest: slot,
            heard: slot,
        }
    }

    /// Goes on to this slot. A level holds for [`HOLDS`] slots: packets are up to 60 ms long.
    fn advance(&mut self, slot: u64) {
        let passed = slot.saturating_sub(self.newest);
        for number in 1..=passed.min(SLOTS as u64) {
            let held = self.newest + number <= self.heard + HOLDS;
            let level = self.slots.first().copied().filter(|_| held);
            self.slots.rotate_right(1);
            if let Some(newest) = self.slots.first_mut() {
                *newest = level.unwrap_or_default();
            }
        }
        self.newest = self.newest.max(slot);
    }

    fn scores(&self) -> Scores {
        let block = |slots: &[u8]| slots.iter().filter(|slot| **slot >= SPEECH).count();
        let (newest, _) = self.slots.split_at(BLOCK);
        let moment = newest.iter().copied().max().unwrap_or_default();
        let spoken = self.slots.chunks(BLOCK).filter(|c| block(c) >= BLOCK / 2);
        Scores {
            moment: score(usize::from(moment), BANDS, 0.78),
            short: score(block(newest), BLOCK, 24.0),
            second: score(spoken.count(), SLOTS / BLOCK, 47.0),
        }
    }
}

impl Scores {
    fn are_beyond(self, present: Self) -> bool {
        (self.moment / present.moment).ln() > MOMENT_MARGIN
            && (self.short / present.short).ln() > WHILE_MARGIN
            && self.second > present.second
    }
}

/// How many bands of 6 dB a level reaches, from -78 dBov on.
fn bands(level: i8) -> u8 {
    let above = (i16::from(level) + 78).clamp(0, 78) / 6;
    u8::try_from(above).unwrap_or_default()
}

/// The log-likelihood ratio of speech when `active` of `all` are: binomial against exponential (equation 8 there).
fn score(active: usize, all: usize, rate: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen at most")]
    let (k, n) = (active as f64, all as f64);
    let mut choose = 0.0;
    for step in 1..=active {
        #[expect(clippy::cast_precision_loss, reason = "a few dozen at most")]
        let step = step as f64;
        choose += ((n - k + step) / step).ln();
    }
    (choose - n * std::f64::consts::LN_2 - rate.ln() + rate * k).max(SILENT)
}

/// The paper's frame.
const SLOT: Duration = Duration::from_millis(20);
/// One second.
const SLOTS: usize = 50;
/// The paper's N2.
const BLOCK: usize = 5;
/// The paper's N1.
const BANDS: usize = 13;
/// Active bands from which a slot is speech: about -54 dBov.
const SPEECH: u8 = 4;
/// 40 ms: then somebody who sends nothing is silent.
const HOLDS: u64 = 2;
/// The score of silence, so that there is a ratio to it.
const SILENT: f64 = 1e-10;
const MOMENT_MARGIN: f64 = 3.0;
const WHILE_MARGIN: f64 = 2.0;
const ELECTION: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    struct Table {
        now: Instant,
        detector: SpeakerDetector,
    }

    impl Table {
        fn new() -> Self {
            let now = Instant::now();
            let detector = SpeakerDetector::new(now);
            Self { now, detector }
        }

        /// Everybody sends 20 ms packets at these levels for so long; who is elected meanwhile.
        fn hear(&mut self, millis: u64, levels: &[i8]) -> Vec<ClientId> {
            let mut elected = Vec::new();
            for _ in 0..millis / 20 {
                self.now += SLOT;
                for (number, level) in (1..).zip(levels) {
                    let key = u32::try_from(number).unwrap();
                    self.detector.hear(self.now, key, client(number), *level);
                }
                elected.extend(self.detector.elect(self.now));
            }
            elected
        }
    }

    fn client(number: u64) -> ClientId {
        ClientId::new(number)
    }

    #[test]
    fn nobody_is_elected_in_a_silent_room() {
        assert_eq!(Table::new().hear(3000, &[-127, -90, -80]), []);
    }

    #[test]
    fn who_speaks_is_elected_and_stays_when_it_falls_silent() {
        let mut table = Table::new();
        assert_eq!(table.hear(1000, &[-127, -30]), [client(2)]);
        assert_eq!(table.hear(3000, &[-127, -127]), []);
        assert_eq!(table.detector.speaker(), Some(client(2)));
    }

    #[test]
    fn the_next_speaker_takes_over_within_a_second_and_a_half() {
        let mut table = Table::new();
        table.hear(2000, &[-25, -80]);
        assert_eq!(table.hear(1500, &[-80, -25]), [client(2)]);
    }

    #[test]
    fn a_cough_changes_nothing() {
        let mut table = Table::new();
        table.hear(2000, &[-25, -80]);
        assert_eq!(table.hear(160, &[-25, -10]), []);
        assert_eq!(table.hear(2000, &[-25, -80]), []);
    }

    #[test]
    fn a_speaker_that_is_gone_leaves_the_place_to_the_next() {
        let mut table = Table::new();
        table.hear(2000, &[-25, -25]);
        let gone = table.detector.speaker().unwrap();
        let number = u32::try_from(gone.raw()).unwrap();
        table.detector.forget(number, gone);
        let left = client(3 - gone.raw());
        table.now += SLOT * 20;
        table.detector.hear(table.now, 3 - number, left, -25);
        assert_eq!(table.detector.elect(table.now), Some(left));
    }

    #[test]
    fn packets_of_60_ms_count_as_sound_without_gaps() {
        let mut table = Table::new();
        for _ in 0..20 {
            table.now += SLOT * 3;
            table.detector.hear(table.now, 1, client(1), -30);
        }
        table.detector.elect(table.now);
        assert_eq!(table.detector.speaker(), Some(client(1)));
    }
}
