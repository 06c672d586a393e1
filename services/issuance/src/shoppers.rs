//! Who holds coupons of a campaign, for gateways that answer after its end without asking for each claim.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tidegate_types::{CampaignNumber, Lane, ShopperId};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    error::{IssuanceError, Result},
    replica::Replica,
    store::shoppers::{self, PageEnd},
};

/// Streams that one process serves at once: each reads every coupon there is, and claims of other campaigns need the database as well.
pub const MAX_SHOPPER_STREAMS: usize = 2;
/// Coupons looked at for one message.
const PAGE_SIZE: u32 = 10_000;
/// A stream that has not been read to its end by then is ended, so that it does not keep others out.
const MAX_DURATION: Duration = Duration::from_secs(600);

impl Replica {
    pub async fn shoppers(&self, campaign: CampaignNumber, until: Instant) -> Result<ShopperPages> {
        self.campaigns.get_by(campaign, 0, until).await?;
        let place = Arc::clone(&self.shopper_streams).try_acquire_owned();
        let too_many = IssuanceError::NotNow("too many streams of shoppers are open");
        Ok(ShopperPages {
            pool: self.pool.clone(),
            campaign,
            lanes: Box::new(self.lanes.all()),
            at: None,
            end_by: Instant::now() + MAX_DURATION,
            _place: place.map_err(|_| too_many)?,
        })
    }
}

/// The shoppers of one campaign, page by page. Between two pages no connection is held, so a reader may take its time.
pub struct ShopperPages {
    pool: PgPool,
    campaign: CampaignNumber,
    lanes: Box<dyn Iterator<Item = Lane> + Send>,
    at: Option<(Lane, PageEnd)>,
    end_by: Instant,
    _place: OwnedSemaphorePermit,
}

impl ShopperPages {
    /// The next page, which may be empty; none at the end of the last lane.
    pub async fn next(&mut self) -> Result<Option<Vec<ShopperId>>> {
        if Instant::now() > self.end_by {
            return Err(IssuanceError::NotNow(
                "the stream of shoppers took too long",
            ));
        }
        let at = self.at.take();
        let Some((lane, after)) = at.or_else(|| Some((self.lanes.next()?, PageEnd::START))) else {
            return Ok(None);
        };
        let page = shoppers::page(&self.pool, lane, self.campaign, &after, PAGE_SIZE).await?;
        self.at = page.end.map(|end| (lane, end));
        let shoppers = page.coupons.into_iter().map(|(shopper, _)| shopper);
        Ok(Some(shoppers.collect()))
    }
}
