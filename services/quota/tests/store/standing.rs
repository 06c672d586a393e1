//! How a queue stands, for staff who look, on a real PostgreSQL.

use std::time::Duration;

use crate::giveaway::open;
use crate::queues::{room, second};
use tidegate_quota::domain::{CohortWaiting, QueueReport};

#[tokio::test]
async fn a_queue_stands_as_all_gateways_reported_last() {
    let (giveaway, [gateway, other]) = room().await;
    let came = second(open());
    // Ten wait since the last second, and five of these are called.
    gateway
        .send(1, gateway.holding(came, 10, 5.0), open())
        .await;
    let now = open() + Duration::from_secs(3);
    let waiting = |promised| QueueReport {
        wants_queue: true,
        served_per_second: 4.0,
        able_per_second: 6.0,
        at_door: 2,
        due_soon: 3,
        waiting: vec![CohortWaiting {
            promised,
            promised_soon: promised,
            ..other.holding(came + 2, 7, 0.0).waiting[0]
        }],
        ..other.idle(9.0)
    };
    other.send(1, waiting(1), now).await;
    other
        .send(2, waiting(4), now + Duration::from_secs(1))
        .await;

    let (standing, reports) = other.standing("spring", now).await.unwrap();
    assert!(standing.snapshot.is_queueing);
    assert_eq!(standing.snapshot.remaining, 1_000);
    assert_eq!(standing.snapshot.able_per_second, 6.0);
    assert_eq!((standing.at_door, standing.credit), (2, 14.0));
    // What one gateway counted before it applied the watermark, and what the other promised.
    let all = standing.waiting() + standing.called;
    let rounded_up = 2;
    let counted = 10 + 7 + 4 + 3;
    assert!((counted..=counted + rounded_up).contains(&all), "{all}");
    assert!(standing.called >= 3 + 5, "{}", standing.called);
    let oldest = standing.oldest_joined_at.unwrap();
    assert!(oldest == open() || oldest == open() + Duration::from_secs(2));
    let told = reports.iter();
    let told = told.map(|kept| (kept.gateway.as_str(), kept.wanted_queue, kept.number));
    let told: Vec<_> = told.collect();
    assert_eq!(told, [("gateway-0/1", false, 1), ("gateway-1/1", true, 2)]);
    let pace = standing.snapshot.pace.unwrap();
    assert_eq!((pace.slowest, pace.fastest), (4.0, 4.0));
    let clock = async || {
        let clock = "SELECT sum(clock_ms)::bigint FROM queues";
        giveaway.database.number(clock).await
    };
    let before = clock().await;
    other.standing("spring", now).await.unwrap();
    assert_eq!(clock().await, before, "whoever looks moves nothing");
}
