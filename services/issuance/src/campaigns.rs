//! What issuance knows of campaigns: watched from quota, asked of it where that is not enough, and kept in its own database for the time quota is away.

mod decode;
mod owner;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
pub use decode::campaign_from;
use decode::free_stock_of;
use sqlx::PgPool;
use tidegate_pg::{Fault, fault};
use tidegate_proto::quota::v1::{
    WatchCampaignsRequest, campaign_service_client::CampaignServiceClient,
    watch_campaigns_response::Event,
};
use tidegate_rpc::client::{Questions, Replicas, TracedChannel};
use tidegate_types::{CampaignId, CampaignNumber};
use tokio::{
    sync::watch,
    time::{sleep, timeout_at},
};
use tonic::{Request, Status};

use crate::{
    domain::campaign::Campaign,
    error::{IssuanceError, Result},
    store,
};
use owner::CampaignKey;

const PAUSE_BEFORE_KEEPING_AGAIN: Duration = Duration::from_millis(500);
/// Others of the same batch wait as long.
const MAX_WAIT_FOR_WATCH: Duration = Duration::from_millis(300);

/// What the watch of campaigns tells the lanes.
pub enum News {
    /// A campaign's terms, budget or control are others now.
    Changed(CampaignNumber),
    /// How much of each tier is free in quota's pool, in the campaign's order.
    Stock {
        campaign: CampaignNumber,
        free: Vec<u64>,
    },
    /// The watch broke off: what was told of stock counts no longer.
    StockUnknown,
}

type Tell = Arc<dyn Fn(News) + Send + Sync>;

/// The campaigns known so far. Cheap to clone.
#[derive(Clone)]
pub struct Campaigns {
    kept: Kept,
    questions: Questions<CampaignKey, Option<Arc<Campaign>>>,
}

/// What is known, and who is told of what is learned.
#[derive(Clone)]
struct Kept {
    known: Arc<ArcSwap<HashMap<CampaignNumber, Arc<Campaign>>>>,
    learned: watch::Sender<()>,
    tell: Tell,
    pool: PgPool,
}

impl Campaigns {
    /// Starts with what the database kept. The returned task asks quota what it has not told, until it is aborted.
    pub async fn load<Tell>(
        pool: PgPool,
        quota: Replicas,
        tell: Tell,
    ) -> sqlx::Result<(Self, impl Future<Output = ()> + Send + use<Tell>)>
    where
        Tell: Fn(News) + Send + Sync + 'static,
    {
        let list = store::campaigns::list(&pool).await?.into_iter();
        let known = list.map(|campaign| (campaign.number, Arc::new(campaign)));
        let kept = Kept {
            known: Arc::new(ArcSwap::from_pointee(known.collect())),
            learned: watch::Sender::new(()),
            tell: Arc::new(tell),
            pool,
        };
        let asked = kept.clone();
        let ask = move |keys| owner::ask(quota.clone(), asked.clone(), keys);
        let (questions, asking) = Questions::new(owner::LIMITS, ask);
        Ok((Self { kept, questions }, asking))
    }

    /// True if nothing is known yet, as on a new database.
    pub fn is_empty(&self) -> bool {
        self.kept.known.load().is_empty()
    }

    /// The campaign with this number, if this replica has heard of it.
    pub fn get(&self, number: CampaignNumber) -> Option<Arc<Campaign>> {
        self.kept.get(number)
    }

    /// The campaign with this number, of this revision at least if quota can be asked; an older one is better than none, and its caller has to judge what it is good for.
    pub async fn get_by(
        &self,
        number: CampaignNumber,
        revision: u64,
        until: Instant,
    ) -> Result<Arc<Campaign>> {
        let known = self.get(number);
        if let Some(known) = known.as_ref().filter(|known| known.revision >= revision) {
            return Ok(Arc::clone(known));
        }
        let asked = self.ask(CampaignKey::Number(number), until).await;
        asked.or_else(|error| known.ok_or(error))
    }

    pub async fn find_by(&self, id: &CampaignId, until: Instant) -> Result<Arc<Campaign>> {
        let key = CampaignKey::Id(id.clone());
        match self.kept.find(&key) {
            Some(campaign) => Ok(campaign),
            None => self.ask(key, until).await,
        }
    }

    /// The campaign as quota tells it after this call, whatever is known here.
    pub async fn confirm(&self, number: CampaignNumber, until: Instant) -> Result<Arc<Campaign>> {
        let asked = self.questions.ask(CampaignKey::Number(number), until).await;
        let told = asked.map_err(|_| IssuanceError::CampaignNotKnownYet)?;
        told.ok_or(IssuanceError::CampaignNotFound)
    }

    /// Asks quota; while it does not answer, the watch may tell.
    async fn ask(&self, key: CampaignKey, until: Instant) -> Result<Arc<Campaign>> {
        match self.questions.ask(key.clone(), until).await {
            Ok(Some(campaign)) => Ok(campaign),
            Ok(None) => Err(IssuanceError::CampaignNotFound),
            Err(_) => {
                let until = until.min(Instant::now() + MAX_WAIT_FOR_WATCH);
                let known = self.kept.once_known(&key, until);
                known.await.ok_or(IssuanceError::CampaignNotKnownYet)
            }
        }
    }

    pub async fn keep(&self, campaign: Campaign) -> sqlx::Result<()> {
        self.kept.keep(campaign).await
    }

    /// Follows quota until the task is aborted. Sets `synced` once everything there is has been seen. While quota is away, what is known stays in use.
    pub async fn follow(self, quota: Replicas, synced: watch::Sender<bool>) {
        let follow_once = |channel| async {
            let client = CampaignServiceClient::new(channel);
            let ended = self.kept.watch_once(client, &synced).await;
            (self.kept.tell)(News::StockUnknown);
            ended
        };
        quota.follow(follow_once).await;
    }
}

impl Kept {
    fn get(&self, number: CampaignNumber) -> Option<Arc<Campaign>> {
        self.find(&CampaignKey::Number(number))
    }

    fn find(&self, key: &CampaignKey) -> Option<Arc<Campaign>> {
        let known = self.known.load();
        let campaign = match key {
            CampaignKey::Number(number) => known.get(number),
            CampaignKey::Id(id) => known.values().find(|campaign| campaign.id == *id),
        };
        campaign.cloned()
    }

    async fn once_known(&self, key: &CampaignKey, until: Instant) -> Option<Arc<Campaign>> {
        let mut learned = self.learned.subscribe();
        loop {
            if let Some(campaign) = self.find(key) {
                return Some(campaign);
            }
            let news = timeout_at(until.into(), learned.changed());
            news.await.ok()?.ok()?;
        }
    }

    async fn watch_once(
        &self,
        mut quota: CampaignServiceClient<TracedChannel>,
        synced: &watch::Sender<bool>,
    ) -> Result<(), Status> {
        let events = quota.watch_campaigns(Request::new(WatchCampaignsRequest {}));
        let mut events = events.await?.into_inner();
        while let Some(event) = events.message().await? {
            match event.event {
                Some(Event::Campaign(campaign)) => {
                    let (number, free) = (campaign.campaign_number, free_stock_of(&campaign));
                    match campaign_from(campaign) {
                        Some(campaign) => {
                            let campaign = self.learn(campaign).await;
                            if let Some(free) = free {
                                (self.tell)(News::Stock { campaign, free });
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

    /// Takes in what quota says of a campaign, however often that must be tried.
    async fn learn(&self, campaign: Campaign) -> CampaignNumber {
        let number = campaign.number;
        while let Err(error) = self.keep(campaign.clone()).await {
            tracing::warn!(%error, campaign = %campaign.id, "a campaign cannot be kept in the database; it is tried again");
            sleep(PAUSE_BEFORE_KEEPING_AGAIN).await;
        }
        number
    }

    /// Kept before it is used: no coupon exists of a campaign whose terms a restart would not know.
    async fn keep(&self, campaign: Campaign) -> sqlx::Result<()> {
        let (number, revision) = (campaign.number, campaign.revision);
        let is_news = |known: &HashMap<CampaignNumber, Arc<Campaign>>| {
            let known = known.get(&number);
            known.is_none_or(|known| known.revision < revision)
        };
        if !is_news(&self.known.load()) {
            return Ok(());
        }
        let campaign = match self.get(number) {
            Some(known) => campaign.following(&known),
            None => campaign,
        };
        while let Err(error) = store::campaigns::upsert(&self.pool, &campaign).await {
            // Another replica is keeping the same campaign at this moment; the next attempt finds what it wrote.
            if fault(&error) != Fault::Conflict {
                return Err(error);
            }
        }
        tracing::info!(campaign = %campaign.id, campaign_number = %number, revision, "a campaign is known");
        let campaign = Arc::new(campaign);
        // The watch and a question may learn at the same time; neither undoes the other.
        self.known.rcu(|known| {
            let mut next = HashMap::clone(known);
            if is_news(known) {
                next.insert(number, Arc::clone(&campaign));
            }
            next
        });
        self.learned.send_replace(());
        (self.tell)(News::Changed(number));
        Ok(())
    }
}
