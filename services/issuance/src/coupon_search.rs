//! How staff find coupons: by their code, by the end of it and the shopper, or by the shopper alone.

mod by_code;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tidegate_types::{DecodedCode, Lane, Lanes, ShopperId};
use tokio::sync::Semaphore;

use crate::{
    domain::{code_ending::CodeEnding, coupon::Coupon},
    error::IssuanceError,
    store::{
        found::{self, OlderThan},
        shoppers::PageEnd,
    },
    wallet::Wallet,
};

/// Codes that one process looks for at once without knowing their shoppers.
pub const MAX_SEARCHES: usize = 2;
/// The most coupons of a shopper in one answer.
pub const MAX_COUPONS_OF_SHOPPER: u32 = 100;
/// Kept back from a search's deadline, so that its caller hears how far it came.
const SEARCH_MARGIN: Duration = Duration::from_millis(250);
/// Of a caller's patience, the share that is kept back if it has little.
const SEARCH_MARGIN_SHARE: u32 = 4;

#[derive(Clone)]
pub struct CouponSearch {
    wallet: Wallet,
    background: PgPool,
    searches: Arc<Semaphore>,
}

/// Which coupons are looked for.
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

impl CouponSearch {
    /// Searches by the wallet's keys and campaigns. What tries many coupons has the `background` connections.
    pub fn new(wallet: Wallet, background: PgPool) -> Self {
        Self {
            wallet,
            background,
            searches: Arc::new(Semaphore::new(MAX_SEARCHES)),
        }
    }

    pub fn lanes(&self) -> Lanes {
        self.wallet.lanes
    }

    /// Finds coupons. One search for a code goes on until a moment before `deadline` at the longest.
    pub async fn find(&self, wanted: Wanted, deadline: Instant) -> Result<Found, IssuanceError> {
        match wanted {
            Wanted::Code { shopper, code } => {
                let key = self.wallet.keys.decode(&code, &shopper)?;
                let coupon = self.read(shopper, key, deadline).await?;
                let coupon = coupon.ok_or(IssuanceError::CouponNotFound)?;
                Ok(Found {
                    coupons: vec![coupon],
                    tried: 1,
                    next: None,
                })
            }
            Wanted::CodeOfAnybody { code, from } => self.search(&code, from, deadline).await,
            Wanted::OfShopper {
                shopper,
                ending,
                from,
            } => self.of_shopper(&shopper, ending, from, deadline).await,
        }
    }

    async fn read(
        &self,
        shopper: ShopperId,
        key: DecodedCode,
        deadline: Instant,
    ) -> Result<Option<FoundCoupon>, IssuanceError> {
        let lane = self.wallet.lanes.of(&shopper);
        let key = (&shopper, key.campaign, key.slot);
        let found = found::by_key(&self.wallet.pool, lane, key).await?;
        let found = found.into_iter().collect();
        let mut presented = self.present(&shopper, found, deadline).await?;
        Ok(presented.pop())
    }

    /// A page of a shopper's coupons. With an ending the pages are looked through until one has what is looked for.
    async fn of_shopper(
        &self,
        shopper: &ShopperId,
        ending: Option<CodeEnding>,
        from: Option<LookedTo>,
        deadline: Instant,
    ) -> Result<Found, IssuanceError> {
        let (pool, lane) = (&self.wallet.pool, self.wallet.lanes.of(shopper));
        let stop_at = stop_at(deadline, Instant::now());
        let mut missing_key = from.and_then(|from| from.missing_key);
        let (mut tried, mut before) = (0, from.map(|from| from.coupon));
        loop {
            let size = MAX_COUPONS_OF_SHOPPER;
            let page = found::of_shopper(pool, lane, shopper, before, size).await?;
            let is_full = page.len() == size as usize;
            let last = page.last().filter(|_| is_full);
            before = last.map(|last| OlderThan::coupon(&last.coupon));
            tried += page.len() as u64;
            let mut coupons = self.present(shopper, page, deadline).await?;
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

    async fn present(
        &self,
        shopper: &ShopperId,
        found: Vec<found::FoundCoupon>,
        deadline: Instant,
    ) -> Result<Vec<FoundCoupon>, IssuanceError> {
        let found = found.into_iter();
        let (stored, reasons): (Vec<_>, Vec<_>) = found
            .map(|found| (found.coupon, found.revoked_because))
            .unzip();
        let coupons = self.wallet.present_all(stored, shopper, deadline).await?;
        let coupons = coupons.into_iter().zip(reasons);
        let coupon = |(coupon, revoked_because)| FoundCoupon {
            shopper: shopper.clone(),
            coupon,
            revoked_because,
        };
        Ok(coupons.map(coupon).collect())
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
