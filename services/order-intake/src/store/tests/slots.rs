use futures_util::future::join_all;
use tidegate_types::Timestamp;

use super::*;
use crate::domain::{
    BusyStore, Day, MinuteOfDay, OpeningHours, SlotMinutes, StoreZone, Weekday, WeeklyHours,
};

async fn slots_above_capacity(fixture: &Fixture, capacity: u16) -> i64 {
    let query = format!(
        "SELECT count(*) FROM (SELECT FROM orders WHERE state NOT IN (3, 7) GROUP BY store_id, slot_starts_at HAVING count(*) > {capacity}) AS full_slots"
    );
    fixture.database.number(&query).await
}

#[tokio::test]
async fn orders_of_two_replicas_fill_slots_one_after_the_other_and_none_beyond_its_capacity() {
    let fixture = Fixture::start().await;
    fixture.upsert(shop_of("s-1", 7)).await;
    let other = fixture.other_replica();
    let drafts: Vec<_> = (0..200).map(|number| Arc::new(numbered(number))).collect();
    let place = |(number, draft): (usize, &Arc<Draft>)| {
        let store = if number % 2 == 0 {
            fixture.store.clone()
        } else {
            other.clone()
        };
        let (draft, trace) = (Arc::clone(draft), TraceContext::new_root(false));
        async move {
            let id = OrderId(Uuid::now_v7());
            store
                .place(id, draft, Verdict::True, trace, soon())
                .await
                .unwrap()
        }
    };
    let placed = join_all(drafts.iter().enumerate().map(place)).await;
    assert_eq!(slots_above_capacity(&fixture, 7).await, 0);
    assert_eq!(fixture.booked().await, 200);
    let last = placed.iter().map(|placed| placed.standing.slot.unwrap());
    let latest = last.map(|slot| slot.starts_at()).max().unwrap();
    // 200 orders need 29 slots of 7, one after the other.
    let expected = Timestamp::now_utc() + Duration::from_secs(28 * 600);
    assert!((expected - latest).abs() < Duration::from_secs(600));
}

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
    assert!(next_slot_at.unwrap() >= first.standing.slot.unwrap().ends_at());
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
        slots.push(order.standing.slot.unwrap().starts_at());
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
    sqlx::query("SELECT FROM stores WHERE store_id = 's-1' FOR NO KEY UPDATE")
        .execute(&mut *slow)
        .await
        .unwrap();
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
    let created = fixture
        .store
        .upsert_stores(vec![full, shop("s-1")], None, Timestamp::now_utc())
        .await;
    assert_eq!(created.unwrap(), 1);
    let renamed = StoreChange {
        display_name: DisplayName::parse("茶").unwrap(),
        slot_minutes: None,
        orders_per_slot: None,
        ..shop("s-2")
    };
    let created = fixture
        .store
        .upsert_stores(vec![renamed], None, Timestamp::now_utc())
        .await;
    assert_eq!(created.unwrap(), 0);
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
    fixture.upsert(shop_of("s-2", 1)).await;
    let elsewhere = StoreChange {
        area: area("east"),
        ..shop("s-3")
    };
    for store in [elsewhere, shop_of("s-4", 0), shop("s-0")] {
        fixture.upsert(store).await;
    }
    fixture.placed(&at_store("s-2", numbered(1))).await;
    let (west, near, now) = (area("west"), store_id("s-1"), Timestamp::now_utc());
    let found = fixture.store.look_around(&west, &near, 10, now).await;
    let mut found = found.unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|timetable| timetable.store().id.as_str().to_owned())
        .collect();
    assert_eq!(names, ["s-2", "s-0"]);
    let mut free = found
        .iter_mut()
        .map(|timetable| timetable.first_free().unwrap().starts_at());
    assert!(free.next() > free.next());
}
