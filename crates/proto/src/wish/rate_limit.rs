//! A token bucket per address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How many requests one address may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests at once, at least 1.
    pub burst: u32,
    /// One more request each.
    pub interval: Duration,
}

/// Buckets by address, of which a full one takes no room; an IPv6 address counts as its /64.
///
/// A bucket is one moment: when it is full again. At the cap the bucket that is full first is forgotten.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limit: RateLimit,
    cap: usize,
    full_at: BTreeMap<IpAddr, Instant>,
    by_time: BTreeSet<(Instant, IpAddr)>,
}

impl RateLimiter {
    pub(crate) const fn new(limit: RateLimit, cap: usize) -> Self {
        Self {
            limit,
            cap,
            full_at: BTreeMap::new(),
            by_time: BTreeSet::new(),
        }
    }

    /// Takes a token, or says how long there is none.
    pub(crate) fn take(&mut self, now: Instant, address: IpAddr) -> Result<(), Duration> {
        let address = counted(address);
        self.forget_full(now);
        let before = self.full_at.get(&address).copied();
        let debt = before.map_or(Duration::ZERO, |full_at| {
            full_at.saturating_duration_since(now)
        });
        let allowed = self
            .limit
            .interval
            .saturating_mul(self.limit.burst.saturating_sub(1));
        if debt > allowed {
            return Err(debt.saturating_sub(allowed));
        }
        let Some(full_at) = debt
            .checked_add(self.limit.interval)
            .and_then(|debt| now.checked_add(debt))
        else {
            return Ok(());
        };
        match before {
            Some(before) => drop(self.by_time.remove(&(before, address))),
            None if self.full_at.len() >= self.cap => {
                if let Some((_, first)) = self.by_time.pop_first() {
                    self.full_at.remove(&first);
                }
            }
            None => {}
        }
        self.full_at.insert(address, full_at);
        self.by_time.insert((full_at, address));
        Ok(())
    }

    /// How many addresses are remembered.
    pub(crate) fn len(&self) -> usize {
        self.full_at.len()
    }

    fn forget_full(&mut self, now: Instant) {
        // Two out for one in: the table shrinks without a sweep.
        for _ in 0..2 {
            match self.by_time.first() {
                Some(&(full_at, address)) if full_at <= now => {
                    self.by_time.pop_first();
                    self.full_at.remove(&address);
                }
                _ => return,
            }
        }
    }
}

/// A subscriber has a /64 of IPv6 (RFC 6177 §2), so that is the address that counts.
fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(cap: usize) -> RateLimiter {
        let limit = RateLimit {
            burst: 3,
            interval: Duration::from_secs(1),
        };
        RateLimiter::new(limit, cap)
    }

    #[test]
    fn burst_passes_then_one_each_interval() {
        let (t0, mut limiter) = (crate::origin(), limiter(10));
        let a: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..3 {
            assert_eq!(limiter.take(t0, a), Ok(()));
        }
        assert_eq!(limiter.take(t0, a), Err(Duration::from_secs(1)));
        let b = "192.0.2.2".parse().unwrap();
        assert_eq!(limiter.take(t0, b), Ok(()));
        let t1 = t0 + Duration::from_secs(1);
        assert_eq!(limiter.take(t1, a), Ok(()));
        assert!(limiter.take(t1, a).is_err());
    }

    #[test]
    fn one_subscriber_of_ipv6_is_one_address() {
        let (t0, mut limiter) = (crate::origin(), limiter(10));
        for host in 0..3 {
            let address = format!("2001:db8::{host:x}").parse().unwrap();
            assert_eq!(limiter.take(t0, address), Ok(()));
        }
        assert!(limiter.take(t0, "2001:db8::ffff".parse().unwrap()).is_err());
        assert!(limiter.take(t0, "2001:db8:0:1::1".parse().unwrap()).is_ok());
        assert!(
            limiter
                .take(t0, "::ffff:192.0.2.1".parse().unwrap())
                .is_ok()
        );
        assert_eq!(limiter.len(), 3);
    }

    #[test]
    fn table_never_grows_past_its_cap() {
        let (t0, mut limiter) = (crate::origin(), limiter(16));
        for n in 0..1000_u32 {
            let address = IpAddr::from(n.to_be_bytes());
            assert!(limiter.take(t0, address).is_ok());
            assert!(limiter.len() <= 16);
            assert_eq!(limiter.len(), limiter.by_time.len());
        }
        let later = t0 + Duration::from_secs(60);
        for _ in 0..16 {
            limiter.take(later, "192.0.2.1".parse().unwrap()).ok();
        }
        assert_eq!(limiter.len(), 1);
    }
}
