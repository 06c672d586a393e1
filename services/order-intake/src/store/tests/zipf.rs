use futures_util::{StreamExt as _, stream};

use super::*;

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
    let opened = Database::parse(&database.url(), "favourites").unwrap();
    opened.migrate(&migrations()).await.unwrap();
    opened.fix_lanes(lanes).await.unwrap();
    let replicas = [open(&opened, lanes), open(&opened, lanes)];
    let stores = (0..STORES).map(|rank| shop_of(&format!("s-{rank}"), ORDERS_PER_SLOT));
    replicas[0]
        .upsert_stores(stores.collect(), None, Timestamp::now_utc())
        .await
        .unwrap();
    let orders = ranks().zip(0..ORDERS).map(|(rank, number)| {
        let replica = replicas[number as usize % 2].clone();
        let draft = Draft {
            store: StoreId::parse(format!("s-{rank}")).unwrap(),
            ..with_code(
                draft(&format!("shopper-{number}"), "r"),
                &format!("{number:016}"),
            )
        };
        async move {
            let id = OrderId(Uuid::now_v7());
            let trace = TraceContext::new_root(false);
            replica
                .place(id, Arc::new(draft), Verdict::True, trace, soon())
                .await
        }
    });
    let answers: Vec<_> = stream::iter(orders)
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    let placed = answers.iter().filter(|answer| answer.is_ok()).count();
    // The favourite is asked for more often than it makes orders in a day; everybody else has room.
    assert!(placed > 1_900, "{placed}");
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(_) | Err(OrderIntakeError::StoreBusy(_))))
    );
    let kept = "SELECT count(*) FROM orders";
    assert_eq!(database.number(kept).await, placed as i64);
    let above = format!(
        "SELECT count(*) FROM (SELECT FROM orders GROUP BY store_id, slot_starts_at HAVING count(*) > {ORDERS_PER_SLOT}) AS full_slots"
    );
    assert_eq!(database.number(&above).await, 0);
    let differing = "SELECT count(*) FROM store_slots WHERE booked <> (SELECT count(*) FROM orders WHERE orders.store_id = store_slots.store_id AND orders.slot_starts_at = store_slots.slot_starts_at)";
    assert_eq!(database.number(differing).await, 0);
}
