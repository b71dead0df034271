//! Times and spans of time as an operator reads them.

use std::time::Duration;

const DAY: u64 = 86_400;

/// A time since 1970 as RFC 3339 writes it, in UTC and whole seconds. One that its four digits of a year do not reach is written
/// as seconds.
pub(crate) fn rfc3339(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, second) = (seconds / DAY, seconds % DAY);
    // 253402300799 is the end of the year 9999.
    if seconds > 253_402_300_799 {
        return format!("{seconds} s after 1970");
    }
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The Gregorian date of a day since 1970, counted from the first of March of the year 0, so that a leap day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A span of time in the largest unit of which there are two, rounded down: `119 s`, `2 min`, `3 h`, `2 days`.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / DAY),
    }
}

/// A span of time in its two largest units, rounded down: `45 s`, `2 min 3 s`, `1 h`, `3 days 4 h`.
pub(crate) fn exact_span(time: Duration) -> String {
    let seconds = time.as_secs();
    let of_two =
        |large: u64, large_name: &str, small: u64, small_name: &str| match (seconds / large, seconds % large / small) {
            (many, 0) => format!("{many} {large_name}"),
            (many, few) => format!("{many} {large_name} {few} {small_name}"),
        };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => of_two(60, "min", 1, "s"),
        3_600..DAY => of_two(3_600, "h", 60, "min"),
        DAY..172_800 => of_two(DAY, "day", 3_600, "h"),
        _ => of_two(DAY, "days", 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339_has_it() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "253402300800 s after 1970"),
            (u64::MAX, "18446744073709551615 s after 1970"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
        assert_eq!(rfc3339(Duration::from_millis(1999)), "1970-01-01T00:00:01Z");
        // Every day of four centuries, which is when the calendar repeats, follows the one before.
        let mut last = civil(0);
        for day in 1..=146_097 {
            let date = civil(day);
            let (year, month, first) = (date.0 - last.0, date.1, date.2 == 1);
            let follows = if first { year == u64::from(month == 1) && last.2 >= 28 } else { date.2 == last.2 + 1 };
            assert!(follows, "{last:?} {date:?}");
            last = date;
        }
        assert_eq!(last, (2370, 1, 1));
    }

    #[test]
    fn an_exact_span_has_two_units_where_the_second_says_something() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (123, "2 min 3 s"),
            (3_600, "1 h"),
            (3_659, "1 h"),
            (8_000, "2 h 13 min"),
            (86_400, "1 day"),
            (90_000, "1 day 1 h"),
            (273_600, "3 days 4 h"),
        ] {
            assert_eq!(exact_span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_span_is_written_in_a_unit_that_tells_something() {
        for (seconds, text) in [
            (0, "0 s"),
            (60, "60 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
            (u64::MAX, "213503982334601 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
