use futures_util::{StreamExt as _, stream};

use super::*;
use crate::domain::{
    BusyStore, Day, MinuteOfDay, OpeningHours, SlotMinutes, StoreZone, Weekday, WeeklyHours,
};

#[tokio::test]
async fn a_full_store_leaves_no_row_and_says_when_it_has_room() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop_of("s-1", 1)).await;
    let soon_wanted = |number| Draft {
        latest_acceptable_at: Some(Timestamp::now_utc() + Duration::from_secs(1)),
        ..numbered(number)
    };
    let first = fixture.placed(&soon_wanted(1)).await;
    let refused = fixture.place(&soon_wanted(2)).await.map(|_| ());
    let Err(OrderIntakeError::StoreBusy(BusyStore { next_slot_at, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert!(next_slot_at.unwrap() >= first.standing.slot.ends_at());
    assert_eq!(fixture.count("orders").await, 1);
    // The same request may be placed once there is room.
    assert!(fixture.place(&numbered(2)).await.is_ok());
}

#[tokio::test]
async fn a_latest_time_in_the_past_is_refused_for_new_orders_and_not_for_replays() {
    let fixture = Fixture::start().await;
    let past = Draft {
        latest_acceptable_at: Some(Timestamp::UNIX_EPOCH),
        ..numbered(1)
    };
    let refused = fixture.place(&past).await.map(|_| ());
    assert!(matches!(refused, Err(OrderIntakeError::LatestPassed)));
    let hasty = Draft {
        latest_acceptable_at: Some(Timestamp::now_utc() + Duration::from_millis(300)),
        ..numbered(1)
    };
    fixture.placed(&hasty).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(fixture.place(&hasty).await.unwrap().replayed);
}

#[tokio::test]
async fn a_halved_capacity_keeps_what_is_booked_and_a_doubled_one_gives_room_at_once() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop_of("s-1", 4)).await;
    let mut slots = Vec::new();
    for (number, capacity) in [4, 4, 4, 2, 2, 2, 8, 8, 8, 8].into_iter().enumerate() {
        fixture.upsert(shop_of("s-1", capacity)).await;
        let order = fixture.placed(&numbered(number)).await;
        slots.push(order.standing.slot.starts_at());
    }
    let first = slots[0];
    let offsets: Vec<_> = slots
        .iter()
        .map(|slot| (*slot - first).whole_minutes())
        .collect();
    assert_eq!(offsets, [0, 0, 0, 10, 10, 20, 0, 0, 0, 0]);
    let broken = "store_slots WHERE booked > capacity_when_booked";
    assert_eq!(fixture.count(broken).await, 0);
}

#[tokio::test]
async fn a_store_that_somebody_holds_does_not_hold_up_orders_to_others() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop("s-2")).await;
    let mut slow = fixture.by_hand().begin().await.unwrap();
    let hold = sqlx::query("SELECT FROM stores WHERE store_id = 's-1' FOR NO KEY UPDATE");
    hold.execute(&mut *slow).await.unwrap();
    let held = numbered(1);
    let mut waiting = std::pin::pin!(fixture.place(&held));
    let elsewhere = at_store("s-2", numbered(2));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the store is held"),
        // Several batches after each other, all of which pass.
        () = async {
            for _ in 0..5 {
                fixture.place(&elsewhere).await.unwrap();
            }
        } => {}
    }
    slow.rollback().await.unwrap();
    assert!(!waiting.await.unwrap().replayed);
}

#[tokio::test]
async fn stores_keep_what_an_upsert_does_not_name() {
    let fixture = Fixture::start().await;
    let weekday = |weekday: u8| WeeklyHours {
        weekday: Weekday::new(weekday).unwrap(),
        opens_at: MinuteOfDay::new(540u16).unwrap(),
        closes_at: MinuteOfDay::new(1_260u16).unwrap(),
    };
    let closed_days = ["2026-12-25", "2027-01-01"].map(|day| Day::parse(day).unwrap());
    let hours = OpeningHours::new([weekday(1), weekday(7)], closed_days);
    let zone = StoreZone::parse("America/New_York").unwrap();
    let full = StoreChange {
        zone: Some(zone.clone()),
        hours: Some(hours.clone()),
        slot_minutes: Some(SlotMinutes::new(15u8).unwrap()),
        is_closed: Some(true),
        ..shop_of("s-2", 12)
    };
    assert_eq!(fixture.upsert_all(vec![full, shop("s-1")]).await, 1);
    let renamed = StoreChange {
        display_name: DisplayName::parse("茶").unwrap(),
        slot_minutes: None,
        orders_per_slot: None,
        ..shop("s-2")
    };
    assert_eq!(fixture.upsert_all(vec![renamed]).await, 0);
    let kept = fixture.store.get_store(&store_id("s-2")).await.unwrap();
    assert_eq!(kept.display_name.as_str(), "茶");
    assert_eq!((kept.zone, kept.hours), (zone, hours));
    assert_eq!(kept.slot_minutes.get(), 15);
    assert_eq!(kept.orders_per_slot.get(), 12);
    assert_eq!(kept.state, StoreState::Closed(None));
    let unknown = fixture.store.get_store(&store_id("s-3")).await;
    assert!(matches!(unknown, Err(OrderIntakeError::StoreNotFound)));
}

#[tokio::test]
async fn a_look_around_finds_other_stores_of_the_area_with_what_is_booked_there() {
    let fixture = Fixture::start().await;
    let stores = [
        shop_of("s-2", 1),
        east("s-3"),
        shop_of("s-4", 0),
        shop("s-0"),
    ];
    fixture.upsert_all(stores.into()).await;
    fixture.placed(&at_store("s-2", numbered(1))).await;
    let (west, near, now) = (area("west"), store_id("s-1"), Timestamp::now_utc());
    let found = fixture.store.look_around(&west, &near, 10, now).await;
    let mut found = found.unwrap();
    let names = found.iter().map(|timetable| &timetable.store().id);
    assert!(names.eq(&[store_id("s-2"), store_id("s-0")]));
    let mut free = found
        .iter_mut()
        .map(|timetable| timetable.first_free().unwrap().starts_at());
    assert!(free.next() > free.next());
}

const STORES: u16 = 200;
const ORDERS: u32 = 2_000;
const ORDERS_PER_SLOT: u16 = 3;
const IN_FLIGHT: usize = 500;

/// Ranks from 0 on by Zipf's law: the first is drawn about as often as the ten that follow it
/// together.
fn ranks() -> impl Iterator<Item = u16> {
    let mut state = 42u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let share = (state >> 11) as f64 / (1u64 << 53) as f64;
        f64::from(STORES).powf(share) as u16 - 1
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn favourites_of_all_lanes_and_replicas_are_never_booked_above_their_capacity() {
    let database = TestDatabase::create().await;
    let lanes = Lanes::new(4u16).unwrap();
    let opened = open(&database);
    opened.migrate(&migrations()).await.unwrap();
    opened.fix_lanes(lanes).await.unwrap();
    let replicas = [(); 2].map(|()| process(&opened, lanes, ORDERS_TO_COME));
    let stores = (0..STORES).map(|rank| shop_of(&format!("s-{rank}"), ORDERS_PER_SLOT));
    let upserted = replicas[0].upsert_stores(stores.collect(), None, Timestamp::now_utc());
    upserted.await.unwrap();
    let orders = ranks().zip(0..ORDERS).map(|(rank, number)| {
        let replica = replicas[number as usize % 2].clone();
        let draft = draft(&format!("shopper-{number}"), "r");
        let draft = with_code(
            at_store(&format!("s-{rank}"), draft),
            &format!("{number:016}"),
        );
        async move { place_at(&replica, &draft, Verdict::True).await }
    });
    let answers: Vec<_> = stream::iter(orders)
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    let placed = answers.iter().filter(|answer| answer.is_ok()).count();
    // The favourite is asked for more often than it makes orders in a day; everybody else has room.
    assert!(placed > 1_900, "{placed}");
    for answer in &answers {
        assert!(matches!(
            answer,
            Ok(_) | Err(OrderIntakeError::StoreBusy(_))
        ));
    }
    let kept = "SELECT count(*) FROM orders";
    assert_eq!(database.number(kept).await, placed as i64);
    let above = format!(
        "SELECT count(*) FROM (SELECT FROM orders GROUP BY store_id, slot_starts_at HAVING count(*) > {ORDERS_PER_SLOT}) AS full_slots"
    );
    assert_eq!(database.number(&above).await, 0);
    let differing = "SELECT count(*) FROM store_slots WHERE booked <> (SELECT count(*) FROM orders WHERE orders.store_id = store_slots.store_id AND orders.slot_starts_at = store_slots.slot_starts_at)";
    assert_eq!(database.number(differing).await, 0);
}
