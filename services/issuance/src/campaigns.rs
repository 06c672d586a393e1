//! What issuance knows of campaigns: watched from quota, kept in its own database for the time quota is away.

mod decode;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use decode::{campaign_from, free_stock_of};
use sqlx::PgPool;
use tidegate_pg::{Fault, fault};
use tidegate_proto::quota::v1::{
    WatchCampaignsRequest, campaign_service_client::CampaignServiceClient,
    watch_campaigns_response::Event,
};
use tidegate_rpc::client::Replicas;
use tidegate_types::{CampaignId, CampaignNumber};
use tokio::{
    sync::watch,
    time::{sleep, timeout_at},
};
use tonic::{Request, Status};

use crate::{domain::campaign::Campaign, store};

const PAUSE_BEFORE_WATCHING_AGAIN: Duration = Duration::from_millis(500);

/// What the watch of campaigns tells the lanes.
pub enum News {
    /// A campaign's terms, budget or control are others now.
    Changed(CampaignNumber),
    /// How much of each tier is free in quota's pool, in the campaign's order.
    Stock {
        /// Of which campaign.
        campaign: CampaignNumber,
        /// The counts.
        free: Vec<u64>,
    },
    /// The watch broke off: what was told of stock counts no longer.
    StockUnknown,
}

/// The campaigns known so far. Cheap to clone.
#[derive(Clone)]
pub struct Campaigns {
    known: Arc<ArcSwap<HashMap<CampaignNumber, Arc<Campaign>>>>,
    learned: watch::Sender<()>,
    pool: PgPool,
}

impl Campaigns {
    /// Starts with what the database kept.
    pub async fn load(pool: PgPool) -> Result<Self, sqlx::Error> {
        let kept = store::campaigns::list(&pool).await?;
        let known = kept
            .into_iter()
            .map(|campaign| (campaign.number, Arc::new(campaign)))
            .collect();
        Ok(Self {
            known: Arc::new(ArcSwap::from_pointee(known)),
            learned: watch::Sender::new(()),
            pool,
        })
    }

    /// True if nothing is known yet, as on a new database.
    pub fn is_empty(&self) -> bool {
        self.known.load().is_empty()
    }

    /// The campaign with this number.
    pub fn get(&self, number: CampaignNumber) -> Option<Arc<Campaign>> {
        self.known.load().get(&number).cloned()
    }

    fn find(&self, id: &CampaignId) -> Option<Arc<Campaign>> {
        let known = self.known.load();
        known.values().find(|campaign| campaign.id == *id).cloned()
    }

    /// The campaign with this number, as soon as quota has told this replica of it. A gateway may have been told a moment earlier.
    pub async fn get_by(&self, number: CampaignNumber, until: Instant) -> Option<Arc<Campaign>> {
        self.once_known(|known| known.get(number), until).await
    }

    /// The campaign with this public name, as soon as quota has told this replica of it.
    pub async fn find_by(&self, id: &CampaignId, until: Instant) -> Option<Arc<Campaign>> {
        self.once_known(|known| known.find(id), until).await
    }

    async fn once_known(
        &self,
        look: impl Fn(&Self) -> Option<Arc<Campaign>>,
        until: Instant,
    ) -> Option<Arc<Campaign>> {
        let mut learned = self.learned.subscribe();
        loop {
            if let Some(campaign) = look(self) {
                return Some(campaign);
            }
            timeout_at(until.into(), learned.changed())
                .await
                .ok()?
                .ok()?;
        }
    }

    /// Follows quota until the task is aborted. Sets `synced` once everything there is has been seen. While quota is away, what is known stays in use.
    pub async fn follow(self, quota: Replicas, tell: impl Fn(News), synced: watch::Sender<bool>) {
        loop {
            for replica in quota.in_turn(Instant::now()) {
                let ended = self
                    .watch_once(
                        CampaignServiceClient::new(replica.channel()),
                        &tell,
                        &synced,
                    )
                    .await;
                tell(News::StockUnknown);
                match ended {
                    Ok(()) => replica.answered(),
                    Err(status) => {
                        tracing::debug!(%status, "the watch of campaigns broke off");
                        replica.failed(Instant::now());
                    }
                }
            }
            sleep(PAUSE_BEFORE_WATCHING_AGAIN).await;
        }
    }

    async fn watch_once(
        &self,
        mut quota: CampaignServiceClient<tonic::transport::Channel>,
        tell: &impl Fn(News),
        synced: &watch::Sender<bool>,
    ) -> Result<(), Status> {
        let mut events = quota
            .watch_campaigns(Request::new(WatchCampaignsRequest {}))
            .await?
            .into_inner();
        while let Some(event) = events.message().await? {
            match event.event {
                Some(Event::Campaign(campaign)) => {
                    let (number, free) = (campaign.campaign_number, free_stock_of(&campaign));
                    match campaign_from(campaign) {
                        Some(campaign) => {
                            let campaign = self.learn(campaign, tell).await;
                            if let Some(free) = free {
                                tell(News::Stock { campaign, free });
                            }
                        }
                        None => tracing::error!(
                            campaign_number = number,
                            "quota sent a campaign that this version cannot read; its claims will be refused"
                        ),
                    }
                }
                Some(Event::Synced(_)) => {
                    synced.send_replace(true);
                }
                None => {}
            }
        }
        Ok(())
    }

    async fn learn(&self, campaign: Campaign, tell: &impl Fn(News)) -> CampaignNumber {
        let number = campaign.number;
        let known = self.get(number);
        if known
            .as_ref()
            .is_some_and(|known| known.revision >= campaign.revision)
        {
            return number;
        }
        // Kept before it is used: no coupon exists of a campaign whose terms a restart would not know.
        while let Err(error) = store::campaigns::upsert(&self.pool, &campaign).await {
            // Another replica is keeping the same campaign at this moment; the next attempt finds what it wrote.
            if fault(&error) == Fault::Conflict {
                continue;
            }
            tracing::warn!(%error, campaign = %campaign.id, "a campaign cannot be kept in the database; it is tried again");
            sleep(PAUSE_BEFORE_WATCHING_AGAIN).await;
        }
        tracing::info!(campaign = %campaign.id, campaign_number = %number, revision = campaign.revision, "a campaign is known");
        let mut next = HashMap::clone(&self.known.load());
        next.insert(number, Arc::new(campaign));
        self.known.store(Arc::new(next));
        self.learned.send_replace(());
        tell(News::Changed(number));
        number
    }
}
