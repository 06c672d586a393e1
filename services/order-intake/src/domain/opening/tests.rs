use tidegate_types::Timestamp;
use time::macros::datetime;

use super::*;

fn weekly(weekday: u8, opens_at: u16, closes_at: u16) -> WeeklyHours {
    WeeklyHours {
        weekday: Weekday::new(weekday).unwrap(),
        opens_at: MinuteOfDay::new(opens_at).unwrap(),
        closes_at: MinuteOfDay::new(closes_at).unwrap(),
    }
}

fn every_day(opens_at: u16, closes_at: u16) -> Vec<WeeklyHours> {
    (1..=7)
        .map(|day| weekly(day, opens_at, closes_at))
        .collect()
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// When a store is open within two moments, as the clocks of its zone show it.
fn open(
    hours: &OpeningHours,
    zone: &str,
    from: Timestamp,
    until: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    let zone = StoreZone::parse(zone).unwrap();
    hours
        .open_between(&zone, Minute::of(from), Minute::of(until))
        .into_iter()
        .map(|span| (span.begins.begins_at(), span.ends.begins_at()))
        .filter(|(begins, ends)| *ends > from && *begins < until)
        .collect()
}

const NEW_YORK: &str = "America/New_York";

#[test]
fn new_york_opens_at_nine_by_its_own_clocks_before_and_after_they_are_set() {
    let hours = OpeningHours::new(every_day(9 * 60, 21 * 60), []);
    for (from, opens_at) in [
        (
            datetime!(2026-03-07 12:00 UTC),
            [
                datetime!(2026-03-07 09:00 -5),
                datetime!(2026-03-08 09:00 -4),
            ],
        ),
        (
            datetime!(2026-10-31 12:00 UTC),
            [
                datetime!(2026-10-31 09:00 -4),
                datetime!(2026-11-01 09:00 -5),
            ],
        ),
    ] {
        let open = open(&hours, NEW_YORK, from, from + time::Duration::hours(36));
        let half_a_day = time::Duration::hours(12);
        assert_eq!(
            open,
            opens_at.map(|opens_at| (opens_at, opens_at + half_a_day))
        );
    }
}

#[test]
fn a_night_in_which_clocks_change_is_an_hour_shorter_or_longer() {
    // Saturdays from 20:00 to 4:00 on Sunday.
    let hours = OpeningHours::new([weekly(6, 20 * 60, 4 * 60)], []);
    for (saturday, length) in [
        (datetime!(2026-02-28 12:00 UTC), 8),
        (datetime!(2026-03-07 12:00 UTC), 7),
        (datetime!(2026-10-31 12:00 UTC), 9),
    ] {
        let open = open(&hours, NEW_YORK, saturday, saturday + time::Duration::DAY);
        let lengths: Vec<_> = open.iter().map(|(from, until)| *until - *from).collect();
        assert_eq!(lengths, [time::Duration::hours(length)]);
    }
}

#[test]
fn a_closed_day_ends_no_hours_that_began_the_day_before() {
    let night = OpeningHours::new(every_day(20 * 60, 2 * 60), [day("2026-02-07")]);
    let from = datetime!(2026-02-06 12:00 UTC);
    let until = datetime!(2026-02-09 00:00 UTC);
    assert_eq!(
        open(&night, "UTC", from, until),
        [
            (
                datetime!(2026-02-06 20:00 UTC),
                datetime!(2026-02-07 02:00 UTC)
            ),
            (
                datetime!(2026-02-08 20:00 UTC),
                datetime!(2026-02-09 02:00 UTC)
            ),
        ]
    );
    let always = OpeningHours::new([], [day("2026-02-07")]);
    let open = open(&always, "Asia/Shanghai", from, until);
    assert_eq!(open[0].1, datetime!(2026-02-07 00:00 +8));
    assert_eq!(open[1].0, datetime!(2026-02-08 00:00 +8));
}

#[test]
fn hours_that_meet_are_one_stretch_and_a_lunch_break_is_a_gap() {
    // 540 is 9:00; the same minute twice is a whole day.
    let all_week = OpeningHours::new(every_day(540, 540), []);
    let from = datetime!(2026-02-06 12:00 UTC);
    let until = datetime!(2026-02-08 12:00 UTC);
    assert_eq!(open(&all_week, "UTC", from, until).len(), 1);
    // 2026-02-06 is a Friday.
    let lunch = OpeningHours::new([weekly(5, 540, 720), weekly(5, 780, 1_080)], []);
    assert_eq!(
        open(&lunch, "UTC", datetime!(2026-02-06 00:00 UTC), until),
        [
            (
                datetime!(2026-02-06 09:00 UTC),
                datetime!(2026-02-06 12:00 UTC)
            ),
            (
                datetime!(2026-02-06 13:00 UTC),
                datetime!(2026-02-06 18:00 UTC)
            ),
        ]
    );
}

#[test]
fn a_store_without_hours_is_always_open() {
    let from = Minute::of(datetime!(2026-02-06 12:00 UTC));
    let spans = OpeningHours::default().open_between(&StoreZone::default(), from, from.plus(60));
    assert!(spans.iter().any(|span| span.covers(from, 60)));
    assert!(!spans.iter().any(|span| span.covers(from.plus(1), 60)));
}
