//! A shopper who follows one claim through the queue.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, IssuedClaim, LeaveQueueRequest, QueuedClaim, claim_coupon_response::Outcome,
};
use tokio::time::sleep;
use tonic::Status;

use crate::{Gateway, Refusal};

/// A shopper who waits longer than this will wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct QueuedShopper {
    pub claim: ClaimCouponRequest,
    pub position: Option<u64>,
}

impl QueuedShopper {
    pub fn new(claim: ClaimCouponRequest) -> Self {
        Self {
            claim,
            position: None,
        }
    }

    pub async fn ask(&mut self, gateway: &Gateway) -> Result<Outcome, Status> {
        let outcome = gateway.ask(self.claim.clone()).await?;
        if let Outcome::Queued(queued) = &outcome {
            self.hear(queued);
        }
        Ok(outcome)
    }

    /// Takes in what the queue tells. A position that grew breaks a promise wherever it shows.
    pub fn hear(&mut self, queued: &QueuedClaim) {
        if let (Some(before), Some(now)) = (self.position, queued.position) {
            assert!(now <= before, "a position grew from {before} to {now}");
        }
        let locales: Vec<_> = queued.messages.iter().map(|text| &*text.locale).collect();
        assert_eq!(locales, ["zh-CN", "en"]);
        self.position = queued.position.or(self.position);
        self.claim.ticket.clone_from(&queued.ticket);
    }

    pub async fn queued(&mut self, gateway: &Gateway) -> Result<QueuedClaim> {
        match self.ask(gateway).await? {
            Outcome::Queued(queued) => Ok(queued),
            Outcome::Issued(_) => bail!("{} was served", self.claim.shopper_id),
        }
    }

    pub async fn follow(&mut self, gateway: &Gateway) -> Result<IssuedClaim> {
        let began = Instant::now();
        loop {
            let pause = match self.ask(gateway).await {
                Ok(Outcome::Issued(issued)) => return Ok(issued),
                Ok(Outcome::Queued(queued)) => poll_after(&queued),
                Err(status) => Refusal::of(&status).retry_after,
            };
            let shopper = &self.claim.shopper_id;
            ensure!(began.elapsed() < PATIENCE, "{shopper} waits and waits");
            sleep(pause.with_context(|| format!("{shopper} was refused for good"))?).await;
        }
    }

    pub async fn leave(&self, gateway: &Gateway) -> Result<()> {
        let message = LeaveQueueRequest {
            campaign_id: self.claim.campaign_id.clone(),
            shopper_id: self.claim.shopper_id.clone(),
            request_id: self.claim.request_id.clone(),
            ticket: self.claim.ticket.clone(),
        };
        let request = gateway.request(message);
        gateway.claims().leave_queue(request).await?;
        Ok(())
    }
}

pub fn poll_after(queued: &QueuedClaim) -> Option<Duration> {
    queued.poll_after.and_then(|pause| pause.try_into().ok())
}
