use std::{ops::RangeInclusive, time::Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_types::{CampaignNumber, LimitPerShopper};
use uuid::Uuid;

use super::{Auditor, LANES_COUNTED_AT_ONCE};
use crate::{
    domain::{Campaign, CouponBooks},
    error::{QuotaError, Result},
};

impl Auditor {
    /// The coupons of a range of leases over all lanes. A limit that staff raised meanwhile counts as it is now: shoppers may hold more than it was.
    pub(super) async fn count_coupons(
        &self,
        campaign: &Campaign,
        leases: &RangeInclusive<Uuid>,
        deadline: Instant,
    ) -> Result<CouponBooks> {
        let mut limit = campaign.terms.limit_per_shopper;
        loop {
            let limited = (campaign.number, limit);
            let books = self.count_by_limit(limited, leases, deadline);
            let books = books.await?;
            if books.shoppers_over_limit == 0 {
                return Ok(books);
            }
            let newest = self
                .store
                .read_without_limit(async |read| read.campaign(&campaign.terms.id).await)
                .await?;
            if newest.terms.limit_per_shopper <= limit {
                return Ok(books);
            }
            limit = newest.terms.limit_per_shopper;
        }
    }

    /// The coupons of a range of leases over all lanes.
    async fn count_by_limit(
        &self,
        limited: (CampaignNumber, LimitPerShopper),
        leases: &RangeInclusive<Uuid>,
        deadline: Instant,
    ) -> Result<CouponBooks> {
        let count = |lane| self.issuance.count_coupons(limited, leases, lane, deadline);
        let (lanes, mut all) = count(0).await?;
        let rest: Vec<_> = stream::iter(1..u32::from(lanes.get()))
            .map(count)
            .buffer_unordered(LANES_COUNTED_AT_ONCE)
            .try_collect()
            .await?;
        for (other, books) in rest {
            if other != lanes {
                return Err(QuotaError::IssuanceUnreadable(format!(
                    "one replica says that there are {lanes} lanes and another says {other}"
                )));
            }
            all.add(books);
        }
        Ok(all)
    }
}
