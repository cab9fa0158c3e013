//! Several runs of one measurement.

use std::fmt;

/// Minimum, median and maximum.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one; of an even number, the upper.
    pub median: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// Of at least one run; none gives zeros.
    pub fn of(mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        let at = |index: usize| runs.get(index).copied().unwrap_or_default();
        Self {
            min: at(0),
            median: at(runs.len() / 2),
            max: at(runs.len().saturating_sub(1)),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/{:.0}/{:.0}", self.min, self.median, self.max)
    }
}

/// The value that `per_mille` of 1000 values do not exceed; `sorted` ascending.
pub fn percentile<T: Copy>(sorted: &[T], per_mille: usize) -> Option<T> {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hundredth_of_a_hundred_is_its_p999() {
        let sorted: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&sorted, 500), Some(50));
        assert_eq!(percentile(&sorted, 990), Some(99));
        assert_eq!(percentile(&sorted, 999), Some(100));
    }
}
