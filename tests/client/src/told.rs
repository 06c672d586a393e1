//! What a claim is told, as far as its shopper minds.

use anyhow::Result;
use tidegate_proto::gateway::v1::{ClaimCouponRequest, claim_coupon_response::Outcome};

use crate::{Gateway, Refusal, becomes, gateway::code_of, soon};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The code of its coupon.
    Issued(String),
    /// To wait in the queue.
    Queued,
    /// To come back, for this reason.
    Later(String),
    Never(String),
}

pub fn later(reason: &str) -> Told {
    Told::Later(reason.into())
}

pub fn never(reason: &str) -> Told {
    Told::Never(reason.into())
}

impl Gateway {
    pub async fn told(&self, claim: ClaimCouponRequest) -> Told {
        let told = self.ask(claim).await.and_then(|outcome| match outcome {
            Outcome::Issued(issued) => code_of(issued).map(Told::Issued),
            Outcome::Queued(_) => Ok(Told::Queued),
        });
        match told {
            Ok(told) => told,
            Err(status) => {
                let Refusal {
                    reason,
                    retry_after,
                    ..
                } = Refusal::of(&status);
                retry_after.map_or_else(|| never(&reason), |_| later(&reason))
            }
        }
    }

    /// Waits until a claim is told this.
    pub async fn is_told(&self, claim: ClaimCouponRequest, expected: Told) -> Result<()> {
        becomes(expected, async || Ok(self.told(claim.clone()).await)).await
    }

    /// Claims until there is a coupon; its code. Never may nobody be told on the way.
    pub async fn is_served(&self, claim: ClaimCouponRequest) -> Result<String> {
        soon(async || match self.told(claim.clone()).await {
            Told::Issued(code) => Ok(code),
            Told::Never(reason) => panic!("{reason}, never: {claim:?}"),
            told => anyhow::bail!("{told:?}: {claim:?}"),
        })
        .await
    }
}
