//! RTP timestamps and media time, both ways.

mod correction;
mod decode_times;
mod ntp;
mod rtp_clock;
mod sender_info;
mod timeline;
mod unwrapper;

pub use decode_times::DecodeTimes;
pub use ntp::NtpTime;
pub use rtp_clock::RtpClock;
pub use sender_info::SenderInfo;
pub use timeline::{Moment, Timeline};
pub use unwrapper::TimestampUnwrapper;

/// Ticks into nanoseconds, rounded down.
fn nanos(ticks: i64, rate: std::num::NonZeroU32) -> i128 {
    i128::from(ticks)
        .saturating_mul(NANOS)
        .div_euclid(i128::from(rate.get()))
}

/// Nanoseconds into ticks, rounded to the nearest.
fn ticks(nanos: i128, rate: std::num::NonZeroU32) -> i64 {
    let scaled = nanos
        .saturating_mul(i128::from(rate.get()))
        .saturating_add(NANOS / 2)
        .div_euclid(NANOS);
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}

const NANOS: i128 = 1_000_000_000;
