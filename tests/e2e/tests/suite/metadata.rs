//! Answers that clients of every language take: small enough, with codes and waits that their own
//! retries do not turn into something else.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use tidegate_client::{Refusal, order_of, refused};
use tidegate_e2e::Suite;
use tidegate_local::stack::Service;
use tidegate_proto::{gateway::v1::PlaceOrderRequest, r#type::v1::OrderLine};
use tonic::{Code, Status};

use super::stores::{campaign_in_one_hour, hourly};

/// Whether the metadata of a refusal is small on the wire, counted as HTTP/2 does.
fn is_small(status: &Status) {
    let headers = status.clone().into_http::<()>().into_parts().0.headers;
    let headers = headers.iter();
    let bytes: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    assert!(bytes <= 4 * 1024, "{bytes} bytes");
}

pub(super) async fn fifty_bad_lines_are_named_as_far_as_they_fit_and_the_others_are_counted(
    suite: &Suite,
) -> Result<()> {
    let bad = PlaceOrderRequest {
        lines: vec![OrderLine::default(); 50],
        ..order_of("ann", "r-1", "0123456789ABCDEF")
    };
    let status = suite.place(bad).await.unwrap_err();
    is_small(&status);
    let told = Refusal::of(&status);
    assert_eq!(told.code, Code::InvalidArgument);
    let left_out: usize = told.metadata["violations_left_out"].parse()?;
    let named = told.fields.len();
    assert!(named >= 10, "{named} are named");
    assert_eq!(named + left_out, 150, "{}", status.message());
    assert!(status.message().contains(" more."), "{}", status.message());
    Ok(())
}

pub(super) async fn a_busy_store_tells_its_next_slot_and_no_retry_sleeps_until_then(
    suite: &Suite,
) -> Result<()> {
    campaign_in_one_hour(suite, "busy").await?;
    let near = |number: usize| hourly(&format!("{number}{}", "\"".repeat(63)), 5);
    let stores = [hourly("busy", 1)].into_iter().chain((0..8).map(near));
    suite.staff.put_stores(stores.collect()).await?;
    let order = async |shopper: &str| -> Result<_> {
        let code = suite.coupon("busy", shopper).await?;
        let latest = SystemTime::now() + Duration::from_secs(20);
        let order = PlaceOrderRequest {
            store_id: "busy".into(),
            latest_acceptable_at: Some(latest.into()),
            suggest_stores: true,
            ..order_of(shopper, "r-1", &code)
        };
        Ok(suite.place(order).await)
    };
    order("ann").await??;
    let status = order("bob").await?.unwrap_err();
    is_small(&status);
    let told = Refusal::of(&status);
    assert_eq!(told.told(), (Code::FailedPrecondition, "STORE_BUSY"));
    assert_eq!(told.pushback.as_deref(), Some("-1"));
    assert!(told.metadata.contains_key("suggested_stores"), "{told:?}");
    assert!(told.retry_after.is_some_and(|after| after > Duration::ZERO));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_asked_for_only_where_the_deadline_leaves_time_for_it() -> Result<()> {
    let rate = [("TIDEGATE_SHOPPER_RATE_PER_SECOND", "1")];
    let suite = Suite::start_set(Service::Gateway, &rate).await?;
    for (deadline_ms, is_asked_for) in [(300, false), (8_000, true)] {
        let deadline = Duration::from_millis(deadline_ms);
        let hasty = suite.within(deadline);
        let told = loop {
            let told = refused(hasty.claim("none", "ann", "r-1").await);
            if told.code == Code::Unavailable {
                break told;
            }
        };
        assert_eq!(told.reason, "OVERLOADED");
        let after = told.retry_after.unwrap();
        let pushback: i64 = told.pushback.unwrap().parse()?;
        if is_asked_for {
            assert_eq!(u128::try_from(pushback), Ok(after.as_millis()));
        } else {
            assert_eq!(pushback, -1);
            assert!(after > deadline, "{after:?}");
        }
    }
    suite.end().await
}
