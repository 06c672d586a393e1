//! Coupons in the wallet and at the till.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_e2e::{CampaignTerms, OrderBooks, Suite, order_of, refused};
use tidegate_proto::{
    gateway::v1::{
        CancelOrderRequest, CheckCouponRequest, GetCouponRequest, GetOrderRequest,
        ListCouponsRequest, ListOrdersRequest, PlaceOrderRequest, WatchOrderRequest,
    },
    r#type::v1::{CouponState, OrderState, Reason},
};
use tokio_stream::StreamExt as _;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_pays_for_one_order_however_often_that_is_asked() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    staff.open(CampaignTerms::open("tea", 10)).await?;
    let code = suite.coupon("tea", "alice").await?;

    let racing = join_all((0..8).map(|number| {
        let (suite, code) = (&suite, &code);
        async move { suite.order("alice", &format!("order-{number}"), code).await }
    }))
    .await;
    let accepted: Vec<_> = racing
        .iter()
        .flatten()
        .filter(|order| order.state() == OrderState::Accepted)
        .collect();
    assert_eq!(accepted.len(), 1, "{racing:?}");
    for status in racing.iter().filter_map(|outcome| outcome.as_ref().err()) {
        let told = refused(status);
        assert_eq!(
            (told.code, told.reason.as_str()),
            (Code::FailedPrecondition, "COUPON_REDEEMED")
        );
    }
    let winner = accepted[0];
    let again = suite.order("alice", &winner.request_id, &code).await?;
    assert_eq!(again.order_id, winner.order_id);

    let other_basket = PlaceOrderRequest {
        store_id: "store-2".into(),
        ..order_of("alice", &winner.request_id, &code)
    };
    let conflict = suite
        .orders()?
        .place_order(suite.request(other_basket))
        .await
        .err()
        .unwrap();
    assert_eq!(refused(&conflict).reason, "REQUEST_ID_CONFLICT");

    let mut other_lines = order_of("alice", &winner.request_id, &code);
    other_lines.lines[0].quantity = 2;
    let conflict = suite.place(other_lines).await.unwrap_err();
    assert_eq!(refused(&conflict).reason, "REQUEST_ID_CONFLICT");
    let slots = OrderBooks::open(&suite).await?.slots("store-1").await?;
    let booked: i64 = slots.iter().map(|slot| slot.booked).sum();
    assert_eq!(booked, 1, "those that lost the race hold no place");

    let checked = suite
        .wallet()?
        .check_coupon(suite.request(CheckCouponRequest {
            shopper_id: "alice".into(),
            coupon_code: code.clone(),
        }))
        .await?
        .into_inner();
    assert!(!checked.usable);
    assert_eq!(checked.unusable_because(), Reason::CouponRedeemed);
    assert_eq!(
        checked.coupon.map(|coupon| coupon.order_id),
        Some(winner.order_id.clone())
    );

    let read = GetOrderRequest {
        shopper_id: "alice".into(),
        order_id: winner.order_id.clone(),
    };
    assert_eq!(
        suite
            .orders()?
            .get_order(suite.request(read))
            .await?
            .into_inner()
            .order
            .unwrap()
            .state(),
        OrderState::Accepted
    );
    let list = ListOrdersRequest {
        shopper_id: "alice".into(),
        page_size: 3,
        page_token: String::new(),
    };
    let page = suite
        .orders()?
        .list_orders(suite.request(list))
        .await?
        .into_inner();
    assert_eq!(page.orders.len(), 3);
    assert!(!page.next_page_token.is_empty());
    let watch = WatchOrderRequest {
        shopper_id: "alice".into(),
        order_id: winner.order_id.clone(),
    };
    let states: Vec<_> = suite
        .orders()?
        .watch_order(suite.request(watch))
        .await?
        .into_inner()
        .map(|change| change.map(|change| change.order.unwrap().state()))
        // The store has yet to make it: the stream goes on.
        .take(1)
        .collect()
        .await;
    assert_eq!(
        states.into_iter().collect::<Result<Vec<_>, _>>()?,
        [OrderState::Accepted]
    );
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_mistyped_foreign_and_expired_coupons_pay_for_nothing() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    staff
        .open(CampaignTerms {
            validity: Duration::from_secs(2),
            ..CampaignTerms::open("short", 10)
        })
        .await?;
    let code = suite.coupon("short", "alice").await?;
    let changed = format!(
        "{}{}",
        &code[..15],
        if code.ends_with('7') { '8' } else { '7' }
    );
    for (shopper, coupon) in [
        ("alice", changed.as_str()),
        ("alice", "not a code"),
        ("alice", "0000000000000000"),
        ("bob", code.as_str()),
    ] {
        let read = suite
            .wallet()?
            .get_coupon(suite.request(GetCouponRequest {
                shopper_id: shopper.into(),
                coupon_code: coupon.into(),
            }))
            .await;
        assert_eq!(
            read.map_err(|status| refused(&status).reason)
                .err()
                .as_deref(),
            Some("COUPON_NOT_FOUND"),
            "{shopper} {coupon}"
        );
        let order = suite
            .order(
                shopper,
                &format!("order-{coupon}").replace(' ', "-"),
                coupon,
            )
            .await;
        assert_eq!(
            order
                .map_err(|status| refused(&status).reason)
                .err()
                .as_deref(),
            Some("COUPON_NOT_FOUND"),
            "{shopper} {coupon}"
        );
    }
    let typed = format!("{}-{}", &code[..8], code[8..].to_lowercase());
    assert!(
        suite
            .wallet()?
            .get_coupon(suite.request(GetCouponRequest {
                shopper_id: "alice".into(),
                coupon_code: typed
            }))
            .await
            .is_ok()
    );

    tokio::time::sleep(Duration::from_secs(2)).await;
    let late = suite.order("alice", "too-late", &code).await.err().unwrap();
    let told = refused(&late);
    assert_eq!(
        (told.code, told.reason.as_str(), told.retry_after),
        (Code::FailedPrecondition, "COUPON_EXPIRED", None)
    );
    let unknown_store = PlaceOrderRequest {
        store_id: "nowhere".into(),
        ..order_of("alice", "lost", &code)
    };
    let status = suite
        .orders()?
        .place_order(suite.request(unknown_store))
        .await
        .err()
        .unwrap();
    assert_eq!(refused(&status).reason, "STORE_NOT_FOUND");
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_pages_through_every_coupon_once() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    for id in ["first", "second"] {
        staff
            .open(CampaignTerms {
                limit: 5,
                ..CampaignTerms::open(id, 100)
            })
            .await?;
    }
    let mut codes = Vec::new();
    for campaign in ["first", "second"] {
        for _ in 0..5 {
            codes.push(suite.coupon(campaign, "alice").await?);
        }
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let message = ListCouponsRequest {
            shopper_id: "alice".into(),
            campaign_id: String::new(),
            page_size: 3,
            page_token,
        };
        let page = suite
            .wallet()?
            .list_coupons(suite.request(message))
            .await?
            .into_inner();
        assert!(
            page.coupons
                .iter()
                .all(|coupon| coupon.state() == CouponState::Issued)
        );
        listed.extend(page.coupons.into_iter().map(|coupon| coupon.code));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    listed.reverse();
    assert_eq!(
        listed, codes,
        "newest campaign first, and nothing twice or left out"
    );
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_gives_its_coupon_back_and_the_coupon_pays_for_another() -> Result<()> {
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    staff.open(CampaignTerms::open("tea", 10)).await?;
    let code = suite.coupon("tea", "alice").await?;
    let order = suite.order("alice", "order-1", &code).await?;
    assert_eq!(order.state(), OrderState::Accepted);
    assert!(order.slot.is_some() && order.amount_to_pay.is_some());
    let cancel = CancelOrderRequest {
        shopper_id: "alice".into(),
        order_id: order.order_id.clone(),
    };
    for _ in 0..2 {
        let answer = suite
            .orders()?
            .cancel_order(suite.request(cancel.clone()))
            .await?
            .into_inner();
        let cancelled = answer.order.unwrap();
        assert_eq!(cancelled.state(), OrderState::Cancelled);
        assert!(cancelled.coupon_released_at.is_some());
    }
    let next = suite.order("alice", "order-2", &code).await?;
    assert_eq!(next.state(), OrderState::Accepted);
    suite.end().await
}
