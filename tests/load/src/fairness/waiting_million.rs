//! What a million shoppers in the queue cost a gateway in memory.

use std::{ops::Range, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tidegate_client::{Caller, claim_of, eventually, framed};
use tidegate_local::stack::Service;
use tidegate_proto::r#type::v1::{IssuanceControl, RedemptionControl};
use tokio::{runtime::Handle, time::Instant};

use crate::{
    closed_loop::{REQUEST_ID, for_each},
    shoppers::claim_answer::ClaimAnswer,
    suite::Suite,
    tell,
};

const CAMPAIGN_ID: &str = "million";
/// A queue longer than the stock ends at once for those behind it.
const STOCK: (u64, u64) = (5_000_000, 1_000_000);
/// Who comes first, so that what any first thousands of calls take is not counted.
const FIRST: u64 = 50_000;
/// Claims under way at once.
const AT_A_TIME: usize = 1_000;
const HELD_LIMIT: Duration = Duration::from_secs(10);

/// A gateway's memory before and after.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    /// Who was given a place in the queue.
    pub waiting: u64,
    /// Who was answered anything else.
    pub others: u64,
    pub seconds: f64,
    /// Resident memory of each gateway before, in MiB, in their order.
    pub before_mib: Vec<f64>,
    pub after_mib: Vec<f64>,
    /// Of the gateway that grew most.
    pub grown_mib: f64,
}

/// Holds a campaign's queue and lets so many shoppers join it.
pub async fn measure(suite: &Suite, shoppers: u64) -> Result<Memory> {
    suite.campaign(CAMPAIGN_ID, STOCK).await?;
    let (held, open) = (IssuanceControl::QueueOnly, RedemptionControl::Open);
    let holding = suite.staff.control(CAMPAIGN_ID, held, open).await;
    holding.context("quota did not hold the queue")?;
    let caller = suite.caller().await?;
    wait_until_held(&caller).await?;
    join(&caller, &suite.threads, 0..FIRST).await;
    let before_mib = memory(suite)?;
    tell(&format!("{shoppers} shoppers join a queue that is held."));
    let began = Instant::now();
    let waiting = join(&caller, &suite.threads, FIRST..FIRST + shoppers).await;
    let seconds = began.elapsed().as_secs_f64();
    let after_mib = memory(suite)?;
    let grown = after_mib
        .iter()
        .zip(&before_mib)
        .map(|(after, before)| after - before);
    Ok(Memory {
        waiting,
        others: shoppers - waiting,
        seconds,
        grown_mib: grown.fold(f64::MIN, f64::max),
        before_mib,
        after_mib,
    })
}

/// Until every gateway knows, some would be served.
async fn wait_until_held(caller: &Caller) -> Result<()> {
    let mut numbers = 0_u64..;
    let many_are_queued = async || {
        for number in numbers.by_ref().take(AT_A_TIME / 10) {
            let answer = claim(caller, &format!("early-{number}")).await;
            ensure!(
                matches!(answer, ClaimAnswer::Queued(_)),
                "The queue is held and a claim was answered with {answer:?}."
            );
        }
        Ok(())
    };
    eventually(HELD_LIMIT, many_are_queued).await
}

/// How many of these shoppers were given a place.
async fn join(caller: &Arc<Caller>, threads: &Handle, numbers: Range<u64>) -> u64 {
    let caller = Arc::clone(caller);
    let joining = move |number| {
        let caller = Arc::clone(&caller);
        async move {
            let answer = claim(&caller, &format!("waiting-{number}")).await;
            matches!(answer, ClaimAnswer::Queued(_))
        }
    };
    let queued = for_each(numbers, AT_A_TIME, threads, joining).await;
    queued.into_iter().map(u64::from).sum()
}

async fn claim(caller: &Caller, shopper_id: &str) -> ClaimAnswer {
    let body = framed(&claim_of(CAMPAIGN_ID, shopper_id, REQUEST_ID));
    let answer = caller.call(body).await;
    ClaimAnswer::read(answer, CAMPAIGN_ID)
}

/// The resident memory of each gateway, in MiB.
fn memory(suite: &Suite) -> Result<Vec<f64>> {
    let gateways = suite.names(Service::Gateway).into_iter();
    let memory = gateways.map(|gateway| suite.memory_mib(&gateway, |status| status.vmrss));
    memory.collect()
}
