//! The campaigns, watched from quota, so that the door needs to ask nobody.

mod decode;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use decode::campaign_from;
use tidegate_proto::quota::v1::{
    WatchCampaignsRequest, campaign_service_client::CampaignServiceClient,
    watch_campaigns_response::Event,
};
use tidegate_rpc::client::Replicas;
use tidegate_types::{CampaignId, CampaignNumber, Timestamp};
use tokio::{sync::watch, time::sleep};
use tonic::{Request, Status, transport::Channel};

use crate::{
    domain::campaign::{Campaign, Snapshot},
    error::GatewayError,
    holders::SoldOut,
};

const PAUSE_BEFORE_WATCHING_AGAIN: Duration = Duration::from_millis(300);

/// The newest snapshot. Cheap to clone.
#[derive(Clone)]
pub struct Campaigns {
    snapshot: Arc<ArcSwap<Snapshot>>,
    synced: watch::Sender<bool>,
}

impl Default for Campaigns {
    fn default() -> Self {
        Self {
            snapshot: Arc::default(),
            synced: watch::Sender::new(false),
        }
    }
}

impl Campaigns {
    /// True once every campaign has been seen.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// The campaign with this name.
    pub fn get(&self, id: &CampaignId) -> Result<Campaign, GatewayError> {
        match self.snapshot.load().get(id) {
            Some(campaign) => Ok(campaign.clone()),
            None if *self.synced.borrow() => Err(GatewayError::CampaignNotFound),
            None => Err(GatewayError::NotReady),
        }
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

    /// The campaigns of which no coupon commits any more, and how many were issued.
    pub fn that_issue_no_more(&self) -> Vec<SoldOut> {
        let snapshot = self.snapshot.load();
        snapshot
            .all()
            .filter(|campaign| campaign.issues_no_more())
            .map(|campaign| (campaign.number, campaign.settled))
            .collect()
    }

    /// Follows quota until the task is aborted. While quota is away, the last snapshot stays in use.
    pub async fn follow(self, quota: Replicas) {
        loop {
            for replica in quota.in_turn(Instant::now()) {
                match self
                    .watch_once(CampaignServiceClient::new(replica.channel()))
                    .await
                {
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

    async fn watch_once(&self, mut quota: CampaignServiceClient<Channel>) -> Result<(), Status> {
        let mut events = quota
            .watch_campaigns(Request::new(WatchCampaignsRequest {}))
            .await?
            .into_inner();
        while let Some(event) = events.message().await? {
            match event.event {
                Some(Event::Campaign(campaign)) => {
                    let id = campaign.campaign_id.clone();
                    match campaign_from(campaign) {
                        Some(campaign) => self
                            .snapshot
                            .store(Arc::new(self.snapshot.load().with(campaign))),
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
