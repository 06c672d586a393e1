use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use tidegate_proto::gateway::v1::{
    ClaimCouponRequest, IssuedClaim, LeaveQueueRequest, QueuedClaim, claim_coupon_response,
    claim_service_client::ClaimServiceClient,
};
use tonic::Status;

use crate::{Suite, claim_of, refused};

/// A shopper who waits longer than this will wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an answer to a claim held.
#[derive(Debug)]
pub enum Answer {
    Issued(IssuedClaim),
    Queued(QueuedClaim),
}

/// A shopper who follows one claim.
#[derive(Debug, Clone)]
pub struct Shopper {
    /// The claim, with the newest ticket.
    pub claim: ClaimCouponRequest,
    /// Over which gateway it is sent.
    pub gateway: &'static str,
    /// The last position told.
    pub told: Option<u64>,
}

impl Shopper {
    /// A shopper of the campaign `tea` at the first gateway.
    pub fn new(id: &str) -> Self {
        Self {
            claim: claim_of("tea", id, "r-1"),
            gateway: "gateway-0",
            told: None,
        }
    }

    /// The same at another gateway.
    pub fn at(self, gateway: &'static str) -> Self {
        Self { gateway, ..self }
    }

    /// Claims with the newest ticket. A position that grew is a broken promise wherever it shows.
    pub async fn ask(&mut self, suite: &Suite) -> Result<Answer, Status> {
        let channel = suite
            .door(self.gateway)
            .map_err(|error| Status::internal(error.to_string()))?;
        let answer = ClaimServiceClient::new(channel)
            .claim_coupon(suite.request(self.claim.clone()))
            .await?;
        match answer.into_inner().outcome {
            Some(claim_coupon_response::Outcome::Issued(issued)) => Ok(Answer::Issued(issued)),
            Some(claim_coupon_response::Outcome::Queued(queued)) => {
                self.hear(&queued);
                Ok(Answer::Queued(queued))
            }
            None => Err(Status::internal("the answer holds nothing")),
        }
    }

    pub fn hear(&mut self, queued: &QueuedClaim) {
        if let (Some(before), Some(now)) = (self.told, queued.position) {
            assert!(now <= before, "a position grew from {before} to {now}");
        }
        let locales: Vec<_> = queued.messages.iter().map(|text| &*text.locale).collect();
        assert_eq!(locales, ["zh-CN", "en"]);
        self.told = queued.position.or(self.told);
        self.claim.ticket.clone_from(&queued.ticket);
    }

    /// Claims, and is to be given a place.
    pub async fn queued(&mut self, suite: &Suite) -> Result<QueuedClaim> {
        match self.ask(suite).await? {
            Answer::Queued(queued) => Ok(queued),
            Answer::Issued(_) => bail!("{} was served", self.claim.shopper_id),
        }
    }

    /// Comes back as told until there is a coupon.
    pub async fn follow(&mut self, suite: &Suite) -> Result<IssuedClaim> {
        let began = Instant::now();
        loop {
            let pause = match self.ask(suite).await {
                Ok(Answer::Issued(issued)) => return Ok(issued),
                Ok(Answer::Queued(queued)) => queued
                    .poll_after
                    .and_then(|pause| Duration::try_from(pause).ok()),
                Err(status) => refused(&status).retry_after,
            };
            if began.elapsed() > PATIENCE {
                bail!("{} waits and waits", self.claim.shopper_id);
            }
            let pause = pause.ok_or_else(|| anyhow!("a final refusal"))?;
            tokio::time::sleep(pause).await;
        }
    }

    pub async fn leave(&self, suite: &Suite) -> Result<()> {
        let message = LeaveQueueRequest {
            campaign_id: self.claim.campaign_id.clone(),
            shopper_id: self.claim.shopper_id.clone(),
            request_id: self.claim.request_id.clone(),
            ticket: self.claim.ticket.clone(),
        };
        ClaimServiceClient::new(suite.door(self.gateway)?)
            .leave_queue(suite.request(message))
            .await?;
        Ok(())
    }
}
