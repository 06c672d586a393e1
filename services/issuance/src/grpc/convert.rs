//! Wire messages to domain types and back.

/// What staff look for and find.
pub mod found;
mod uses;

use tidegate_proto::{
    issuance::v1::{
        CodeOfShopper, IssueItem, IssueResult, IssuedCoupon, ListCouponsRequest, LookupItem,
        LookupRedemptionsResponse, LookupResult, VerifyCodesResponse, issue_result,
    },
    r#type::v1 as shared,
};
use tidegate_rpc::{server::CallContext, wire};
use tidegate_telemetry::TraceContext;
use tidegate_types::{
    Area, CampaignNumber, CouponCode, CouponTerms, DecodedCode, Lane, Lanes, RequestId, ShopperId,
    Slot, StoreId, TierNumber, Timestamp, Violations,
};
use uuid::Uuid;

pub use self::uses::{redeem_request, redeem_result, release_request, release_result};
use super::{MAX_ITEMS, item_deadline};
use crate::{
    claims::ClaimRequest,
    domain::coupon::{Coupon, CouponState},
    error::IssuanceError,
    wallet::{ClaimContent, EarlierClaim, PageStart},
};

const MAX_PAGE_SIZE: u32 = 100;
/// Areas, and stores, that a coupon names in an answer with others: an answer with [`MAX_ITEMS`] coupons has to fit into one message.
const MAX_NAMES_OF_ONE_IN_MANY: usize = 10;

/// Refuses calls without items, and those with too many.
pub fn check_item_count(count: usize) -> Result<(), IssuanceError> {
    let mut bad = Violations::default();
    if !(1..=MAX_ITEMS).contains(&count) {
        bad.add("items", format!("must be 1 to {MAX_ITEMS}"));
        return Err(IssuanceError::InvalidFields(bad));
    }
    Ok(())
}

pub fn claim_request(
    item: IssueItem,
    call: &CallContext,
    lanes: Lanes,
    lane: Lane,
) -> Result<ClaimRequest, IssuanceError> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_number", CampaignNumber::new(item.campaign_number));
    let shopper = shopper_of_lane(&mut bad, &item.shopper_id, lanes, lane);
    let request_id = bad.check("request_id", RequestId::parse(item.request_id));
    let tier = item
        .tier_number
        .map(|tier| bad.check("tier_number", TierNumber::new(tier)));
    match (campaign, shopper, request_id, tier) {
        (Some(campaign), Some(shopper), Some(request_id), None | Some(Some(_))) => {
            Ok(ClaimRequest {
                campaign,
                campaign_revision: item.campaign_revision,
                shopper,
                request_id,
                tier: tier.flatten(),
                trace: trace(&item.traceparent, call),
                deadline: item_deadline(item.deadline_ms, call),
                granted_by: None,
            })
        }
        _ => Err(IssuanceError::InvalidFields(bad)),
    }
}

fn shopper_of_lane(
    bad: &mut Violations,
    shopper_id: &str,
    lanes: Lanes,
    lane: Lane,
) -> Option<ShopperId> {
    let shopper = bad.check("shopper_id", ShopperId::parse(shopper_id))?;
    if lanes.of(&shopper) != lane {
        bad.add(
            "shopper_id",
            format!("must belong to lane {lane}, as the call says"),
        );
        return None;
    }
    Some(shopper)
}

/// The item's own story; the call's if it has none.
fn trace(traceparent: &str, call: &CallContext) -> TraceContext {
    TraceContext::parse(traceparent).unwrap_or(call.trace)
}

pub fn lookup(item: LookupItem) -> Result<EarlierClaim, IssuanceError> {
    let mut bad = Violations::default();
    let campaign = bad.check("campaign_number", CampaignNumber::new(item.campaign_number));
    let shopper = bad.check("shopper_id", ShopperId::parse(item.shopper_id));
    let request_id = bad.check("request_id", RequestId::parse(item.request_id));
    let content = item.content.map(|content| ClaimContent {
        tier: content
            .tier_number
            .and_then(|tier| bad.check("content.tier_number", TierNumber::new(tier))),
    });
    match (campaign, shopper, request_id) {
        (Some(campaign), Some(shopper), Some(request_id)) if bad.is_empty() => Ok(EarlierClaim {
            campaign,
            shopper,
            request_id,
            content,
        }),
        _ => Err(IssuanceError::InvalidFields(bad)),
    }
}

pub fn shopper(shopper_id: &str) -> Result<ShopperId, IssuanceError> {
    let mut bad = Violations::default();
    bad.check("shopper_id", ShopperId::parse(shopper_id))
        .ok_or(IssuanceError::InvalidFields(bad))
}

pub fn campaign(campaign_number: u32) -> Result<CampaignNumber, IssuanceError> {
    let mut bad = Violations::default();
    bad.check("campaign_number", CampaignNumber::new(campaign_number))
        .ok_or(IssuanceError::InvalidFields(bad))
}

/// A page that was asked for.
pub struct Page {
    pub shopper: ShopperId,
    pub campaign: Option<CampaignNumber>,
    pub start: PageStart,
    pub size: u32,
}

pub fn page(message: ListCouponsRequest) -> Result<Page, IssuanceError> {
    let mut bad = Violations::default();
    let shopper = bad.check("shopper_id", ShopperId::parse(message.shopper_id));
    let campaign = match message.campaign_number {
        0 => None,
        number => bad.check("campaign_number", CampaignNumber::new(number)),
    };
    if !(1..=MAX_PAGE_SIZE).contains(&message.page_size) {
        bad.add("page_size", format!("must be 1 to {MAX_PAGE_SIZE}"));
    }
    let start = bad.check(
        "page_token",
        page_start(&message.page_token).ok_or("must be a token from the page before"),
    );
    match (shopper, start) {
        (Some(shopper), Some(start)) if bad.is_empty() => Ok(Page {
            shopper,
            campaign,
            start,
            size: message.page_size,
        }),
        _ => Err(IssuanceError::InvalidFields(bad)),
    }
}

pub fn page_token(start: PageStart) -> String {
    format!("{:x}.{:x}", start.0, start.1)
}

fn page_start(token: &str) -> Option<PageStart> {
    if token.is_empty() {
        return Some(PageStart::FIRST);
    }
    let (campaign, slot) = token.split_once('.')?;
    let campaign = CampaignNumber::new(u32::from_str_radix(campaign, 16).ok()?).ok()?;
    let slot = Slot::new(u8::from_str_radix(slot, 16).ok()?).ok()?;
    Some(PageStart(campaign.get(), slot.get()))
}

pub fn issue_result(outcome: Result<(Coupon, bool), IssuanceError>, now: Timestamp) -> IssueResult {
    let outcome = match outcome {
        Ok((issued, replayed)) => issue_result::Outcome::Issued(IssuedCoupon {
            coupon: Some(coupon(&issued, now)),
            replayed,
        }),
        Err(error) => issue_result::Outcome::Refused(wire::refusal(&error.refusal())),
    };
    IssueResult {
        outcome: Some(outcome),
    }
}

/// What is known of an earlier claim.
pub fn lookup_result(
    found: Result<Option<Coupon>, IssuanceError>,
    now: Timestamp,
) -> Result<LookupResult, IssuanceError> {
    match found {
        Ok(found) => Ok(LookupResult {
            coupon: found.map(|found| coupon(&found, now)),
            refused: None,
        }),
        Err(
            refused @ (IssuanceError::RequestIdConflict | IssuanceError::CouponKeyMissing { .. }),
        ) => Ok(LookupResult {
            coupon: None,
            refused: Some(wire::refusal(&refused.refusal())),
        }),
        Err(error) => Err(error),
    }
}

/// Which codes are true. One whose key is missing is not called false, also to callers that know
/// nothing of missing keys: an order with it stays PENDING, and is not rejected.
pub fn verified(verified: &[Result<DecodedCode, IssuanceError>]) -> VerifyCodesResponse {
    let key_is_missing: Vec<_> = verified
        .iter()
        .map(|code| matches!(code, Err(IssuanceError::CouponKeyMissing { .. })))
        .collect();
    let codes = verified.iter().zip(&key_is_missing);
    VerifyCodesResponse {
        is_true: codes
            .map(|(code, missing)| code.is_ok() || *missing)
            .collect(),
        key_is_missing,
    }
}

/// Codes, as typed, and whose they are.
pub fn typed_codes<'a>(
    items: &'a [CodeOfShopper],
) -> Result<Vec<(ShopperId, &'a str)>, IssuanceError> {
    check_item_count(items.len())?;
    let typed =
        |item: &'a CodeOfShopper| Ok((shopper(&item.shopper_id)?, item.coupon_code.as_str()));
    items.iter().map(typed).collect()
}

/// The orders that coupons pay for.
pub fn redemptions(order_ids: Vec<Option<Uuid>>) -> LookupRedemptionsResponse {
    let order_id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    LookupRedemptionsResponse {
        order_ids: order_ids.into_iter().map(order_id).collect(),
    }
}

/// A coupon as callers see it at `now`; one of many in an answer, so it names only some of its stores.
pub fn coupon(coupon: &Coupon, now: Timestamp) -> shared::Coupon {
    coupon_naming(coupon, now, MAX_NAMES_OF_ONE_IN_MANY)
}

/// A coupon as callers see it at `now`, with every store.
pub fn whole_coupon(coupon: &Coupon, now: Timestamp) -> shared::Coupon {
    coupon_naming(coupon, now, usize::MAX)
}

fn coupon_naming(coupon: &Coupon, now: Timestamp, max_names: usize) -> shared::Coupon {
    let state = match coupon.state(now) {
        CouponState::Issued => shared::CouponState::Issued,
        CouponState::Redeemed(_) => shared::CouponState::Redeemed,
        CouponState::Expired => shared::CouponState::Expired,
        CouponState::Revoked => shared::CouponState::Revoked,
    };
    shared::Coupon {
        code: coupon.code.map(CouponCode::reveal).unwrap_or_default(),
        code_missing_because: match coupon.code {
            Some(_) => shared::Reason::Unspecified,
            None => shared::Reason::CouponKeyMissing,
        }
        .into(),
        campaign_id: coupon.campaign_id.to_string(),
        tier_id: coupon.tier_id.to_string(),
        face_value: Some(wire::money(coupon.face_value)),
        state: state.into(),
        issued_at: Some(wire::timestamp(coupon.stored.issued_at)),
        valid_until: Some(wire::timestamp(coupon.valid_until)),
        order_id: coupon
            .stored
            .order_id
            .map(|order| order.to_string())
            .unwrap_or_default(),
        request_id: coupon.stored.request_id.to_string(),
        claim_trace_id: coupon
            .stored
            .claim_trace
            .map(|trace| trace.trace_id())
            .unwrap_or_default(),
        terms: terms(&coupon.terms, max_names),
        terms_shortened: coupon.terms.areas().len().max(coupon.terms.stores().len()) > max_names,
    }
}

/// Terms that ask nothing are left out.
fn terms(terms: &CouponTerms, max_names: usize) -> Option<shared::CouponTerms> {
    let areas = terms.areas().iter().take(max_names);
    let stores = terms.stores().iter().take(max_names);
    (*terms != CouponTerms::default()).then(|| shared::CouponTerms {
        minimum_spend_minor_units: terms.minimum_spend_minor_units(),
        areas: areas.map(Area::to_string).collect(),
        store_ids: stores.map(StoreId::to_string).collect(),
    })
}
