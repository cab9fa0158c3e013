//! When to decode what RTP only tells when to show.

use std::collections::VecDeque;

use sluice_media::Timestamp;

/// Decoding times for a track whose pictures come in decoding order with the time they are shown at.
///
/// With `reorder` pictures decoded before one that is shown earlier, a picture is decoded when the one is shown that
/// lies `reorder` places before it in the order of showing. So decoding times never decrease and are never after
/// showing, as long as the stream keeps to its word; else they are as near to that as they can be.
#[derive(Debug, Clone)]
pub struct DecodeTimes {
    reorder: usize,
    /// The highest showing times so far, in order, at most `reorder` of them.
    shown: VecDeque<Timestamp>,
    last: Option<Timestamp>,
}

impl DecodeTimes {
    /// For a track of this depth: `max_num_reorder_frames` of its SPS, 16 at most.
    pub fn new(reorder: u8) -> Self {
        Self {
            reorder: usize::from(reorder.min(MAX_REORDER)),
            shown: VecDeque::new(),
            last: None,
        }
    }

    /// The decoding time of the next picture in decoding order, in ticks of `pts`.
    ///
    /// The first `reorder` pictures are decoded a sixtieth of a second apart, before the first is shown.
    pub fn next(&mut self, pts: Timestamp) -> Timestamp {
        let place = self.shown.partition_point(|shown| *shown <= pts);
        self.shown.insert(place, pts);
        let dts = if self.shown.len() > self.reorder {
            self.shown.pop_front().unwrap_or(pts)
        } else {
            let early = self
                .reorder
                .saturating_add(1)
                .saturating_sub(self.shown.len());
            let interval = i64::from(pts.rate().get() / 60);
            let ticks = i64::try_from(early).unwrap_or(0).saturating_mul(interval);
            let first = self.shown.front().copied().unwrap_or(pts);
            first.plus_ticks(ticks.saturating_neg())
        };
        let dts = self
            .last
            .map_or(dts.min(pts), |last| last.max(dts.min(pts)));
        self.last = Some(dts);
        dts
    }
}

const MAX_REORDER: u8 = 16;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn times(reorder: u8, shown: &[i64]) -> Vec<i64> {
        let mut times = DecodeTimes::new(reorder);
        let rate = NonZeroU32::new(90_000).unwrap();
        let ticks = |pts: &i64| times.next(Timestamp::new(*pts * 3_000, rate)).ticks();
        shown.iter().map(ticks).collect()
    }

    #[test]
    fn without_reordering_a_picture_is_decoded_when_it_is_shown() {
        assert_eq!(times(0, &[5, 6, 7]), [15_000, 18_000, 21_000]);
    }

    #[test]
    fn pyramid_of_pictures_is_decoded_in_rising_times_before_it_is_shown() {
        // I P B b b as x264 sends it, twice.
        let shown = [0, 4, 2, 1, 3, 8, 6, 5, 7];
        let decoded = times(2, &shown);
        assert_eq!(decoded[..2], [-3_000, -1_500]);
        assert_eq!(decoded[2..], [0, 1, 2, 3, 4, 5, 6].map(|time| time * 3_000));
        assert!(
            decoded
                .iter()
                .zip(shown)
                .all(|(dts, pts)| *dts <= pts * 3_000)
        );
    }

    #[test]
    fn stream_that_breaks_its_word_still_rises() {
        let decoded = times(1, &[0, 9, 3, 1, 2, 12, 10]);
        assert!(decoded.is_sorted());
    }
}
