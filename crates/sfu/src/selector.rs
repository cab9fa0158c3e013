//! Which of a track's layers a subscriber gets: pure choice, no state.

use str0m::media::Rid;

use crate::options::PreferredLayers;
use crate::track::Track;

/// One layer as a choice, lowest first in a slice of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rung {
    /// Index into the track's layers.
    pub(crate) layer: usize,
    pub(crate) active: bool,
    pub(crate) bits_per_second: u64,
    pub(crate) area: Option<u32>,
}

/// How high the application lets this subscriber go: an index into `rungs`.
pub(crate) fn ceiling(track: &Track, rungs: &[Rung], preferred: &PreferredLayers) -> usize {
    let top = rungs.len().saturating_sub(1);
    if let Some(rid) = &preferred.rid {
        let rid = Rid::from(rid.as_str());
        return rungs
            .iter()
            .position(|rung| {
                track
                    .layers
                    .get(rung.layer)
                    .is_some_and(|l| l.rid == Some(rid))
            })
            .unwrap_or(top);
    }
    preferred
        .spatial
        .map_or(top, |spatial| usize::from(spatial).min(top))
}

/// The highest active rung at or below `desired`, else the lowest active one, else `desired`
/// itself while nothing is known to flow.
pub(crate) fn best_fit(rungs: &[Rung], desired: usize) -> Option<Rung> {
    let desired = desired.min(rungs.len().checked_sub(1)?);
    rungs
        .iter()
        .take(desired + 1)
        .rev()
        .find(|rung| rung.active)
        .or_else(|| rungs.iter().find(|rung| rung.active))
        .or_else(|| rungs.get(desired))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(active: [bool; 3]) -> Vec<Rung> {
        active
            .into_iter()
            .enumerate()
            .map(|(layer, active)| Rung {
                layer,
                active,
                bits_per_second: 0,
                area: None,
            })
            .collect()
    }

    fn check(active: [bool; 3], desired: usize, expected: usize) {
        let rung = best_fit(&rungs(active), desired).unwrap();
        assert_eq!(rung.layer, expected, "{active:?} wanting {desired}");
    }

    #[test]
    fn the_highest_active_layer_at_or_below_the_wish_is_chosen() {
        check([true, true, true], 2, 2);
        check([true, true, false], 2, 1);
        check([true, false, true], 1, 0);
    }

    #[test]
    fn above_the_wish_only_when_nothing_is_below() {
        check([false, false, true], 0, 2);
        check([false, true, true], 0, 1);
    }

    #[test]
    fn an_unknown_publisher_gets_the_benefit_of_the_doubt() {
        check([false, false, false], 1, 1);
        check([false, false, false], 9, 2);
    }

    #[test]
    fn no_layers_no_choice() {
        assert_eq!(best_fit(&[], 0), None);
    }
}
