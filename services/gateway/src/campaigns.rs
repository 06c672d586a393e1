//! The campaigns, watched from quota, so that a claim costs no question but about what must not be
//! decided by a copy.

mod decode;

use std::{
    cmp::Reverse,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
pub(crate) use decode::campaign_from;
use tidegate_proto::quota::v1::{
    WatchCampaignsRequest, campaign_service_client::CampaignServiceClient,
    watch_campaigns_response::Event,
};
use tidegate_rpc::client::{Replicas, TracedChannel, Unanswered};
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};
use tokio::sync::watch;
use tonic::{Request, Status};

use crate::{
    campaign_owner::CampaignOwner,
    coupon_holders::SoldOut,
    domain::campaign::{Campaign, Snapshot},
    error::GatewayError,
};

const CROWDS_COME_AFTER_CLOSING: Duration = Duration::from_secs(24 * 3_600);

/// Campaigns remembered that the watch does not tell of; further ones are asked of quota each time.
const MAX_REMEMBERED: usize = 10_000;

/// The newest snapshot. Cheap to clone.
#[derive(Clone)]
pub struct Campaigns {
    snapshot: Arc<ArcSwap<Snapshot>>,
    synced: watch::Sender<bool>,
    owner: CampaignOwner,
}

impl Campaigns {
    /// Nothing is known yet; what is not known is asked of the owner.
    pub fn new(owner: CampaignOwner) -> Self {
        Self {
            snapshot: Arc::default(),
            synced: watch::Sender::new(false),
            owner,
        }
    }

    /// True once every campaign has been seen.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// The campaign with this name, if it is known here.
    pub fn known(&self, id: &CampaignId) -> Option<Arc<Campaign>> {
        self.snapshot.load().get(id).cloned()
    }

    /// The campaign with this name, of the snapshot or as its owner says. Only the owner says that
    /// there is none.
    pub async fn get(
        &self,
        id: &CampaignId,
        until: Instant,
    ) -> Result<Arc<Campaign>, GatewayError> {
        if let Some(campaign) = self.known(id) {
            return Ok(campaign);
        }
        let told = self.owner.of_stranger(id, until).await;
        self.apply(told)
    }

    /// The campaign as its owner has it after this call began.
    pub async fn confirm(
        &self,
        id: &CampaignId,
        until: Instant,
    ) -> Result<Arc<Campaign>, GatewayError> {
        let told = self.owner.of_known(id, until).await;
        self.apply(told)
    }

    fn apply(
        &self,
        told: Result<Option<Arc<Campaign>>, Unanswered>,
    ) -> Result<Arc<Campaign>, GatewayError> {
        let campaign = match told {
            Ok(Some(campaign)) => campaign,
            Ok(None) => return Err(GatewayError::CampaignNotFound),
            Err(Unanswered) if *self.synced.borrow() => return Err(GatewayError::NotConfirmed),
            Err(Unanswered) => return Err(GatewayError::NotReady),
        };
        let snapshot = self.snapshot.load();
        let is_new = snapshot.get(&campaign.id) != Some(&campaign);
        if is_new && (snapshot.all().len() < MAX_REMEMBERED || snapshot.get(&campaign.id).is_some())
        {
            self.learn(&campaign);
        }
        Ok(campaign)
    }

    /// The watch and the owner's answer may come at the same time; neither undoes the other.
    fn learn(&self, campaign: &Arc<Campaign>) {
        self.snapshot
            .rcu(|snapshot| snapshot.with(Arc::clone(campaign)));
    }

    /// The campaigns whose queues can matter at `now`, in the order of their numbers.
    pub fn that_may_queue(&self, now: Timestamp) -> Vec<CampaignNumber> {
        let snapshot = self.snapshot.load();
        let mut numbers: Vec<_> = snapshot
            .all()
            .filter(|campaign| campaign.may_queue(now))
            .map(|campaign| campaign.number)
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// The campaigns of which no coupon commits any more, and how many were issued; those first
    /// that close last. Nobody asks for one that closed long ago in crowds.
    pub fn that_issue_no_more(&self, now: Timestamp) -> Vec<SoldOut> {
        let snapshot = self.snapshot.load();
        let mut ended: Vec<_> = snapshot
            .all()
            .filter(|campaign| campaign.issues_no_more())
            .filter(|campaign| campaign.closes_at + CROWDS_COME_AFTER_CLOSING > now)
            .collect();
        ended.sort_unstable_by_key(|campaign| Reverse(campaign.closes_at));
        let ended = ended.into_iter();
        ended
            .map(|campaign| (campaign.number, campaign.settled))
            .collect()
    }

    /// Follows quota until the task is aborted. While quota is away, the last snapshot stays in
    /// use.
    pub async fn follow(self, quota: Replicas) {
        quota
            .follow(|channel| self.watch_once(CampaignServiceClient::new(channel)))
            .await;
    }

    async fn watch_once(
        &self,
        mut quota: CampaignServiceClient<TracedChannel>,
    ) -> Result<(), Status> {
        let mut events = quota
            .watch_campaigns(Request::new(WatchCampaignsRequest {}))
            .await?
            .into_inner();
        while let Some(event) = events.message().await? {
            match event.event {
                Some(Event::Campaign(campaign)) => {
                    let id = campaign.campaign_id.clone();
                    match campaign_from(campaign) {
                        Some(campaign) => self.learn(&campaign.into()),
                        None => tracing::error!(
                            campaign = id,
                            "quota sent a campaign that this version cannot read; its claims will be refused"
                        ),
                    }
                }
                Some(Event::Synced(_)) => {
                    self.synced.send_replace(true);
                }
                None => {}
            }
        }
        Ok(())
    }
}
