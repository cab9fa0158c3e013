//! The text of a media playlist: the same state gives the same bytes.

use std::fmt::{self, Write};
use std::time::Duration;

use bytes::Bytes;

use super::date::Date;
use super::playlist::{MediaPlaylist, Stored};
use super::resource::Resource;

impl MediaPlaylist {
    /// The playlist, or its delta update (RFC 8216bis §6.2.5.1); written once per change.
    pub(super) fn rendered(&mut self, delta: bool) -> Bytes {
        let skipped = if delta { self.skippable() } else { 0 };
        let known = if skipped == 0 {
            &self.full
        } else {
            &self.delta
        };
        if let Some(known) = known {
            return known.clone();
        }
        let mut text = String::with_capacity(4096);
        // Writing to a string never fails.
        let _ = self.write(&mut text, skipped);
        let text = Bytes::from(text);
        let slot = if skipped == 0 {
            &mut self.full
        } else {
            &mut self.delta
        };
        *slot = Some(text.clone());
        text
    }

    fn write(&self, out: &mut String, skipped: usize) -> fmt::Result {
        self.write_head(out)?;
        if skipped > 0 {
            writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        }
        let listed = self.listed().count();
        // Parts older than three target durations help nobody who follows the edge (§6.2.2).
        let reach = self.target_duration().saturating_mul(3);
        let mut after = self.lasts();
        let mut init = None;
        for (index, segment) in self.listed().chain(&self.open).enumerate() {
            let within = after <= reach;
            after = after.saturating_sub(segment.duration);
            let complete = index < listed;
            if index >= skipped {
                write_segment(out, segment, complete, within || !complete, init)?;
            }
            init = Some(segment.start.init);
        }
        if self.ended {
            return writeln!(out, "#EXT-X-ENDLIST");
        }
        writeln!(
            out,
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"",
            self.hinted()
        )?;
        for (uri, position) in &self.reports {
            let (msn, part) = (position.msn, position.part);
            writeln!(
                out,
                "#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={msn},LAST-PART={part}"
            )?;
        }
        Ok(())
    }

    fn write_head(&self, out: &mut String) -> fmt::Result {
        // Version 9: delta updates (§8).
        out.push_str("#EXTM3U\n#EXT-X-VERSION:9\n");
        writeln!(out, "#EXT-X-TARGETDURATION:{}", self.target_seconds)?;
        let part_target = self.part_target.as_micros().div_ceil(1_000);
        let hold_back = part_target.saturating_mul(3);
        let skip_until = self.skip_until().as_secs();
        writeln!(
            out,
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},CAN-SKIP-UNTIL={skip_until}.000",
            Millis(hold_back),
        )?;
        writeln!(out, "#EXT-X-PART-INF:PART-TARGET={}", Millis(part_target))?;
        let Some(first) = self.listed().next().or(self.open.as_ref()) else {
            return Ok(());
        };
        writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", first.start.number)?;
        // Counts the discontinuities that have left the list; the first segment's own is still there to be seen.
        let left = first
            .start
            .discontinuity_sequence
            .saturating_sub(u64::from(first.start.discontinuity));
        writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{left}")
    }

    fn lasts(&self) -> Duration {
        self.listed()
            .chain(&self.open)
            .map(|segment| segment.duration)
            .sum()
    }

    fn skip_until(&self) -> Duration {
        self.target_duration().saturating_mul(6)
    }

    /// Segments that lie wholly before the skip boundary.
    fn skippable(&self) -> usize {
        let until = self.skip_until();
        let mut after = self.lasts();
        self.listed()
            .take_while(|segment| {
                after = after.saturating_sub(segment.duration);
                after >= until
            })
            .count()
    }
}

fn write_segment(
    out: &mut String,
    segment: &Stored,
    complete: bool,
    with_parts: bool,
    init_before: Option<u32>,
) -> fmt::Result {
    let start = &segment.start;
    if start.discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if init_before != Some(start.init) {
        writeln!(out, "#EXT-X-MAP:URI=\"{}\"", Resource::Init(start.init))?;
    }
    writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", Date(start.wall_micros))?;
    for part in segment.parts.iter().filter(|_| with_parts) {
        let name = Resource::Part {
            segment: part.segment,
            index: part.index,
        };
        // Only a segment's last part outlasts the target, by a pause that the segment's own duration tells.
        let duration = Seconds(part.duration.min(part.target));
        write!(out, "#EXT-X-PART:DURATION={duration},URI=\"{name}\"")?;
        out.push_str(if part.independent {
            ",INDEPENDENT=YES\n"
        } else {
            "\n"
        });
    }
    if complete {
        writeln!(out, "#EXTINF:{},", Seconds(segment.duration))?;
        writeln!(out, "{}", Resource::Segment(start.number))?;
    }
    Ok(())
}

/// A span in seconds with five digits, rounded down: never above a target it does not pass.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:05}",
            self.0.as_secs(),
            self.0.subsec_nanos() / 10_000
        )
    }
}

/// Milliseconds, written as seconds.
struct Millis(u128);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}
