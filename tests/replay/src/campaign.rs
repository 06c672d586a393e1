//! Sets the stage as staff would: a campaign and its stores.

use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use tidegate_client::{CampaignTerms, HOUR, Staff};
use tidegate_proto::{order_intake::v1::Store, r#type::v1::Campaign};
use tonic::Status;

use crate::crowd::schedule::{PATIENCE_LIMIT, STORES, share_of_store};

pub const CURRENCY: &str = "CNY";
const AREAS: u32 = 20;
/// As short as slots can be: a day pressed into minutes is to fill some.
const SLOT_MINUTES: u32 = 1;
pub const SLOT: Duration = Duration::from_secs(60 * SLOT_MINUTES as u64);
/// The last rank whose store is to have more orders than room.
const LAST_FULL_RANK: u32 = 2;
/// How much of the orders of that store it can make.
const ROOM_OF_LAST_FULL: f64 = 0.5;
const MAX_ORDERS_PER_SLOT: f64 = 10_000.0;
/// The share of the expected shoppers for whom there is a coupon: enough to fill the first hours, too few for the rush.
pub const STOCK_SHARE: f64 = 0.6;
/// The first tier: 25 yuan, as in the giveaway that is replayed.
const FIRST_TIER_SHARE: f64 = 0.8;
pub const LIMIT_PER_SHOPPER: u32 = 1;
const SECOND_TIER_MINOR_UNITS: i64 = 1_500;
/// From the day of the giveaway to its first end.
const COUPON_VALIDITY: Duration = Duration::from_secs(17 * 24 * 3_600);

/// Makes a campaign that opens at some time, with so many coupons of either tier and one coupon a shopper.
pub async fn create(
    staff: &Staff,
    campaign_id: &str,
    (first, second): (u64, u64),
    opens_at: SystemTime,
) -> Result<Campaign> {
    let terms = CampaignTerms {
        tiers: vec![("milk-tea-25", first), ("milk-tea-15", second)],
        limit_per_shopper: LIMIT_PER_SHOPPER,
        opens_at,
        open_for: 24 * HOUR,
        validity: COUPON_VALIDITY,
        ..CampaignTerms::open(campaign_id, 0)
    };
    let mut message = terms.request();
    message.display_name = "Replay of 2026-02-06".to_owned();
    message.tiers[1].face_value_minor_units = SECOND_TIER_MINOR_UNITS;
    let made = staff.create(message).await;
    made.map_err(|status| refused("quota did not make the campaign", &status))
}

pub async fn make_stores(staff: &Staff, orders_per_slot: u32) -> Result<()> {
    let store = |number| Store {
        store_id: store_id(number),
        display_name: format!("Milk tea no. {}", number + 1),
        area: format!("area-{:02}", number % AREAS),
        slot_minutes: Some(SLOT_MINUTES),
        orders_per_slot: Some(orders_per_slot),
        ..Store::default()
    };
    let made = staff.put_stores((0..STORES).map(store).collect()).await;
    made.map_err(|status| refused("order-intake did not make the stores", &status))?;
    Ok(())
}

/// How many differences the services' own audit of a campaign finds between quota's books and issuance's coupons.
pub async fn differences(staff: &Staff, campaign_id: &str) -> Result<i64> {
    let audited = staff.audit(campaign_id).await;
    let audited = audited.map_err(|status| refused("quota did not audit the campaign", &status))?;
    Ok(audited.difference_count.try_into()?)
}

/// One sentence of a refusal; the status itself would repeat its causes.
fn refused(what: &str, status: &Status) -> anyhow::Error {
    let (code, words) = (status.code(), status.message());
    anyhow!("{what} ({code:?}: {words}): read its log.")
}

pub fn store_id(number: u32) -> String {
    format!("store-{:04}", number + 1)
}

/// How many orders each store makes in a slot, if so many coupons are ordered with within a day: too few for the three favourites, and in all far more than there are coupons.
pub fn orders_per_slot(coupons: u64, day: Duration) -> u32 {
    let slots_in_reach = (day + PATIENCE_LIMIT).as_secs_f64() / SLOT.as_secs_f64();
    let wanted = coupons as f64 * share_of_store(LAST_FULL_RANK);
    (wanted * ROOM_OF_LAST_FULL / slots_in_reach)
        .ceil()
        .clamp(1.0, MAX_ORDERS_PER_SLOT) as u32
}

/// How many coupons of each tier, for so many expected shoppers; never none.
pub fn stock(expected_shoppers: u32) -> (u64, u64) {
    let all = (f64::from(expected_shoppers) * STOCK_SHARE)
        .round()
        .max(2.0);
    let first = (all * FIRST_TIER_SHARE).floor().max(1.0);
    (first as u64, (all - first) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_is_six_tenths_of_the_shoppers_and_no_tier_is_empty() {
        assert_eq!(stock(20_000), (9_600, 2_400));
        assert_eq!(stock(1), (1, 1));
    }

    #[test]
    fn three_favourites_are_asked_for_more_than_they_can_make_and_all_stores_together_for_less() {
        for (coupons, minutes) in [(2_400, 1), (12_000, 2), (120_000, 5), (6_000_000, 60)] {
            let day = Duration::from_secs(60 * minutes);
            let room = f64::from(orders_per_slot(coupons, day))
                * (day + PATIENCE_LIMIT).as_secs_f64()
                / SLOT.as_secs_f64();
            let coupons = coupons as f64;
            assert!(room < coupons * share_of_store(2), "{room} of {coupons}");
            let all = room * f64::from(STORES);
            assert!(all > 2.0 * coupons, "{room} of {coupons}");
        }
    }
}
