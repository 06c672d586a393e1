use std::time::Duration;

use tidegate_proto::{
    gateway::v1::{
        ClaimCouponRequest, GetClaimRequest, IssuedClaim, LeaveQueueRequest, PlaceOrderRequest,
        QueuedClaim, WaitsFor, WatchClaimRequest,
    },
    issuance::v1::IssuedCoupon,
    order_intake::v1::PlaceOrderItem,
    r#type::v1::LocalizedText,
};
use tidegate_rpc::{refusal::Waiting, wire};
use tidegate_telemetry::TraceContext;
use tidegate_types::{CampaignId, CouponCode, RequestId, ShopperId, StoreId, TierId, Violations};

use crate::{
    claims::Claim, domain::ticket::MAX_LENGTH as MAX_TICKET_LENGTH, error::GatewayError,
    waiting_room::QueuePosition,
};

const DEFAULT_PAGE_SIZE: u32 = 20;
const MAX_PAGE_SIZE: u32 = 100;
const MAX_TOKEN_LENGTH: usize = 200;
const MAX_PATIENCE: Duration = Duration::from_secs(86_400);
const MAX_ORDER_ID_LENGTH: usize = 36;

pub fn claim(message: ClaimCouponRequest) -> Result<Claim, GatewayError> {
    let mut bad = Violations::default();
    let tier = if message.tier_id.is_empty() {
        Some(None)
    } else {
        bad.check("tier_id", TierId::parse(message.tier_id))
            .map(Some)
    };
    let ticket = ticket(&mut bad, message.ticket);
    let patience = patience(&mut bad, message.patience);
    let key = claim_key(
        &mut bad,
        message.campaign_id,
        message.shopper_id,
        message.request_id,
    );
    match (key, tier, ticket.zip(patience)) {
        (Some((campaign, shopper, request_id)), Some(tier), Some((ticket, patience))) => {
            Ok(Claim {
                campaign,
                shopper,
                request_id,
                tier,
                ticket,
                patience,
            })
        }
        _ => Err(GatewayError::InvalidFields(bad)),
    }
}

pub fn watched_claim(message: WatchClaimRequest) -> Result<Claim, GatewayError> {
    claim(ClaimCouponRequest {
        campaign_id: message.campaign_id,
        shopper_id: message.shopper_id,
        request_id: message.request_id,
        tier_id: message.tier_id,
        ticket: message.ticket,
        patience: None,
    })
}

/// A claim whose position is given up.
pub fn claim_that_leaves(message: LeaveQueueRequest) -> Result<Claim, GatewayError> {
    claim(ClaimCouponRequest {
        campaign_id: message.campaign_id,
        shopper_id: message.shopper_id,
        request_id: message.request_id,
        tier_id: String::new(),
        ticket: message.ticket,
        patience: None,
    })
}

pub fn earlier_claim(message: GetClaimRequest) -> Result<Claim, GatewayError> {
    claim(ClaimCouponRequest {
        campaign_id: message.campaign_id,
        shopper_id: message.shopper_id,
        request_id: message.request_id,
        tier_id: String::new(),
        ticket: String::new(),
        patience: None,
    })
}

/// How long the shopper waits, if that was said.
fn patience(
    bad: &mut Violations,
    patience: Option<prost_types::Duration>,
) -> Option<Option<Duration>> {
    let Some(patience) = patience else {
        return Some(None);
    };
    let within = wire::span(patience).filter(|patience| *patience <= MAX_PATIENCE);
    if within.is_none() {
        bad.add("patience", "must be from 0 to 86,400 seconds");
    }
    within.map(Some)
}

/// The ticket shown, if one is. Whether it is genuine shows when its campaign is known.
fn ticket(bad: &mut Violations, ticket: String) -> Option<Option<String>> {
    if ticket.len() > MAX_TICKET_LENGTH || !ticket.bytes().all(|byte| byte.is_ascii_graphic()) {
        bad.add(
            "ticket",
            format!("must have at most {MAX_TICKET_LENGTH} visible ASCII characters"),
        );
        return None;
    }
    Some((!ticket.is_empty()).then_some(ticket))
}

pub fn issued_claim(issued: IssuedCoupon) -> IssuedClaim {
    IssuedClaim {
        coupon: issued.coupon,
        replayed: issued.replayed,
    }
}

/// A claim that waits, with words for its shopper.
pub fn queued_claim(queued: QueuePosition) -> QueuedClaim {
    let words = queued.why.words(queued.ask_after, queued.held_coupons);
    let told = queued.ticket.told_position;
    let (waits_for, position, wait) = match queued.why {
        Waiting::ForOpening { .. } => (WaitsFor::Opening, None, None),
        Waiting::ForOthers { position, wait } => (WaitsFor::Turn, Some(position), wait),
        Waiting::ForServing => (WaitsFor::Permit, told, None),
        Waiting::ForStock => (WaitsFor::Stock, told, None),
        Waiting::BehindStock { position } => (WaitsFor::MoreCoupons, Some(position), None),
        Waiting::ForStaff { position, .. } => (WaitsFor::Staff, Some(position), None),
    };
    let text = |locale: &str, message| LocalizedText {
        locale: locale.to_owned(),
        message,
    };
    QueuedClaim {
        ticket: queued.shown,
        position,
        shortest_wait: wait.map(|(shortest, _)| wire::duration(shortest)),
        longest_wait: wait.map(|(_, longest)| wire::duration(longest)),
        poll_after: Some(wire::duration(queued.ask_after)),
        messages: vec![text("zh-CN", words.zh), text("en", words.en)],
        waits_for: waits_for.into(),
    }
}

fn claim_key(
    bad: &mut Violations,
    campaign_id: String,
    shopper_id: String,
    request_id: String,
) -> Option<(CampaignId, ShopperId, RequestId)> {
    let campaign = bad.check("campaign_id", CampaignId::parse(campaign_id));
    let shopper = bad.check("shopper_id", ShopperId::parse(shopper_id));
    let request_id = bad.check("request_id", RequestId::parse(request_id));
    Some((campaign?, shopper?, request_id?))
}

/// A shopper's id, where that is all there is to check.
pub fn shopper(shopper_id: &str) -> Result<ShopperId, GatewayError> {
    let mut bad = Violations::default();
    bad.check("shopper_id", ShopperId::parse(shopper_id))
        .ok_or(GatewayError::InvalidFields(bad))
}

/// A shopper and the id of one of the shopper's orders.
pub fn order_key(shopper_id: &str, order_id: &str) -> Result<ShopperId, GatewayError> {
    let mut bad = Violations::default();
    let shopper = bad.check("shopper_id", ShopperId::parse(shopper_id));
    if order_id.len() != MAX_ORDER_ID_LENGTH
        || !order_id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    {
        bad.add("order_id", "must be a UUID");
    }
    shopper
        .filter(|_| bad.is_empty())
        .ok_or(GatewayError::InvalidFields(bad))
}

pub struct Page {
    pub shopper: ShopperId,
    /// Of which campaign, if one is named.
    pub campaign: Option<CampaignId>,
    /// How many at most, and from where.
    pub range: (u32, String),
}

pub fn page(
    shopper_id: &str,
    campaign_id: &str,
    page_size: u32,
    page_token: String,
) -> Result<Page, GatewayError> {
    let mut bad = Violations::default();
    let shopper = bad.check("shopper_id", ShopperId::parse(shopper_id));
    let campaign = if campaign_id.is_empty() {
        Some(None)
    } else {
        bad.check("campaign_id", CampaignId::parse(campaign_id))
            .map(Some)
    };
    if page_size > MAX_PAGE_SIZE {
        bad.add("page_size", format!("must be at most {MAX_PAGE_SIZE}"));
    }
    if page_token.len() > MAX_TOKEN_LENGTH {
        bad.add("page_token", "must be a token from the page before");
    }
    let page_size = if page_size == 0 {
        DEFAULT_PAGE_SIZE
    } else {
        page_size
    };
    match (shopper, campaign) {
        (Some(shopper), Some(campaign)) if bad.is_empty() => Ok(Page {
            shopper,
            campaign,
            range: (page_size, page_token),
        }),
        _ => Err(GatewayError::InvalidFields(bad)),
    }
}

/// An order, checked whole, as order-intake takes it. Only its deadline is missing.
pub fn order(message: PlaceOrderRequest) -> Result<(ShopperId, PlaceOrderItem), GatewayError> {
    let mut bad = Violations::default();
    let shopper = bad.check("shopper_id", ShopperId::parse(&message.shopper_id));
    bad.check("request_id", RequestId::parse(&message.request_id));
    bad.check("store_id", StoreId::parse(&message.store_id));
    wire::lines(&mut bad, &message.lines);
    if message.coupon_code.is_empty() {
        bad.add("coupon_code", "must not be empty");
    }
    if message
        .latest_acceptable_at
        .is_some_and(|latest| wire::moment(latest).is_none())
    {
        bad.add(
            "latest_acceptable_at",
            "must be a moment between the years 1 and 9999",
        );
    }
    let Some(shopper) = shopper.filter(|_| bad.is_empty()) else {
        return Err(GatewayError::InvalidFields(bad));
    };
    let code = CouponCode::parse(&message.coupon_code).ok_or(GatewayError::CouponNotFound)?;
    let item = PlaceOrderItem {
        shopper_id: message.shopper_id,
        request_id: message.request_id,
        store_id: message.store_id,
        lines: message.lines,
        coupon_code: code.reveal(),
        latest_acceptable_at: message.latest_acceptable_at,
        traceparent: TraceContext::current().traceparent_if_recorded(),
        deadline_ms: 0,
        suggest_stores: message.suggest_stores,
    };
    Ok((shopper, item))
}

#[cfg(test)]
mod tests {
    use tidegate_proto::r#type::v1 as shared;

    use super::*;

    fn fields(error: GatewayError) -> Vec<String> {
        match error {
            GatewayError::InvalidFields(bad) => {
                bad.into_vec().into_iter().map(|bad| bad.field).collect()
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_bad_field_of_a_claim_is_named_at_once() {
        let message = ClaimCouponRequest {
            campaign_id: "No Slug".into(),
            shopper_id: "\u{202e}".into(),
            request_id: String::new(),
            tier_id: "T".repeat(65),
            ticket: "t".repeat(513),
            patience: Some(wire::duration(MAX_PATIENCE + Duration::from_nanos(1))),
        };
        let mut named = fields(claim(message).err().unwrap());
        named.sort();
        assert_eq!(
            named,
            [
                "campaign_id",
                "patience",
                "request_id",
                "shopper_id",
                "ticket",
                "tier_id"
            ]
        );
    }

    #[test]
    fn every_bad_field_of_an_order_is_named_at_once() {
        let line = shared::OrderLine {
            sku: String::new(),
            quantity: 0,
            unit_price: Some(shared::Money {
                currency_code: "cny".into(),
                minor_units: -1,
            }),
        };
        let message = PlaceOrderRequest {
            lines: vec![line],
            latest_acceptable_at: Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }),
            ..Default::default()
        };
        let named = fields(order(message).err().unwrap());
        let expected = [
            "shopper_id",
            "request_id",
            "store_id",
            "lines[0].sku",
            "lines[0].quantity",
            "lines[0].unit_price.currency_code",
            "coupon_code",
            "latest_acceptable_at",
        ];
        assert_eq!(named, expected);
    }
}
