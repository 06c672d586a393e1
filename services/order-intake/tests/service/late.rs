use std::time::{Duration, SystemTime};

use tidegate_proto::r#type::v1::{OrderState, Reason};
use tokio::time::sleep;

use crate::suite::{Suite, code, item, placed, refused};

#[tokio::test]
async fn an_order_whose_time_passes_while_issuance_hangs_is_rejected_and_its_coupon_is_free() {
    let suite = Suite::start().await;
    suite.issuance.hang().await;
    let mut hasty = item("alice", "r-1", &code(1));
    hasty.latest_acceptable_at = Some((SystemTime::now() + Duration::from_secs(3)).into());
    hasty.deadline_ms = 1_000;
    let order = placed(suite.place(hasty.clone()).await).order.unwrap();
    assert_eq!(order.state(), OrderState::Pending);
    // Nobody needs issuance to know what time it is.
    let seen = suite.watch_until(&order, OrderState::Rejected).await;
    let rejected = seen.last().unwrap();
    assert_eq!(rejected.rejected_because(), Reason::OrderTooLate);
    let locales: Vec<_> = rejected.messages.iter().map(|text| &*text.locale).collect();
    assert_eq!(locales, ["zh-CN", "en"]);
    // Redemptions that were sent before now take the coupon, or find it given back.
    suite.issuance.go_on();
    while suite.get(&order).await.coupon_released_at.is_none() {
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(suite.issuance.holder(&code(1)), None);
    let replay = refused(suite.place(hasty).await);
    assert_eq!(replay.reason(), Reason::OrderTooLate);
    let next = placed(suite.place(item("alice", "r-2", &code(1))).await);
    assert_eq!(next.order.unwrap().state(), OrderState::Accepted);
    let booked = "SELECT sum(booked)::bigint FROM store_slots";
    assert_eq!(suite.database.number(booked).await, 1);
}
