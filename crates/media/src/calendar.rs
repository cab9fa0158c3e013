//! Days of the Gregorian calendar, for dates as the wire writes them.

/// Year, month and day of a day since 1970, in the Gregorian calendar.
///
/// Counted in years that begin on the first of March, so that the leap day is a year's last. The months from there
/// have 31, 30, 31, 30, 31 days, twice and a bit: 153 days in five.
pub fn civil(days: i64) -> (i64, i64, i64) {
    // Days since the first of March of the year 0.
    let days = days.saturating_add(719_468);
    let (cycle, of_cycle) = (days.div_euclid(CYCLE_DAYS), days.rem_euclid(CYCLE_DAYS));
    let leaps = (of_cycle / 1_460)
        .saturating_sub(of_cycle / 36_524)
        .saturating_add(of_cycle / 146_096);
    let year = of_cycle.saturating_sub(leaps) / 365;
    let of_year = of_cycle.saturating_sub(
        year.saturating_mul(365)
            .saturating_add(year / 4)
            .saturating_sub(year / 100),
    );
    let month = of_year.saturating_mul(5).saturating_add(2) / 153;
    let month_start = month.saturating_mul(153).saturating_add(2) / 5;
    let day = of_year.saturating_sub(month_start).saturating_add(1);
    let year = cycle.saturating_mul(400).saturating_add(year);
    if month < 10 {
        (year, month.saturating_add(3), day)
    } else {
        (year.saturating_add(1), month.saturating_sub(9), day)
    }
}

/// Days in 400 years.
const CYCLE_DAYS: i64 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_each_other_through_leap_years() {
        let leap = |year: i64| year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(civil(days), (year, month, day), "day {days}");
            let length = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
