//! RTP timestamps of a subscriber slot: one clock, anchored to the wall, whatever sources come and go.

use std::time::Duration;

/// Maps the extended timestamps of changing sources onto one outgoing clock.
///
/// The first switch fixes an epoch, a pair of wall time and outgoing timestamp. Each later switch aims at the epoch
/// and not at the source before it, so errors do not add up over switches. The epoch moves only when the clock rate
/// changes, or when a source ran more than a second ahead of the wall: time cannot be taken back.
#[derive(Debug, Clone)]
pub struct TimestampRewriter {
    epoch: Option<Epoch>,
    /// Added to incoming timestamps, modulo 2^64.
    offset: u64,
    /// What the present source may not go below.
    floor: u64,
    /// Highest timestamp given out, or the first one to give out.
    last_out: u64,
}

#[derive(Debug, Clone, Copy)]
struct Epoch {
    wall: Duration,
    out: u64,
    clock_rate: u32,
}

impl TimestampRewriter {
    /// The first packet of the first source gets `first_out`: a random 32-bit value (RFC 3550 §5.1).
    pub const fn new(first_out: u64) -> Self {
        Self {
            epoch: None,
            offset: 0,
            floor: first_out,
            last_out: first_out,
        }
    }

    /// The next source begins with the timestamp `ts_in`, in a packet that arrived here at `now`, a time since any
    /// origin the caller keeps. For a packet replayed from a ring that is when it came, not when it is replayed.
    ///
    /// The outgoing clock goes to where the wall says, rounded to whole frame intervals after the last timestamp if
    /// `frame_interval_ticks` is known (0 and more than a second count as unknown), and always at least
    /// `clock_rate` / 60 beyond it: two frames with one timestamp are one frame to a decoder. Sources that take turns
    /// faster than that run ahead of the wall; slower switches bring the clock back.
    pub fn switch(
        &mut self,
        ts_in: u64,
        now: Duration,
        clock_rate: u32,
        frame_interval_ticks: Option<u64>,
    ) {
        let out = match self.epoch {
            None => self.last_out,
            Some(epoch) if epoch.clock_rate == clock_rate => {
                self.aim(epoch.at(now), clock_rate, frame_interval_ticks)
            }
            Some(_) => self.aim(0, clock_rate, None),
        };
        let second = u64::from(clock_rate);
        if self.epoch.is_none_or(|epoch| {
            epoch.clock_rate != clock_rate || out > epoch.at(now).saturating_add(second)
        }) {
            self.epoch = Some(Epoch {
                wall: now,
                out,
                clock_rate,
            });
        }
        self.offset = out.wrapping_sub(ts_in);
        self.floor = out;
        self.last_out = out;
    }

    /// From here on timestamps are lower by `ticks` than they would have been: the source goes out faster than it
    /// came. Less than what the next timestamp is beyond the last one, or time would go back.
    pub const fn hold_back(&mut self, ticks: u64) {
        self.offset = self.offset.wrapping_sub(ticks);
        if let Some(epoch) = &mut self.epoch {
            epoch.out = epoch.out.saturating_sub(ticks);
        }
    }

    /// The outgoing timestamp of `ts_in`. What lies before the switch point is held at it, so time never goes back
    /// across a switch.
    pub fn map(&mut self, ts_in: u64) -> u64 {
        let out = ts_in.wrapping_add(self.offset);
        // Modulo 2^64 "before the floor" is a distance in the upper half.
        if out.wrapping_sub(self.floor) > u64::MAX / 2 {
            return self.floor;
        }
        self.last_out = self.last_out.max(out);
        out
    }

    fn aim(&self, target: u64, clock_rate: u32, frame_interval_ticks: Option<u64>) -> u64 {
        let least = u64::from(clock_rate / 60).max(1);
        let advance = target.saturating_sub(self.last_out);
        let whole_frames = frame_interval_ticks
            .filter(|interval| *interval <= u64::from(clock_rate))
            .and_then(|interval| {
                let nearest = advance.saturating_add(interval / 2).checked_div(interval)?;
                // Nearer to none than to one: a whole one each time would run ahead of the wall for good.
                let frames = (nearest > 0).then(|| nearest.max(least.div_ceil(interval)))?;
                Some(frames.saturating_mul(interval))
            });
        let advance = whole_frames.unwrap_or(advance.max(least));
        self.last_out.saturating_add(advance)
    }
}

impl Epoch {
    fn at(self, now: Duration) -> u64 {
        let elapsed = now.saturating_sub(self.wall);
        let ticks = elapsed
            .as_nanos()
            .saturating_mul(u128::from(self.clock_rate))
            / 1_000_000_000;
        self.out
            .saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
    }
}
