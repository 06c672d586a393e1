use tidegate_auth::Identity;
use tidegate_proto::{
    order_intake::v1::{
        GetOrderRequest, ListOrdersRequest, OpeningHours, PlaceOrdersRequest, SetStoreStateRequest,
        Store, StoreState, WeeklyHours,
    },
    r#type::v1::{OrderState, Reason, Refusal},
};
use tidegate_rpc::refusal::from_status;
use tidegate_test_kit::heard;
use tidegate_types as types;

use crate::suite::{LANES, Suite, bad_fields, code, item, lane_of, placed, refused, store_of};

#[tokio::test]
async fn a_coupon_that_paid_for_another_order_rejects_this_one_for_ever() {
    let suite = Suite::start().await;
    let first = placed(suite.place(item("alice", "r-1", &code(1))).await);
    let refusal = refused(suite.place(item("alice", "r-2", &code(1))).await);
    assert_eq!(refusal.reason(), Reason::CouponRedeemed);
    assert_eq!(refusal.metadata["order_id"], first.order.unwrap().order_id);
    assert_eq!(refusal.retry_after, None);
    let replayed = refused(suite.place(item("alice", "r-2", &code(1))).await);
    assert_eq!(replayed, refusal);
    let rejected = suite.list("alice").await.remove(0);
    assert_eq!(rejected.state(), OrderState::Rejected);
    assert_eq!(rejected.rejected_because(), Reason::CouponRedeemed);
    assert_eq!(suite.get(&rejected).await, rejected);
}

#[tokio::test]
async fn each_fault_of_a_coupon_is_told_as_it_is() {
    let suite = Suite::start().await;
    let reasons = [
        types::Reason::CouponExpired,
        types::Reason::CouponRevoked,
        types::Reason::CouponNotFound,
    ];
    for (number, reason) in reasons.into_iter().enumerate() {
        suite.issuance.state().refusing = Some(types::Refusal::never(reason));
        let request_id = format!("r-{number}");
        let refusal = refused(suite.place(item("alice", &request_id, &code(1))).await);
        assert_eq!(refusal.reason().as_str_name(), format!("REASON_{reason}"));
        let replay = refused(suite.place(item("alice", &request_id, &code(1))).await);
        assert_eq!(replay, refusal);
    }
}

#[tokio::test]
async fn a_bad_item_refuses_itself_only_and_names_every_bad_field() {
    let suite = Suite::start().await;
    let mut bad = item("alice", "", &code(2));
    bad.lines[0].quantity = 0;
    bad.lines[0].sku = "tea\u{202e}".to_owned();
    bad.lines[0].unit_price = None;
    let mut two_currencies = item("alice", "r-3", &code(3));
    two_currencies.lines.push(two_currencies.lines[0].clone());
    if let Some(price) = &mut two_currencies.lines[1].unit_price {
        price.currency_code = "USD".to_owned();
    }
    let mut unknown_store = item("alice", "r-4", &code(4));
    unknown_store.store_id = "s-9".to_owned();
    let elsewhere = ["bob", "carol", "dave", "erin", "frank", "grace"]
        .into_iter()
        .find(|shopper| lane_of(shopper) != lane_of("alice"))
        .unwrap();
    let good = item("alice", "r-1", &code(1));
    let other_lane = item(elsewhere, "r-1", &code(5));
    let answers = suite
        .place_all(vec![good, bad, two_currencies, unknown_store, other_lane])
        .await;
    let mut answers = answers.into_iter();
    let accepted = placed(answers.next().unwrap()).order.unwrap();
    assert_eq!(accepted.state(), OrderState::Accepted);
    let refusals: Vec<_> = answers.map(refused).collect();
    let fields = |refusal: &Refusal| {
        assert_eq!(refusal.reason(), Reason::InvalidField);
        let fields = refusal.violations.iter().map(|bad| &*bad.field);
        fields.collect::<Vec<_>>().join(" ")
    };
    let bad = "request_id lines[0].sku lines[0].quantity lines[0].unit_price";
    assert_eq!(fields(&refusals[0]), bad);
    assert_eq!(fields(&refusals[1]), "lines");
    assert_eq!(refusals[2].reason(), Reason::StoreNotFound);
    assert_eq!(refusals[3].reason(), Reason::Misconfigured);
}

#[tokio::test]
async fn a_call_for_other_lanes_or_of_no_sensible_size_is_refused_whole() {
    let suite = Suite::start().await;
    let (lane, lanes) = (lane_of("alice"), u32::from(LANES));
    for (lane, lanes, count, reason) in [
        (lane, 8, 1, types::Reason::Misconfigured),
        (lanes, lanes, 1, types::Reason::InvalidField),
        (lane, lanes, 0, types::Reason::InvalidField),
        (lane, lanes, 501, types::Reason::InvalidField),
    ] {
        let request = PlaceOrdersRequest {
            lane,
            lanes,
            items: vec![item("alice", "r-1", &code(1)); count],
            ..PlaceOrdersRequest::default()
        };
        let answer = suite.orders(Identity::Gateway).place_orders(request).await;
        assert_eq!(
            heard(answer),
            Err(reason),
            "{count} of lane {lane} of {lanes}"
        );
    }
}

#[tokio::test]
async fn reads_and_stores_with_bad_fields_name_them() {
    let suite = Suite::start().await;
    let mut gateway = suite.orders(Identity::Gateway);
    let get = GetOrderRequest {
        shopper_id: "a b".to_owned(),
        order_id: "7".to_owned(),
    };
    let get = gateway.get_order(get).await.unwrap_err();
    assert_eq!(bad_fields(&get), ["shopper_id", "order_id"]);
    let list = ListOrdersRequest {
        shopper_id: "alice".to_owned(),
        page_size: 101,
        page_token: "7".to_owned(),
    };
    let list = gateway.list_orders(list).await.unwrap_err();
    assert_eq!(bad_fields(&list), ["page_size", "page_token"]);
    let two = |store_id: &str, area: &str| Store {
        area: area.to_owned(),
        ..store_of(store_id, 10)
    };
    let odd = Store {
        slot_minutes: Some(7),
        orders_per_slot: Some(10_001),
        opening_hours: Some(OpeningHours {
            weekly: vec![WeeklyHours {
                weekday: 8,
                opens_at_minute: 1_440,
                closes_at_minute: 0,
            }],
            closed_days: vec!["2026-02-30".to_owned()],
        }),
        time_zone: "Mars/Olympus".to_owned(),
        ..store_of("s-3", 10)
    };
    let [first, bad, again] = ["west", "no where", "east"].map(|area| two("s-2", area));
    let stores = vec![first, bad, again, odd];
    let upsert = suite.upsert(stores).await;
    let expected = "stores[1].area stores[2].store_id stores[3].time_zone stores[3].opening_hours.weekly[0].weekday \
        stores[3].opening_hours.weekly[0].opens_at_minute stores[3].opening_hours.closed_days[0] \
        stores[3].slot_minutes stores[3].orders_per_slot";
    assert_eq!(bad_fields(&upsert.unwrap_err()).join(" "), expected);
    let state = SetStoreStateRequest {
        store_id: "s-1".to_owned(),
        state: StoreState::Closed.into(),
        reason: String::new(),
    };
    let request = suite.with_token(state, "stores:write", None);
    let set = suite.stores(Identity::Staff).set_store_state(request).await;
    assert_eq!(bad_fields(&set.unwrap_err()), ["reason"]);
}

#[tokio::test]
async fn what_fulfilment_cannot_ask_for_is_named() {
    let suite = Suite::start().await;
    let order = suite.order(item("alice", "r-1", &code(1))).await;
    let nameless = suite.fail(&order, " ").await.unwrap_err();
    assert_eq!(bad_fields(&nameless), ["note"]);
    use OrderState::{Accepted, Cancelled, Pending, Ready};
    for impossible in [Pending, Accepted, Cancelled] {
        let refused = suite.advance(&order, impossible).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["state"]);
    }
    let leap = from_status(&suite.advance(&order, Ready).await.unwrap_err());
    assert_eq!(leap.reason, types::Reason::OrderStateConflict);
    let state = ("state".to_owned(), "ACCEPTED".to_owned());
    assert_eq!(leap.metadata, [state]);
}
