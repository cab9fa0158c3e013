//! Divides one subscriber's estimate over its video tracks: the first, simple form.
//!
//! Audio first, then every video gets its lowest layer, then layers are raised in order of
//! priority while they fit. It only ever names a rung; switching is the registry's business.

use crate::selector::Rung;

/// One video subscription that wants a share.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) priority: u8,
    /// The track's layers, lowest first.
    pub(crate) rungs: Vec<Rung>,
    /// The highest rung the application allows.
    pub(crate) ceiling: usize,
    /// The rung in use, if any.
    pub(crate) current: Option<usize>,
    /// The application asked for its layers by name a moment ago. An estimate knows little of
    /// rates it has not seen, so such a wish may overdraw it for a while: real packets are the
    /// best probe, and what does not hold is taken back.
    pub(crate) trial: bool,
    /// The allocator's verdict.
    pub(crate) granted: usize,
}

/// Fills in every claim's `granted` and returns what all of them together would use if neither
/// link nor application bounded them: the rate to probe for, so that a bound lifted by the
/// application finds an estimate that already knows.
pub(crate) fn allocate(claims: &mut [Claim], budget: u64) -> u64 {
    let mut left = budget;
    for claim in claims.iter_mut() {
        let lowest = claim.rungs.iter().position(|rung| rung.active).unwrap_or(0);
        claim.granted = lowest.min(claim.ceiling);
        left = left.saturating_sub(claim.rate(claim.granted));
    }
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(claims.get(*i).map(|c| c.priority)));
    for index in order {
        let Some(claim) = claims.get_mut(index) else {
            continue;
        };
        let base = claim.rate(claim.granted);
        for rung in (claim.granted + 1..=claim.ceiling).rev() {
            if !claim.rungs.get(rung).is_some_and(|r| r.active) {
                continue;
            }
            let extra = claim.rate(rung).saturating_sub(base);
            // Going up asks for room to spare, staying does not: no flapping at the border.
            let asked = if claim.trial {
                extra / TRIAL_OVERDRAFT
            } else if claim.current.is_none_or(|current| rung > current) {
                extra + extra / UP_MARGIN
            } else {
                extra
            };
            if asked <= left {
                left = left.saturating_sub(extra);
                claim.granted = rung;
                break;
            }
        }
    }
    claims.iter().map(Claim::top_rate).sum()
}

impl Claim {
    fn top_rate(&self) -> u64 {
        self.rungs
            .iter()
            .map(|rung| rung.bits_per_second)
            .max()
            .unwrap_or(0)
    }

    fn rate(&self, rung: usize) -> u64 {
        self.rungs.get(rung).map_or(0, |r| r.bits_per_second)
    }
}

/// One part in this many more than a layer needs must be free before going up to it.
const UP_MARGIN: u64 = 6;
/// How many times what is left a layer on trial may take.
const TRIAL_OVERDRAFT: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(priority: u8, current: Option<usize>) -> Claim {
        let rungs = [150_000, 500_000, 1_500_000]
            .into_iter()
            .enumerate()
            .map(|(layer, bits_per_second)| Rung {
                layer,
                active: true,
                bits_per_second,
                area: None,
            })
            .collect();
        Claim {
            priority,
            rungs,
            ceiling: 2,
            current,
            trial: false,
            granted: 0,
        }
    }

    fn check(claims: &mut [Claim], budget: u64, expected: &[usize]) {
        let wanted = allocate(claims, budget);
        let granted: Vec<_> = claims.iter().map(|claim| claim.granted).collect();
        assert_eq!(granted, expected, "at {budget}");
        assert_eq!(wanted, 1_500_000 * claims.len() as u64);
    }

    #[test]
    fn priority_decides_who_goes_up() {
        check(&mut [claim(0, None), claim(9, None)], 2_000_000, &[0, 2]);
    }

    #[test]
    fn everyone_keeps_the_lowest_layer() {
        check(&mut [claim(9, None), claim(0, None)], 100_000, &[0, 0]);
    }

    #[test]
    fn a_layer_in_use_is_kept_where_a_new_one_would_not_be_taken() {
        check(&mut [claim(0, Some(1))], 510_000, &[1]);
        check(&mut [claim(0, Some(0))], 510_000, &[0]);
    }

    #[test]
    fn a_layer_asked_for_by_name_may_overdraw_the_estimate() {
        let mut claims = [claim(0, Some(1))];
        claims[0].trial = true;
        check(&mut claims, 900_000, &[2]);
        check(&mut claims, 800_000, &[1]);
    }

    #[test]
    fn the_application_s_ceiling_holds_however_wide_the_link() {
        let mut claims = [claim(0, None)];
        claims[0].ceiling = 1;
        assert_eq!(
            allocate(&mut claims, u64::MAX),
            1_500_000,
            "probed for all the same"
        );
        assert_eq!(claims[0].granted, 1);
    }
}
