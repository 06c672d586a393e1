//! Sets the stage as staff would: a campaign, its stores, and gateways that know of both.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::stream;
use tidegate_client::{Caller, framed};
use tidegate_proto::{
    gateway::v1::GetClaimRequest,
    order_intake::v1::{Store, UpsertStoresRequest, store_service_client::StoreServiceClient},
    quota::v1::{
        AuditCampaignRequest, CreateCampaignRequest, campaign_service_client::CampaignServiceClient,
    },
    r#type::v1::{Campaign, Tier},
};
use tokio::time::{Instant, sleep};
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::crowd::schedule::{PATIENCE_LIMIT, STORES, share_of_store};

pub const CURRENCY: &str = "CNY";
/// Parts of town, each with as many stores.
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
/// Coupons a shopper may hold.
pub const LIMIT_PER_SHOPPER: u32 = 1;
const FIRST_TIER_MINOR_UNITS: i64 = 2_500;
const SECOND_TIER_MINOR_UNITS: i64 = 1_500;
const OPEN_FOR: Duration = Duration::from_secs(24 * 3_600);
/// From the day of the giveaway to its first end.
const COUPON_VALIDITY: Duration = Duration::from_secs(17 * 24 * 3_600);
const STAFF_CALL_LIMIT: Duration = Duration::from_secs(10);
const KNOWN_LIMIT: Duration = Duration::from_secs(30);
const KNOWN_POLL: Duration = Duration::from_millis(100);

/// A caller with a staff certificate and token.
#[derive(Debug, Clone)]
pub struct Staff {
    pub quota: Channel,
    pub order_intake: Channel,
    /// Allows to make campaigns and stores.
    pub token: String,
}

impl Staff {
    fn request<T>(&self, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        request.set_timeout(STAFF_CALL_LIMIT);
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {}", self.token).parse()?);
        Ok(request)
    }

    /// Makes a campaign that is open now, with so many coupons of either tier and one coupon a shopper.
    pub async fn create_campaign(&self, campaign_id: &str, tiers: (u64, u64)) -> Result<Campaign> {
        let opens_at = SystemTime::now() - Duration::from_secs(1);
        self.create_campaign_that_opens(campaign_id, tiers, opens_at)
            .await
    }

    /// Makes a campaign that opens at some time, with so many coupons of either tier and one coupon a shopper.
    pub async fn create_campaign_that_opens(
        &self,
        campaign_id: &str,
        (first, second): (u64, u64),
        opens_at: SystemTime,
    ) -> Result<Campaign> {
        let tier = |tier_id: &str, face_value_minor_units, stock| Tier {
            tier_id: tier_id.to_owned(),
            face_value_minor_units,
            stock,
            ..Tier::default()
        };
        let message = CreateCampaignRequest {
            campaign_id: campaign_id.to_owned(),
            currency_code: CURRENCY.to_owned(),
            tiers: vec![
                tier("milk-tea-25", FIRST_TIER_MINOR_UNITS, first),
                tier("milk-tea-15", SECOND_TIER_MINOR_UNITS, second),
            ],
            limit_per_shopper: LIMIT_PER_SHOPPER,
            opens_at: Some(opens_at.into()),
            closes_at: Some((opens_at + OPEN_FOR).into()),
            coupon_validity: Some(COUPON_VALIDITY.try_into()?),
            display_name: "Replay of 2026-02-06".to_owned(),
            description: String::new(),
            reason: String::new(),
        };
        let made = CampaignServiceClient::new(self.quota.clone())
            .create_campaign(self.request(message)?)
            .await
            .map_err(|status| refused("quota did not make the campaign", &status))?;
        let made = made.into_inner().campaign;
        made.context("quota made the campaign and did not say how it is")
    }

    /// How many differences the services' own audit of a campaign finds between quota's books and issuance's coupons.
    pub async fn audit_campaign(&self, campaign_id: &str) -> Result<u64> {
        let message = AuditCampaignRequest {
            campaign_id: campaign_id.to_owned(),
        };
        let response = CampaignServiceClient::new(self.quota.clone())
            .audit_campaign(self.request(message)?)
            .await
            .map_err(|status| refused("quota did not audit the campaign", &status))?;
        Ok(response.into_inner().difference_count)
    }

    pub async fn upsert_stores(&self, orders_per_slot: u32) -> Result<()> {
        let store = |number| Store {
            store_id: store_id(number),
            display_name: format!("Milk tea no. {}", number + 1),
            area: format!("area-{:02}", number % AREAS),
            slot_minutes: Some(SLOT_MINUTES),
            orders_per_slot: Some(orders_per_slot),
            ..Store::default()
        };
        let message = UpsertStoresRequest {
            stores: (0..STORES).map(store).collect(),
            reason: String::new(),
        };
        let not_made = |status| refused("order-intake did not make the stores", &status);
        let mut answers = StoreServiceClient::new(self.order_intake.clone())
            .upsert_stores(self.request(stream::iter([message]))?)
            .await
            .map_err(not_made)?
            .into_inner();
        while answers.message().await.map_err(not_made)?.is_some() {}
        Ok(())
    }
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

/// Waits until every gateway knows the campaign: until then it would refuse the first shoppers.
pub async fn wait_until_known(caller: &Caller, campaign_id: &str) -> Result<()> {
    let began = Instant::now();
    let body = framed(&GetClaimRequest {
        campaign_id: campaign_id.to_owned(),
        shopper_id: "nobody".to_owned(),
        request_id: "is-the-campaign-known".to_owned(),
    });
    for turn in 0..caller.turns() {
        loop {
            let answer = caller.call_at(turn, body.clone(), None).await;
            let reason = answer
                .err()
                .and_then(|status| Some(status.get_error_details().error_info()?.reason.clone()));
            if reason.as_deref() == Some("CLAIM_NOT_FOUND") {
                break;
            }
            if began.elapsed() > KNOWN_LIMIT {
                bail!(
                    "A gateway does not know the campaign {campaign_id} after {} s (it says {}): read its log.",
                    KNOWN_LIMIT.as_secs(),
                    reason.as_deref().unwrap_or("nothing")
                );
            }
            sleep(KNOWN_POLL).await;
        }
    }
    Ok(())
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
