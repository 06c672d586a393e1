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
fn open(hours: &OpeningHours, zone: &str, from: Timestamp, until: Timestamp) -> Vec<String> {
    let zone = StoreZone::parse(zone).unwrap();
    let shown = |minute: Minute| {
        let at = zone.shown(minute.begins_at());
        let (day, offset) = (at.date(), at.offset().whole_hours());
        format!("{day} {:02}:{:02} {offset:+}", at.hour(), at.minute())
    };
    hours
        .open_between(&zone, Minute::of(from), Minute::of(until))
        .into_iter()
        .filter(|span| span.ends.begins_at() > from && span.begins.begins_at() < until)
        .map(|span| format!("{} to {}", shown(span.begins), shown(span.ends)))
        .collect()
}

const NEW_YORK: &str = "America/New_York";

#[test]
fn new_york_opens_at_nine_by_its_own_clocks_before_and_after_they_are_set() {
    let hours = OpeningHours::new(every_day(9 * 60, 21 * 60), []);
    let open = |from| open(&hours, NEW_YORK, from, from + time::Duration::hours(36));
    let expected = [
        "2026-03-07 09:00 -5 to 2026-03-07 21:00 -5",
        "2026-03-08 09:00 -4 to 2026-03-08 21:00 -4",
    ];
    assert_eq!(open(datetime!(2026-03-07 12:00 UTC)), expected);
    let expected = [
        "2026-10-31 09:00 -4 to 2026-10-31 21:00 -4",
        "2026-11-01 09:00 -5 to 2026-11-01 21:00 -5",
    ];
    assert_eq!(open(datetime!(2026-10-31 12:00 UTC)), expected);
}

#[test]
fn a_night_in_which_clocks_change_is_an_hour_shorter_or_longer() {
    // Saturdays from 20:00 to 4:00 on Sunday.
    let hours = OpeningHours::new([weekly(6, 20 * 60, 4 * 60)], []);
    for (saturday, night) in [
        (
            datetime!(2026-02-28 12:00 UTC),
            "2026-02-28 20:00 -5 to 2026-03-01 04:00 -5",
        ),
        (
            datetime!(2026-03-07 12:00 UTC),
            "2026-03-07 20:00 -5 to 2026-03-08 04:00 -4",
        ),
        (
            datetime!(2026-10-31 12:00 UTC),
            "2026-10-31 20:00 -4 to 2026-11-01 04:00 -5",
        ),
    ] {
        let open = open(&hours, NEW_YORK, saturday, saturday + time::Duration::DAY);
        assert_eq!(open, [night]);
    }
}

#[test]
fn a_closed_day_ends_no_hours_that_began_the_day_before() {
    let night = OpeningHours::new(every_day(20 * 60, 2 * 60), [day("2026-02-07")]);
    let from = datetime!(2026-02-06 12:00 UTC);
    let until = datetime!(2026-02-09 00:00 UTC);
    let expected = [
        "2026-02-06 20:00 +0 to 2026-02-07 02:00 +0",
        "2026-02-08 20:00 +0 to 2026-02-09 02:00 +0",
    ];
    assert_eq!(open(&night, "UTC", from, until), expected);
    let always = OpeningHours::new([], [day("2026-02-07")]);
    let open = open(&always, "Asia/Shanghai", from, until);
    assert!(open[0].ends_with("to 2026-02-07 00:00 +8"));
    assert!(open[1].starts_with("2026-02-08 00:00 +8 to"));
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
    let expected = [
        "2026-02-06 09:00 +0 to 2026-02-06 12:00 +0",
        "2026-02-06 13:00 +0 to 2026-02-06 18:00 +0",
    ];
    let midnight = datetime!(2026-02-06 00:00 UTC);
    assert_eq!(open(&lunch, "UTC", midnight, until), expected);
}

#[test]
fn a_store_without_hours_is_always_open() {
    let from = Minute::of(datetime!(2026-02-06 12:00 UTC));
    let spans = OpeningHours::default().open_between(&StoreZone::default(), from, from.plus(60));
    assert!(spans.iter().any(|span| span.covers(from, 60)));
    assert!(!spans.iter().any(|span| span.covers(from.plus(1), 60)));
}
