//! Coupons in the wallet and at the till.

use anyhow::Result;
use futures_util::future::join_all;
use tidegate_client::{CampaignTerms, Refusal, order_of, refused};
use tidegate_e2e::{Suite, hold};
use tidegate_proto::{
    gateway::v1::{CheckCouponRequest, ListCouponsRequest, PlaceOrderRequest},
    r#type::v1::{CouponState, OrderState, Reason},
};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_is_shown_to_its_shopper_and_pays_for_one_order() -> Result<()> {
    let suite = Suite::start().await?;
    suite.staff.make_store().await?;
    hold!(suite;
        a_coupon_pays_for_one_order_however_often_that_is_asked,
        a_wallet_pages_through_every_coupon_once,
    )
}

async fn a_coupon_pays_for_one_order_however_often_that_is_asked(suite: &Suite) -> Result<()> {
    suite.open("once", 10).await?;
    let code = &suite.coupon("once", "alice").await?;
    let racing = join_all((0..8).map(async |number| {
        let request_id = format!("order-{number}");
        suite.order("alice", &request_id, code).await
    }))
    .await;
    let accepted = racing.iter().flatten();
    let accepted: Vec<_> = accepted
        .filter(|order| order.state() == OrderState::Accepted)
        .collect();
    let [winner] = accepted[..] else {
        panic!("{racing:?}")
    };
    for status in racing.iter().filter_map(|outcome| outcome.as_ref().err()) {
        Refusal::of(status).is(Code::FailedPrecondition, "COUPON_REDEEMED");
    }
    let again = suite.order("alice", &winner.request_id, code).await?;
    assert_eq!(again.order_id, winner.order_id);

    let other_store = PlaceOrderRequest {
        store_id: "store-2".into(),
        ..order_of("alice", &winner.request_id, code)
    };
    let mut other_lines = order_of("alice", &winner.request_id, code);
    other_lines.lines[0].quantity = 2;
    for other in [other_store, other_lines] {
        refused(suite.place(other).await).because("REQUEST_ID_CONFLICT");
    }
    refused(suite.get_coupon("bob", code).await).because("COUPON_NOT_FOUND");
    refused(suite.order("bob", "o-1", code).await).because("COUPON_NOT_FOUND");
    let booked = suite.booked("store-1").await?;
    assert_eq!(booked, 1, "those that lost the race hold no place");

    let check = suite.request(CheckCouponRequest {
        shopper_id: "alice".into(),
        coupon_code: code.clone(),
    });
    let checked = suite.wallet().check_coupon(check).await?.into_inner();
    assert!(!checked.usable);
    assert_eq!(checked.unusable_because(), Reason::CouponRedeemed);
    let paid_for = checked.coupon.unwrap_or_default().order_id;
    assert_eq!(paid_for, winner.order_id);

    assert_eq!(suite.read(winner).await?.state(), OrderState::Accepted);
    let page = suite.list_orders("alice", 3).await?;
    assert_eq!(page.orders.len(), 3);
    assert!(!page.next_page_token.is_empty());
    let mut changes = suite.watch_order("alice", &winner.order_id).await?;
    // The store has yet to make it: the stream goes on after this.
    let change = changes.message().await?.and_then(|change| change.order);
    assert_eq!(change.unwrap_or_default().state(), OrderState::Accepted);
    Ok(())
}

async fn a_wallet_pages_through_every_coupon_once(suite: &Suite) -> Result<()> {
    let mut codes = Vec::new();
    for campaign in ["first", "second"] {
        let terms = CampaignTerms::open(campaign, 100).limited_to(5);
        suite.staff.open(terms).await?;
        for _ in 0..5 {
            codes.push(suite.coupon(campaign, "collector").await?);
        }
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = suite.request(ListCouponsRequest {
            shopper_id: "collector".into(),
            campaign_id: String::new(),
            page_size: 3,
            page_token,
        });
        let page = suite.wallet().list_coupons(request).await?.into_inner();
        let mut coupons = page.coupons.iter();
        assert!(coupons.all(|coupon| coupon.state() == CouponState::Issued));
        listed.extend(page.coupons.into_iter().map(|coupon| coupon.code));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    listed.reverse();
    // The newest campaign comes first.
    assert_eq!(listed, codes);
    Ok(())
}
