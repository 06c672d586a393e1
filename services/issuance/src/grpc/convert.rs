//! Wire messages to domain types and back.

pub mod found;
mod uses;

use tidegate_proto::{
    issuance::v1::{
        CodeOfShopper, IssueItem, IssueResult, IssuedCoupon, ListCouponsRequest, LookupItem,
        LookupResult, VerifyCodesResponse, issue_result,
    },
    r#type::v1 as shared,
};
use tidegate_rpc::wire;
use tidegate_types::{
    Area, CampaignNumber, CouponCode, CouponTerms, DecodedCode, RequestId, ShopperId, Slot,
    StoreId, TierNumber, Timestamp, Violations,
};
use uuid::Uuid;

pub use self::uses::{redeem_request, redeem_result, release_request, release_result};
use super::{Batch, MAX_ITEMS};
use crate::{
    claims::ClaimRequest,
    domain::coupon::{Coupon, CouponState},
    error::{IssuanceError, Result},
    wallet::{Before, EarlierClaim, Page},
};

const MAX_PAGE_SIZE: u32 = 100;
/// Areas, and stores, that a coupon names in an answer with others: an answer with [`MAX_ITEMS`] coupons has to fit into one message.
const MAX_NAMES_OF_ONE_IN_MANY: usize = 10;

/// What `read` makes of a message; every bad field that it noted if there is one.
pub fn parsed<T>(read: impl FnOnce(&mut Violations) -> Option<T>) -> Result<T> {
    let mut bad = Violations::default();
    let read = read(&mut bad).filter(|_| bad.is_empty());
    read.ok_or(IssuanceError::InvalidFields(bad))
}

pub fn check_count(bad: &mut Violations, field: &str, count: usize) -> Option<()> {
    if !(1..=MAX_ITEMS).contains(&count) {
        bad.add(field, format_args!("must be 1 to {MAX_ITEMS}"));
        return None;
    }
    Some(())
}

pub fn check_item_count(count: usize) -> Result<()> {
    parsed(|bad| check_count(bad, "items", count))
}

pub fn claim_request(item: IssueItem, batch: &Batch) -> Result<ClaimRequest> {
    parsed(|bad| {
        let campaign = bad.check("campaign_number", CampaignNumber::new(item.campaign_number));
        let shopper = shopper_of(bad, batch, &item.shopper_id);
        let request_id = bad.check("request_id", RequestId::parse(item.request_id));
        let tier = item.tier_number;
        let tier = tier.and_then(|tier| bad.check("tier_number", TierNumber::new(tier)));
        Some(ClaimRequest {
            campaign: campaign?,
            campaign_revision: item.campaign_revision,
            shopper: shopper?,
            request_id: request_id?,
            tier,
            deadline: batch.deadline(item.deadline_ms),
            granted_by: None,
        })
    })
}

fn shopper_of(bad: &mut Violations, batch: &Batch, shopper_id: &str) -> Option<ShopperId> {
    let (shopper, lane) = (
        bad.check("shopper_id", ShopperId::parse(shopper_id))?,
        batch.lane,
    );
    if batch.lanes.of(&shopper) != lane {
        let why = format_args!("must belong to lane {lane}, as the call says");
        bad.add("shopper_id", why);
    }
    Some(shopper)
}

pub fn lookup(item: LookupItem) -> Result<EarlierClaim> {
    parsed(|bad| {
        let campaign = bad.check("campaign_number", CampaignNumber::new(item.campaign_number));
        let shopper = bad.check("shopper_id", ShopperId::parse(item.shopper_id));
        let request_id = bad.check("request_id", RequestId::parse(item.request_id));
        let tier = item.content.map(|content| {
            let tier = content.tier_number;
            tier.and_then(|tier| bad.check("content.tier_number", TierNumber::new(tier)))
        });
        Some(EarlierClaim {
            campaign: campaign?,
            shopper: shopper?,
            request_id: request_id?,
            tier,
        })
    })
}

pub fn shopper(shopper_id: &str) -> Result<ShopperId> {
    parsed(|bad| bad.check("shopper_id", ShopperId::parse(shopper_id)))
}

pub fn campaign(number: u32) -> Result<CampaignNumber> {
    parsed(|bad| bad.check("campaign_number", CampaignNumber::new(number)))
}

pub fn page(message: ListCouponsRequest) -> Result<Page> {
    parsed(|bad| {
        let shopper = bad.check("shopper_id", ShopperId::parse(message.shopper_id));
        let campaign = match message.campaign_number {
            0 => None,
            number => bad.check("campaign_number", CampaignNumber::new(number)),
        };
        if !(1..=MAX_PAGE_SIZE).contains(&message.page_size) {
            bad.add("page_size", format!("must be 1 to {MAX_PAGE_SIZE}"));
        }
        let before = page_start(&message.page_token);
        let before = before.ok_or("must be a token from the page before");
        let before = bad.check("page_token", before);
        Some(Page {
            shopper: shopper?,
            campaign,
            before: before?,
            size: message.page_size,
        })
    })
}

pub fn page_token((campaign, slot): Before) -> String {
    format!("{campaign:x}.{slot:x}")
}

fn page_start(token: &str) -> Option<Before> {
    if token.is_empty() {
        return Some((i32::MAX as u32, u8::MAX));
    }
    let (campaign, slot) = token.split_once('.')?;
    let campaign = CampaignNumber::new(u32::from_str_radix(campaign, 16).ok()?).ok()?;
    let slot = Slot::new(u8::from_str_radix(slot, 16).ok()?).ok()?;
    Some((campaign.get(), slot.get()))
}

pub fn issue_result(outcome: Result<(Coupon, bool)>, now: Timestamp) -> IssueResult {
    let outcome = match outcome {
        Ok((issued, replayed)) => issue_result::Outcome::Issued(IssuedCoupon {
            coupon: Some(coupon(&issued, now)),
            replayed,
        }),
        Err(error) => issue_result::Outcome::Refused(error.into()),
    };
    IssueResult {
        outcome: Some(outcome),
    }
}

pub fn lookup_result(found: Result<Option<Coupon>>, now: Timestamp) -> Result<LookupResult> {
    let (coupon, refused) = match found {
        Ok(found) => (found.map(|found| coupon(&found, now)), None),
        Err(
            refused @ (IssuanceError::RequestIdConflict | IssuanceError::CouponKeyMissing { .. }),
        ) => (None, Some(refused.into())),
        Err(error) => return Err(error),
    };
    Ok(LookupResult { coupon, refused })
}

/// Which codes are true. One whose key is missing is not called false: an order with it stays
/// PENDING, and is not rejected.
pub fn verified(verified: &[Result<DecodedCode>]) -> VerifyCodesResponse {
    let is_missing = |code: &_| matches!(code, Err(IssuanceError::CouponKeyMissing { .. }));
    let codes = verified.iter();
    VerifyCodesResponse {
        is_true: codes
            .clone()
            .map(|code| code.is_ok() || is_missing(code))
            .collect(),
        key_is_missing: codes.map(is_missing).collect(),
    }
}

pub fn typed_codes(items: &[CodeOfShopper]) -> Result<Vec<(ShopperId, &str)>> {
    check_item_count(items.len())?;
    let items = items.iter();
    items
        .map(|item| Ok((shopper(&item.shopper_id)?, &*item.coupon_code)))
        .collect()
}

pub fn id_or_empty(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
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
    let (stored, tier, terms) = (&coupon.stored, &coupon.tier, &*coupon.tier.terms);
    let state = match coupon.state(now) {
        CouponState::Issued => shared::CouponState::Issued,
        CouponState::Redeemed(_) => shared::CouponState::Redeemed,
        CouponState::Expired => shared::CouponState::Expired,
        CouponState::Revoked => shared::CouponState::Revoked,
    };
    let code_missing_because = match coupon.code {
        Some(_) => shared::Reason::Unspecified,
        None => shared::Reason::CouponKeyMissing,
    };
    let trace_id = stored.claim_trace.map(|trace| trace.trace_id());
    shared::Coupon {
        code: coupon.code.map(CouponCode::reveal).unwrap_or_default(),
        code_missing_because: code_missing_because.into(),
        campaign_id: coupon.campaign.id.to_string(),
        tier_id: tier.id.to_string(),
        face_value: Some(shared::Money {
            currency_code: coupon.campaign.currency.to_string(),
            minor_units: tier.face_value_minor_units,
        }),
        state: state.into(),
        issued_at: Some(wire::timestamp(stored.issued_at)),
        valid_until: Some(wire::timestamp(coupon.valid_until())),
        order_id: id_or_empty(stored.order_id),
        request_id: stored.request_id.to_string(),
        claim_trace_id: trace_id.unwrap_or_default(),
        terms: told_terms(terms, max_names),
        terms_shortened: terms.areas().len().max(terms.stores().len()) > max_names,
    }
}

/// Terms that ask nothing are left out.
fn told_terms(terms: &CouponTerms, max_names: usize) -> Option<shared::CouponTerms> {
    let areas = terms.areas().iter().take(max_names);
    let stores = terms.stores().iter().take(max_names);
    (*terms != CouponTerms::default()).then(|| shared::CouponTerms {
        minimum_spend_minor_units: terms.minimum_spend_minor_units(),
        areas: areas.map(Area::to_string).collect(),
        store_ids: stores.map(StoreId::to_string).collect(),
    })
}
