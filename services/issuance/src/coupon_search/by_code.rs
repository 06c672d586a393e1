use std::time::Instant;

use tidegate_types::{CampaignNumber, CouponCode, Lane, ShopperId, Slot};
use tokio::{
    task::yield_now,
    time::{sleep, timeout_at},
};

use super::{CouponSearch, Found, Next, SearchedTo, stop_at};
use crate::{
    error::IssuanceError,
    store::shoppers::{self, PageEnd, ShoppersPage},
};

/// Coupons of whatever campaign that one statement of a search looks at: a few milliseconds of work.
const PAGE_SIZE: u32 = 2_000;
/// Codes that are computed before others have their turn: a tenth of a millisecond of work.
const CODES_AT_ONCE: usize = 256;

impl CouponSearch {
    /// Looks through the coupons of the code's campaign for the one whose code it is. Between two
    /// pages it pauses for as long as the last one took, and holds no connection.
    pub(super) async fn search(
        &self,
        typed: &str,
        from: Option<SearchedTo>,
        deadline: Instant,
    ) -> Result<Found, IssuanceError> {
        let (code, claimed) = self.wallet.keys.claimed(typed)?;
        let campaigns = &self.wallet.campaigns;
        let campaign = campaigns.get_by(claimed.campaign, 0, deadline).await;
        campaign.map_err(|error| match error {
            IssuanceError::CampaignNotFound => IssuanceError::CouponNotFound,
            error => error,
        })?;
        let place = self.searches.try_acquire();
        let _place = place.map_err(|_| IssuanceError::TooManySearches)?;
        let stop_at = stop_at(deadline, Instant::now());
        let mut searched = Found::default();
        let mut at = from.or_else(|| self.start_of_lane(0));
        while let Some(SearchedTo { lane, coupon }) = at.take() {
            let began = Instant::now();
            let page = self.page(lane, claimed.campaign, &coupon);
            let Ok(page) = timeout_at(stop_at.into(), page).await else {
                searched.next = Some(Next::Search(SearchedTo { lane, coupon }));
                break;
            };
            let page = page?;
            searched.tried += page.coupons.len() as u64;
            if let Some(shopper) = self.whose(code, claimed.slot, &page.coupons).await? {
                let coupon = self.read(shopper, claimed, deadline).await?;
                searched.coupons.extend(coupon);
                break;
            }
            at = match page.end {
                Some(coupon) => Some(SearchedTo { lane, coupon }),
                None => self.start_of_lane(lane.get() + 1),
            };
            if Instant::now() + began.elapsed() >= stop_at {
                searched.next = at.map(Next::Search);
                break;
            }
            sleep(began.elapsed()).await;
        }
        Ok(searched)
    }

    async fn page(
        &self,
        lane: Lane,
        campaign: CampaignNumber,
        after: &PageEnd,
    ) -> Result<ShoppersPage, sqlx::Error> {
        shoppers::page(&self.background, lane, campaign, after, PAGE_SIZE).await
    }

    fn start_of_lane(&self, number: u16) -> Option<SearchedTo> {
        let lane = self.wallet.lanes.lane(number).ok()?;
        Some(SearchedTo {
            lane,
            coupon: PageEnd::START,
        })
    }

    async fn whose(
        &self,
        code: CouponCode,
        slot: Slot,
        coupons: &[(ShopperId, Slot)],
    ) -> Result<Option<ShopperId>, IssuanceError> {
        for some in coupons.chunks(CODES_AT_ONCE) {
            for (shopper, _) in some.iter().filter(|(_, of_shopper)| *of_shopper == slot) {
                if self.wallet.keys.is_of(code, shopper)? {
                    return Ok(Some(shopper.clone()));
                }
            }
            yield_now().await;
        }
        Ok(None)
    }
}
