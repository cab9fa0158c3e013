//! A publisher's wall clock on ours, from its sender reports.

use std::time::{Duration, Instant, SystemTime};

use str0m::rtp::RtpPacket;

/// Maps RTP time to our clock through the publisher's sender reports (RFC 3550 §6.4.1), so that
/// subscribers can play audio and video of one publisher in step.
///
/// All tracks of a publisher share one instance: only then do their mappings agree.
#[derive(Debug, Default)]
pub(crate) struct SenderClock {
    /// The report that was least delayed, as (its NTP time, when it arrived).
    reference: Option<(SystemTime, Instant)>,
}

impl SenderClock {
    /// When the packet was captured, on our clock, never later than it arrived; its arrival while
    /// no report is known.
    pub(crate) fn wallclock(&mut self, packet: &RtpPacket) -> Instant {
        let arrival = packet.timestamp;
        let Some(report) = packet.last_sender_info else {
            return arrival;
        };
        let frequency = u64::from(packet.time.frequency().get());
        let captured = signed_offset(
            report.ntp_time,
            packet.time.numer(),
            report.rtp_time.numer(),
            frequency,
        );
        let Some(captured) = captured else {
            return arrival;
        };
        let (ntp, local) = *self.reference.get_or_insert((captured, arrival));
        let mapped = match captured.duration_since(ntp) {
            Ok(after) => local.checked_add(after),
            Err(before) => local.checked_sub(before.duration()),
        };
        match mapped {
            // This one took less time to get here than the reference did.
            Some(mapped) if mapped > arrival => {
                self.reference = Some((captured, arrival));
                arrival
            }
            Some(mapped) if arrival.saturating_duration_since(mapped) < MAX_AGE => mapped,
            _ => {
                self.reference = Some((captured, arrival));
                arrival
            }
        }
    }
}

/// The NTP time at RTP time `rtp`, given that `ntp` belongs to `reported`. The report's 32 bits
/// are extended to the side of the packet that is nearer.
fn signed_offset(ntp: SystemTime, rtp: u64, reported: u64, frequency: u64) -> Option<SystemTime> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "RTP time is 32 bits on the wire"
    )]
    let ahead = (rtp as u32).wrapping_sub(reported as u32);
    let duration = |ticks: u32| {
        Duration::from_nanos(u64::from(ticks).saturating_mul(1_000_000_000) / frequency.max(1))
    };
    if ahead < u32::MAX / 2 {
        ntp.checked_add(duration(ahead))
    } else {
        ntp.checked_sub(duration(ahead.wrapping_neg()))
    }
}

/// A mapping that says a packet is older than this is wrong: the publisher's clock was set.
const MAX_AGE: Duration = Duration::from_secs(5);
