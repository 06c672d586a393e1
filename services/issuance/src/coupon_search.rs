//! How staff find coupons: by their code, by the end of it and the shopper, or by the shopper alone.

use std::time::{Duration, Instant};

use tidegate_types::{CouponCode, DecodedCode, Lane, ShopperId, Slot};
use tokio::{
    task::yield_now,
    time::{sleep, timeout_at},
};

use crate::{
    domain::{code_ending::CodeEnding, coupon::Coupon},
    error::{IssuanceError, Result},
    replica::Replica,
    store::{
        found::{self, OlderThan},
        shoppers::{self, PageEnd},
    },
};

/// Codes that one process looks for at once without knowing their shoppers.
pub const MAX_SEARCHES: usize = 2;
/// The most coupons of a shopper in one answer.
pub const MAX_COUPONS_OF_SHOPPER: u32 = 100;
/// Kept back from a search's deadline, so that its caller hears how far it came.
const SEARCH_MARGIN: Duration = Duration::from_millis(250);
/// Of a caller's patience, the share that is kept back if it has little.
const SEARCH_MARGIN_SHARE: u32 = 4;

/// Coupons of whatever campaign that one statement of a search looks at: a few milliseconds of work.
const PAGE_SIZE: u32 = 2_000;
/// Codes that are computed before others have their turn: a tenth of a millisecond of work.
const CODES_AT_ONCE: usize = 256;

#[derive(Debug)]
pub enum Wanted {
    /// The shopper's with this code, as typed.
    Code { shopper: ShopperId, code: String },
    /// The one with this code, of whomever.
    CodeOfAnybody {
        code: String,
        /// Where the search goes on.
        from: Option<SearchedTo>,
    },
    OfShopper {
        shopper: ShopperId,
        /// Only those whose code ends so.
        ending: Option<CodeEnding>,
        /// Where the search goes on.
        from: Option<LookedTo>,
    },
}

/// How far a search for a code has come: up to a coupon of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchedTo {
    pub lane: Lane,
    /// The last coupon that was looked at.
    pub coupon: PageEnd,
}

/// How far a shopper's coupons have been looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookedTo {
    /// Only those older than this one are left.
    pub coupon: OlderThan,
    /// The key, if one is missing, of a coupon before, which may be the one that is looked for.
    pub missing_key: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The search for a code.
    Search(SearchedTo),
    Older(LookedTo),
}

#[derive(Debug, Default)]
pub struct Found {
    pub coupons: Vec<FoundCoupon>,
    /// Where it goes on; none if there is nothing more to look through.
    pub next: Option<Next>,
    /// Coupons that were looked through.
    pub tried: u64,
}

/// A coupon as staff see it.
#[derive(Debug)]
pub struct FoundCoupon {
    pub shopper: ShopperId,
    pub coupon: Coupon,
    /// Why it was revoked, if it was.
    pub revoked_because: Option<String>,
}

impl Replica {
    /// The shopper's coupon with this code, as typed.
    pub async fn find_by_code(
        &self,
        shopper: ShopperId,
        typed: &str,
        deadline: Instant,
    ) -> Result<Found> {
        let key = self.keys.decode(typed, &shopper)?;
        let coupon = self.find_one(shopper, key, deadline).await?;
        Ok(Found {
            coupons: vec![coupon.ok_or(IssuanceError::CouponNotFound)?],
            tried: 1,
            next: None,
        })
    }

    pub(crate) async fn find_one(
        &self,
        shopper: ShopperId,
        key: DecodedCode,
        deadline: Instant,
    ) -> Result<Option<FoundCoupon>> {
        let lane = self.lanes.of(&shopper);
        let key = (&shopper, key.campaign, key.slot);
        let found = found::by_key(&self.pool, lane, key).await?;
        let found = found.into_iter().collect();
        Ok(self.found(&shopper, found, deadline).await?.pop())
    }

    /// A page of a shopper's coupons. With an ending the pages are looked through until one has what is looked for.
    pub async fn find_of_shopper(
        &self,
        shopper: &ShopperId,
        ending: Option<CodeEnding>,
        from: Option<LookedTo>,
        deadline: Instant,
    ) -> Result<Found> {
        let (pool, lane) = (&self.pool, self.lanes.of(shopper));
        let stop_at = stop_at(deadline, Instant::now());
        let mut missing_key = from.and_then(|from| from.missing_key);
        let (mut tried, mut before) = (0, from.map(|from| from.coupon));
        loop {
            let size = MAX_COUPONS_OF_SHOPPER;
            let page = found::of_shopper(pool, lane, shopper, before, size).await?;
            let is_full = page.len() == size as usize;
            let last = page.last().filter(|_| is_full);
            before = last.map(|(last, _)| OlderThan::coupon(last));
            tried += page.len() as u64;
            let mut coupons = self.found(shopper, page, deadline).await?;
            if let Some(ending) = &ending {
                let without_code = coupons.iter().find(|found| found.coupon.code.is_none());
                missing_key = missing_key.or(without_code.map(|found| found.coupon.stored.key_id));
                coupons.retain(|found| found.coupon.code.is_some_and(|code| ending.ends(code)));
            }
            let is_over = before.is_none() || Instant::now() >= stop_at;
            if is_over || !coupons.is_empty() {
                // One without a code may be the one: if no other is in the end, nobody can tell.
                let missing_key = missing_key.filter(|_| coupons.is_empty());
                let next = before.map(|coupon| LookedTo {
                    coupon,
                    missing_key,
                });
                return match (next, missing_key) {
                    (None, Some(key_id)) => Err(IssuanceError::CouponKeyMissing { key_id }),
                    (next, _) => Ok(Found {
                        coupons,
                        next: next.map(Next::Older),
                        tried,
                    }),
                };
            }
        }
    }

    async fn found(
        &self,
        shopper: &ShopperId,
        found: Vec<found::FoundCoupon>,
        deadline: Instant,
    ) -> Result<Vec<FoundCoupon>> {
        let (stored, reasons): (_, Vec<_>) = found.into_iter().unzip();
        let coupons = self.present_all(stored, shopper, deadline).await?;
        let found = coupons.into_iter().zip(reasons);
        let found = found.map(|(coupon, revoked_because)| FoundCoupon {
            shopper: shopper.clone(),
            coupon,
            revoked_because,
        });
        Ok(found.collect())
    }

    /// Looks through the coupons of the code's campaign for the one whose code it is, until a moment
    /// before `deadline` at the longest. Between two pages it pauses for as long as the last one took,
    /// and holds no connection.
    pub async fn search_code(
        &self,
        typed: &str,
        from: Option<SearchedTo>,
        deadline: Instant,
    ) -> Result<Found> {
        let (code, claimed) = self.keys.claimed(typed)?;
        let campaign = self.campaigns.get_by(claimed.campaign, 0, deadline).await;
        campaign.map_err(|error| match error {
            IssuanceError::CampaignNotFound => IssuanceError::CouponNotFound,
            error => error,
        })?;
        let too_many = IssuanceError::NotNow("too many codes are being looked for");
        let _place = self.searches.try_acquire().map_err(|_| too_many)?;
        let stop_at = stop_at(deadline, Instant::now());
        let mut searched = Found::default();
        let mut at = from.or_else(|| self.start_of_lane(0));
        while let Some(SearchedTo { lane, coupon }) = at.take() {
            let began = Instant::now();
            let (pool, campaign) = (&self.background, claimed.campaign);
            let page = shoppers::page(pool, lane, campaign, &coupon, PAGE_SIZE);
            let Ok(page) = timeout_at(stop_at.into(), page).await else {
                searched.next = Some(Next::Search(SearchedTo { lane, coupon }));
                break;
            };
            let page = page?;
            searched.tried += page.coupons.len() as u64;
            if let Some(shopper) = self.whose(code, claimed.slot, &page.coupons).await? {
                let coupon = self.find_one(shopper, claimed, deadline).await?;
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

    fn start_of_lane(&self, number: u16) -> Option<SearchedTo> {
        let (lane, coupon) = (self.lanes.lane(number).ok()?, PageEnd::START);
        Some(SearchedTo { lane, coupon })
    }

    async fn whose(
        &self,
        code: CouponCode,
        slot: Slot,
        coupons: &[(ShopperId, Slot)],
    ) -> Result<Option<ShopperId>> {
        for some in coupons.chunks(CODES_AT_ONCE) {
            for (shopper, _) in some.iter().filter(|(_, of_shopper)| *of_shopper == slot) {
                if self.keys.is_of(code, shopper)? {
                    return Ok(Some(shopper.clone()));
                }
            }
            yield_now().await;
        }
        Ok(None)
    }
}

/// When a search stops to look, for its caller to hear of it in time.
fn stop_at(deadline: Instant, now: Instant) -> Instant {
    let patience = deadline.saturating_duration_since(now);
    now + (patience - SEARCH_MARGIN.min(patience / SEARCH_MARGIN_SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_stops_in_time_and_uses_most_of_its_callers_patience() {
        let now = Instant::now();
        let searched = |patience| stop_at(now + Duration::from_millis(patience), now) - now;
        assert_eq!(searched(10_000), Duration::from_millis(9_750));
        assert_eq!(searched(400), Duration::from_millis(300));
        assert_eq!(searched(0), Duration::ZERO);
    }
}
