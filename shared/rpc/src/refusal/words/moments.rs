use std::time::Duration;

use tidegate_types::Timestamp;

use super::Words;

const BEIJING_AHEAD_OF_UTC: Duration = Duration::from_secs(8 * 3_600);
const SECONDS_PER_MINUTE: u64 = 60;

/// A moment as people say it, to the minute.
pub(super) fn spoken_moment(moment: Timestamp) -> Words {
    // At the end of the calendar there is no later moment; UTC is then said, as it is.
    let beijing = moment
        .checked_add(BEIJING_AHEAD_OF_UTC.try_into().unwrap_or_default())
        .unwrap_or(moment);
    Words::new(
        format!(
            "北京时间 {} 年 {} 月 {} 日 {:02}:{:02}",
            beijing.year(),
            u8::from(beijing.month()),
            beijing.day(),
            beijing.hour(),
            beijing.minute()
        ),
        format!(
            "{:02}:{:02} UTC on {}-{:02}-{:02}",
            moment.hour(),
            moment.minute(),
            moment.year(),
            u8::from(moment.month()),
            moment.day()
        ),
    )
}

/// A moment as the clocks of a store show it: it carries what they are ahead of UTC.
pub(super) fn spoken_store_moment(moment: Timestamp) -> Words {
    let (hours, minutes, _) = moment.offset().as_hms();
    let sign = if moment.offset().is_negative() {
        '-'
    } else {
        '+'
    };
    let (hour, minute) = (moment.hour(), moment.minute());
    let (year, month, day) = (moment.year(), u8::from(moment.month()), moment.day());
    Words::new(
        format!("门店当地时间 {year} 年 {month} 月 {day} 日 {hour:02}:{minute:02}"),
        format!(
            "{hour:02}:{minute:02} on {year}-{month:02}-{day:02} by the store's clock (UTC{sign}{:02}:{:02})",
            hours.unsigned_abs(),
            minutes.unsigned_abs()
        ),
    )
}

/// A span from `shortest` to `longest` as people say it: in seconds below two minutes, else in minutes, and never shorter than it may become.
pub(super) fn spoken_span(shortest: Duration, longest: Duration) -> Words {
    let (from, to) = (shortest.as_secs(), longest.as_secs_f64().ceil() as u64);
    let (from, to, zh, en) = if to < 2 * SECONDS_PER_MINUTE {
        (from, to.max(1), "秒", "seconds")
    } else {
        let minutes = to.div_ceil(SECONDS_PER_MINUTE);
        (from / SECONDS_PER_MINUTE, minutes, "分钟", "minutes")
    };
    match (from, to) {
        (0, 1) if en == "seconds" => Words::new("约 1 秒", "about 1 second"),
        (0, to) => Words::new(format!("不到 {to} {zh}"), format!("up to {to} {en}")),
        (from, to) if from >= to => Words::new(format!("约 {to} {zh}"), format!("about {to} {en}")),
        (from, to) => Words::new(
            format!("约 {from} 至 {to} {zh}"),
            format!("about {from} to {to} {en}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::{Reason, Refusal};

    use super::*;

    #[test]
    fn a_moment_is_said_in_the_time_of_those_who_hear_it() {
        let moment = Timestamp::UNIX_EPOCH + Duration::from_secs(1_770_343_200 + 12 * 3_600);
        let words = spoken_moment(moment);
        assert_eq!(words.zh, "北京时间 2026 年 2 月 6 日 22:00");
        assert_eq!(words.en, "14:00 UTC on 2026-02-06");
    }

    #[test]
    fn a_store_s_moment_is_said_as_its_own_clocks_show_it() {
        let spoken = |moment: &str| {
            let refusal = Refusal::never(Reason::StoreClosed).with("opens_at", moment);
            spoken_store_moment(refusal.moment("opens_at").unwrap())
        };
        let words = spoken("2026-03-08T03:05:00-04:00");
        assert_eq!(words.zh, "门店当地时间 2026 年 3 月 8 日 03:05");
        let clock = "03:05 on 2026-03-08 by the store's clock";
        assert_eq!(words.en, format!("{clock} (UTC-04:00)"));
        let half = spoken("2026-03-08T03:05:00-00:30");
        assert_eq!(half.en, format!("{clock} (UTC-00:30)"));
        let ahead = spoken("2026-03-08T03:05:00+05:45");
        assert_eq!(ahead.en, format!("{clock} (UTC+05:45)"));
    }

    #[test]
    fn a_span_is_said_in_round_numbers_that_hold_it() {
        let said =
            |from, to| spoken_span(Duration::from_millis(from), Duration::from_millis(to)).en;
        assert_eq!(said(0, 400), "about 1 second");
        assert_eq!(said(700, 4_200), "up to 5 seconds");
        assert_eq!(said(4_000, 9_001), "about 4 to 10 seconds");
        assert_eq!(said(30_000, 130_000), "up to 3 minutes");
        assert_eq!(said(300_000, 300_000), "about 5 minutes");
    }
}
