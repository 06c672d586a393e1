//! The keys that codes are made with.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::future::try_join_all;
use tidegate_client::{CampaignTerms, eventually, refused, soon};
use tidegate_e2e::{ISSUANCES, Suite, hold};
use tidegate_local::stack::Service;
use tidegate_proto::r#type::v1::{Order, OrderState, Reason};
use tokio::time::sleep;
use tonic::Code;

/// A key's id, and the byte that it is made of.
type Key = (u8, u8);
/// What the stack makes has the id 1: nothing here is issued with that.
const FIRST: Key = (2, 1);
const SECOND: Key = (3, 2);
const LOADERS: u32 = 6;
const KEYS_READ_WITHIN: Duration = Duration::from_secs(20);
const MISSING: &str = "missing";

/// Changes the keys as an operator does, and waits until every replica of issuance has read them.
async fn change_keys(suite: &Suite, active: u8, keys: &[Key]) -> Result<()> {
    let secret = |(id, byte): &Key| (id.to_string(), BASE64_STANDARD.encode([*byte; 32]));
    let secrets: std::collections::BTreeMap<_, _> = keys.iter().map(secret).collect();
    let json = serde_json::json!({ "active": active, "keys": secrets });
    let file = suite.stack.credentials().coupon_keys_file();
    let new = file.with_extension("new");
    fs::write(&new, json.to_string())?;
    fs::rename(new, file)?;
    for replica in ISSUANCES {
        let read = eventually(KEYS_READ_WITHIN, async || {
            let metric = async |name: &str, label: &str| suite.metric(replica, name, label).await;
            let known = "tidegate_coupon_keys_known";
            ensure!(metric(known, "").await? as usize == keys.len());
            for (id, _) in keys {
                ensure!(metric(known, &format!("key_id=\"{id}\"")).await? as usize == 1);
            }
            ensure!(metric("tidegate_coupon_key_active", "").await? as u8 == active);
            Ok(())
        });
        read.await
            .with_context(|| format!("{replica} does not read its keys"))?;
    }
    Ok(())
}

/// A campaign whose coupons are made with [`FIRST`] until the keys change.
async fn campaign_of_first_key(suite: &Suite, id: &str, limit_per_shopper: u32) -> Result<()> {
    change_keys(suite, FIRST.0, &[FIRST]).await?;
    let terms = CampaignTerms::open(id, 100_000).limited_to(limit_per_shopper);
    suite.staff.open(terms).await?;
    Ok(())
}

/// Orders, again if asked to come back within seconds, until the order is accepted.
async fn accepted(suite: &Suite, shopper: &str, request: &str, code: &str) -> Result<Order> {
    let decided = soon(async || match suite.order(shopper, request, code).await {
        Err(status) if status.code() == Code::Unavailable => Err(status.into()),
        Ok(order) if order.state() == OrderState::Pending => Err(anyhow!("{order:?}")),
        decided => Ok(decided),
    });
    let order = decided.await??;
    ensure!(order.state() == OrderState::Accepted, "{order:?}");
    Ok(order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_whichever_key_made_it() -> Result<()> {
    let suite = Suite::start().await?;
    suite.staff.make_store().await?;
    hold!(suite;
        keys_change_in_two_steps_under_load_and_nothing_fails,
        a_missing_key_hides_no_other_coupon_and_refuses_for_now_until_it_is_back,
    )
}

async fn keys_change_in_two_steps_under_load_and_nothing_fails(suite: &Suite) -> Result<()> {
    campaign_of_first_key(suite, "load", 1).await?;
    let (is_over, orders) = (AtomicBool::new(false), AtomicU32::new(0));
    let rotate = async {
        sleep(Duration::from_secs(2)).await;
        change_keys(suite, FIRST.0, &[FIRST, SECOND]).await?;
        change_keys(suite, SECOND.0, &[FIRST, SECOND]).await?;
        sleep(Duration::from_secs(2)).await;
        is_over.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let load = try_join_all((0..LOADERS).map(|loader| {
        let (is_over, orders) = (&is_over, &orders);
        async move {
            // Of every pair of coupons one is ordered with at once, and one after the change.
            let mut kept = Vec::new();
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let shopper = format!("s-{loader}-{number}");
                let code = suite.coupon("load", &shopper).await?;
                if number % 2 == 0 {
                    kept.push((shopper, code));
                    continue;
                }
                accepted(suite, &shopper, "o-1", &code).await?;
                orders.fetch_add(1, Ordering::Relaxed);
            }
            for (shopper, code) in kept {
                accepted(suite, &shopper, "o-1", &code).await?;
            }
            anyhow::Ok(())
        }
    }));
    tokio::try_join!(rotate, load)?;
    let orders = orders.into_inner();
    assert!(orders >= 20, "{orders} orders are no load");
    let keys = "SELECT count(DISTINCT key_id) FROM coupons WHERE shopper_id LIKE 's-%'";
    let keys = sqlx::query_scalar::<_, i64>(keys);
    let keys = keys
        .fetch_one(&mut suite.database_of(Service::Issuance).await?)
        .await?;
    assert_eq!(keys, 2, "coupons were made with both keys");
    Ok(())
}

async fn a_missing_key_hides_no_other_coupon_and_refuses_for_now_until_it_is_back(
    suite: &Suite,
) -> Result<()> {
    campaign_of_first_key(suite, MISSING, 3).await?;
    let claimed = soon(|| suite.claim(MISSING, "ann", "r-1")).await?;
    let of_first = claimed.coupon.unwrap_or_default().code;
    let paid = suite.coupon(MISSING, "ann").await?;
    let order = accepted(suite, "ann", "o-1", &paid).await?;
    change_keys(suite, SECOND.0, &[FIRST, SECOND]).await?;
    let of_second = suite.coupon(MISSING, "ann").await?;
    change_keys(suite, SECOND.0, &[SECOND]).await?;

    let listed = suite.coupons("ann", 10).await?;
    let mut shown: Vec<_> = listed
        .iter()
        .map(|coupon| (&*coupon.code, coupon.code_missing_because()))
        .collect();
    shown.sort_by_key(|(code, _)| *code);
    let hidden = ("", Reason::CouponKeyMissing);
    assert_eq!(shown, [hidden, hidden, (&*of_second, Reason::Unspecified)]);

    for told in [
        refused(suite.look_up(MISSING, "ann", "r-1").await),
        refused(suite.claim(MISSING, "ann", "r-1").await),
        refused(suite.get_coupon("ann", &of_first).await),
        refused(suite.order("ann", "o-2", &of_first).await),
    ] {
        let told = told.is(Code::FailedPrecondition, "COUPON_KEY_MISSING");
        assert!(told.retry_after.is_some(), "it is not for ever");
        assert_eq!(told.locales, ["zh-CN", "en"]);
    }
    accepted(suite, "ann", "o-3", &of_second).await?;
    // What has paid comes back to its shopper all the same.
    let cancelled = suite.cancel(&order).await?;
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    suite.released(&order).await?;

    change_keys(suite, SECOND.0, &[FIRST, SECOND]).await?;
    accepted(suite, "ann", "o-2", &of_first).await?;
    accepted(suite, "ann", "o-4", &paid).await?;
    Ok(())
}
