use tidegate_types::StoreId;
use time::macros::datetime;

use super::*;
use crate::domain::{
    Area, Day, DisplayName, MinuteOfDay, OpeningHours, OrdersPerSlot, SlotMinutes, StoreZone,
    Weekday, WeeklyHours,
};

const NOON: Timestamp = datetime!(2026-02-06 12:03 UTC);

fn shop(orders_per_slot: u16) -> Store {
    Store {
        id: StoreId::parse("s-1").unwrap(),
        display_name: DisplayName::parse("茶").unwrap(),
        area: Area::parse("west").unwrap(),
        zone: StoreZone::default(),
        hours: OpeningHours::default(),
        slot_minutes: SlotMinutes::default(),
        orders_per_slot: OrdersPerSlot::new(orders_per_slot).unwrap(),
        state: StoreState::Open,
    }
}

fn open_from_to(opens_at: u16, closes_at: u16) -> Store {
    Store {
        hours: OpeningHours::new(every_day(opens_at, closes_at), []),
        ..shop(1)
    }
}

fn every_day(opens_at: u16, closes_at: u16) -> impl Iterator<Item = WeeklyHours> {
    (1..=7u8).map(move |weekday| WeeklyHours {
        weekday: Weekday::new(weekday).unwrap(),
        opens_at: MinuteOfDay::new(opens_at).unwrap(),
        closes_at: MinuteOfDay::new(closes_at).unwrap(),
    })
}

fn timetable(store: Store) -> Timetable {
    Timetable::new(store, NOON, [])
}

/// The minute past noon at which the booked slot begins.
fn booked(timetable: &mut Timetable, latest: Option<Timestamp>) -> Result<i64, NoSlot> {
    let slot = timetable.book(NOON, latest)?;
    Ok((slot.starts_at() - datetime!(2026-02-06 12:00 UTC)).whole_minutes())
}

#[test]
fn orders_get_the_slot_under_way_and_then_the_next_ones_as_each_is_full() {
    let mut timetable = timetable(shop(2));
    let slots: Vec<_> = (0..5).map(|_| booked(&mut timetable, None)).collect();
    assert_eq!(slots, [Ok(0), Ok(0), Ok(10), Ok(10), Ok(20)]);
    let booked: Vec<_> = timetable.changes().map(|booking| booking.booked).collect();
    assert_eq!(booked, [2, 2, 1]);
}

#[test]
fn a_store_that_is_full_until_the_latest_time_names_its_next_free_slot() {
    let mut timetable = timetable(shop(1));
    let latest = Some(datetime!(2026-02-06 12:10 UTC));
    assert_eq!(booked(&mut timetable, latest), Ok(0));
    assert_eq!(booked(&mut timetable, latest), Ok(10));
    let Err(NoSlot::Busy { next: Some(next) }) = booked(&mut timetable, latest) else {
        panic!("the store has no room until then");
    };
    assert_eq!(next.starts_at(), datetime!(2026-02-06 12:20 UTC));
    // Being told of a slot is not having it.
    assert_eq!(booked(&mut timetable, None), Ok(20));
}

#[test]
fn a_latest_time_in_the_past_is_told_and_the_present_moment_is_not_past() {
    let mut timetable = timetable(shop(1));
    let past = NOON - std::time::Duration::from_micros(1);
    assert_eq!(
        booked(&mut timetable, Some(past)),
        Err(NoSlot::LatestPassed)
    );
    assert_eq!(booked(&mut timetable, Some(NOON)), Ok(0));
}

#[test]
fn nothing_is_booked_beyond_the_horizon_however_late_the_shopper_would_accept() {
    let mut timetable = timetable(shop(1));
    let next_week = Some(NOON + std::time::Duration::from_secs(7 * 86_400));
    let slots: Vec<_> = (0..200)
        .map_while(|_| booked(&mut timetable, next_week).ok())
        .collect();
    assert_eq!(slots.len(), 145);
    assert_eq!(slots.last(), Some(&1_440));
    assert_eq!(
        booked(&mut timetable, next_week),
        Err(NoSlot::Busy { next: None })
    );
}

#[test]
fn outside_its_opening_hours_a_store_is_closed_and_says_when_it_opens() {
    let mut later = timetable(open_from_to(13 * 60, 14 * 60));
    let latest = Some(datetime!(2026-02-06 12:59 UTC));
    let opens_at = Some(datetime!(2026-02-06 13:00 UTC));
    assert_eq!(booked(&mut later, latest), Err(NoSlot::Closed { opens_at }));
    assert_eq!(booked(&mut later, None), Ok(60));
    // A slot that would end after closing time is none.
    let mut closing = timetable(open_from_to(0, 12 * 60 + 9));
    let latest = Some(datetime!(2026-02-06 12:30 UTC));
    let opens_at = Some(datetime!(2026-02-07 00:00 UTC));
    assert_eq!(
        booked(&mut closing, latest),
        Err(NoSlot::Closed { opens_at })
    );
}

#[test]
fn a_closed_store_and_one_without_capacity_take_nothing() {
    let closed = Store {
        state: StoreState::Closed(None),
        ..shop(5)
    };
    for store in [closed, shop(0)] {
        let answer = booked(&mut timetable(store), None);
        assert_eq!(answer, Err(NoSlot::Closed { opens_at: None }));
    }
}

#[test]
fn a_place_given_back_is_booked_again_before_later_ones() {
    let mut timetable = timetable(shop(1));
    let first = timetable.book(NOON, None).unwrap();
    assert_eq!(booked(&mut timetable, None), Ok(10));
    timetable.give_back(first);
    assert_eq!(booked(&mut timetable, None), Ok(0));
    assert_eq!(booked(&mut timetable, None), Ok(20));
}

#[test]
fn a_halved_capacity_keeps_what_was_booked_and_books_no_more_until_there_is_room() {
    let mut before = timetable(shop(4));
    let slots: Vec<_> = (0..4).map(|_| before.book(NOON, None).unwrap()).collect();
    let mut after = Timetable::new(shop(2), NOON, before.changes().copied());
    assert_eq!(booked(&mut after, None), Ok(10));
    slots[..3].iter().for_each(|slot| after.give_back(*slot));
    assert_eq!(booked(&mut after, None), Ok(0));
    let first = after.changes().next().unwrap();
    assert_eq!((first.booked, first.capacity_when_booked), (2, 2));
    assert_eq!(booked(&mut after, None), Ok(10));
}

#[test]
fn after_a_change_of_length_a_booking_counts_in_every_slot_it_touches() {
    let mut hourly = timetable(Store {
        slot_minutes: SlotMinutes::new(60u8).unwrap(),
        ..shop(2)
    });
    assert_eq!(booked(&mut hourly, None), Ok(0));
    let kept: Vec<_> = hourly.changes().copied().collect();
    let mut short = Timetable::new(shop(2), NOON, kept);
    let slots: Vec<_> = (0..7).map(|_| booked(&mut short, None).unwrap()).collect();
    // Nobody knows when in the hour its two orders are made, so none of its slots takes another.
    assert_eq!(slots, [0, 60, 60, 70, 70, 80, 80]);
}

#[test]
fn a_store_that_opens_days_from_now_says_on_which() {
    // 2026-02-06 is a Friday; the store is closed at the weekend and on Monday.
    let closed_days = ["2026-02-07", "2026-02-08", "2026-02-09"];
    let store = Store {
        hours: OpeningHours::new(
            every_day(9 * 60, 12 * 60),
            closed_days.map(|day| Day::parse(day).unwrap()),
        ),
        zone: StoreZone::parse("Asia/Shanghai").unwrap(),
        ..shop(1)
    };
    let opens_at = Some(datetime!(2026-02-10 09:00 +8));
    let answer = booked(&mut timetable(store), None);
    assert_eq!(answer, Err(NoSlot::Closed { opens_at }));
}

#[test]
fn the_hour_that_new_york_s_clocks_show_twice_has_slots_of_its_own() {
    let night = datetime!(2026-11-01 05:00 UTC);
    let store = Store {
        zone: StoreZone::parse("America/New_York").unwrap(),
        slot_minutes: SlotMinutes::new(60u8).unwrap(),
        ..shop(1)
    };
    let mut timetable = Timetable::new(store, night, []);
    let slots: Vec<_> = (0..3)
        .map(|_| timetable.book(night, None).unwrap().starts_at())
        .collect();
    let hours = [0, 1, 2].map(|hours| night + time::Duration::hours(hours));
    assert_eq!(slots, hours);
}

#[test]
fn a_place_of_hours_ago_is_given_back_if_its_slot_was_read() {
    let long_ago = NOON - time::Duration::hours(5);
    // A clock that was ahead may have booked far in the future.
    let far_ahead = NOON + time::Duration::days(3);
    let slots = [long_ago, far_ahead].map(|moment| Slot {
        begins: Minute::of(moment),
        minutes: SlotMinutes::default(),
    });
    let span: [Timestamp; 2] = Timetable::span(NOON, slots).into();
    assert_eq!(span, slots.map(Slot::starts_at));
    let mut before = Timetable::new(shop(1), long_ago, []);
    let slot = before.book(long_ago, None).unwrap();
    let mut after = Timetable::new(shop(1), NOON, before.changes().copied());
    after.give_back(slot);
    assert_eq!(
        after.changes().map(|booking| booking.booked).sum::<u16>(),
        0
    );
    assert_eq!(after.changes().count(), 1);
}
