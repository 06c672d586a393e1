//! So many shoppers at a time: each runs its errand, waits for the answer, and makes room for the
//! next.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tidegate_client::{Caller, claim_of, framed};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    arguments::Timing,
    outcomes::{End, Ends, Measured},
    processor_time::{Part, ProcessorTime},
    shoppers::claim_answer::ClaimAnswer,
};

/// The campaign of those who claim in a closed loop.
pub const CAMPAIGN_ID: &str = "load";
/// The request id of every claim; each shopper claims once.
pub const REQUEST_ID: &str = "claim-1";
/// A shopper's place stays empty so long after a refusal: without a rest refusals would crowd out
/// what is measured.
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(50);
const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Who comes, for how long, and whose processor time is taken meanwhile.
pub struct ClosedLoop {
    /// What the shoppers live on.
    pub threads: Handle,
    /// At a time.
    pub shoppers: u32,
    pub timing: Timing,
    pub parts: Vec<Part>,
}

impl ClosedLoop {
    /// Lets shoppers run their errands, and tells also what `look` sees at either end of the
    /// measured stretch. An errand is of a place and of a visit there, and none once nothing is
    /// left for it.
    pub async fn run<Seen, Errand>(
        &self,
        errand: impl Fn(u32, u32) -> Errand + Clone + Send + Sync + 'static,
        look: impl AsyncFn() -> Result<Seen>,
    ) -> Result<(Measured, [Seen; 2])>
    where
        Errand: Future<Output = Option<End>> + Send + 'static,
    {
        let phase = Arc::new(AtomicU8::new(WARMING_UP));
        let mut places = JoinSet::new();
        for place in 0..self.shoppers {
            let (errand, phase) = (errand.clone(), Arc::clone(&phase));
            let visits = visits(move |visit| errand(place, visit), phase);
            places.spawn_on(visits, &self.threads);
        }
        sleep(self.timing.warm_up).await;
        let (seen_before, before) = (look().await?, ProcessorTime::read(&self.parts)?);
        let began = Instant::now();
        phase.store(MEASURING, Ordering::Relaxed);
        sleep(self.timing.measured).await;
        phase.store(OVER, Ordering::Relaxed);
        let seconds = began.elapsed().as_secs_f64();
        let (seen_after, after) = (look().await?, ProcessorTime::read(&self.parts)?);
        let mut ends = Ends::default();
        while let Some(of_place) = places.join_next().await {
            ends.absorb(of_place?);
        }
        let outcomes = ends.in_seconds(seconds);
        let processor = after.since(&before, outcomes.good);
        let measured = Measured {
            outcomes,
            processor,
        };
        Ok((measured, [seen_before, seen_after]))
    }

    /// Claims. `round` sets these shoppers apart from all others.
    pub async fn claims<Seen>(
        &self,
        caller: &Arc<Caller>,
        round: &str,
        look: impl AsyncFn() -> Result<Seen>,
    ) -> Result<(Measured, [Seen; 2])> {
        let (caller, round) = (Arc::clone(caller), Arc::<str>::from(round));
        let errand = move |place, visit| {
            let (caller, round) = (Arc::clone(&caller), Arc::clone(&round));
            async move {
                let shopper = format!("{round}-{place}-{visit}");
                let claim = framed(&claim_of(CAMPAIGN_ID, &shopper, REQUEST_ID));
                let answer = ClaimAnswer::read(caller.call(claim).await, CAMPAIGN_ID);
                Some(answer.new_coupon())
            }
        };
        self.run(errand, look).await
    }
}

/// For whoever has nothing to look at.
pub async fn nothing() -> Result<()> {
    Ok(())
}

/// One place: a new shopper after each answer, until the round is over.
async fn visits<Errand>(errand: impl Fn(u32) -> Errand, phase: Arc<AtomicU8>) -> Ends
where
    Errand: Future<Output = Option<End>>,
{
    let mut ends = Ends::default();
    for visit in 0.. {
        if phase.load(Ordering::Relaxed) == OVER {
            break;
        }
        let sent = Instant::now();
        let end = errand(visit).await;
        let is_over = end.is_none();
        let end = end.unwrap_or_else(|| Err("NOTHING_LEFT".to_owned()));
        let is_refused = end.is_err();
        let measured = phase.load(Ordering::Relaxed) == MEASURING;
        ends.add(end, sent.elapsed(), measured);
        if is_over {
            break;
        }
        if is_refused {
            sleep(REST_AFTER_REFUSAL).await;
        }
    }
    ends
}

/// Does something with each of these numbers, so many at a time, on these threads.
pub async fn for_each<Task>(
    numbers: Range<u64>,
    at_a_time: usize,
    threads: &Handle,
    task: impl Fn(u64) -> Task + Clone + Send + 'static,
) -> Vec<Task::Output>
where
    Task: Future<Output: Send + 'static> + Send + 'static,
{
    let mut places = JoinSet::new();
    for place in 0..at_a_time {
        let (task, own) = (task.clone(), numbers.clone().skip(place).step_by(at_a_time));
        let place = async move {
            let mut done = Vec::new();
            for number in own {
                done.push(task(number).await);
            }
            done
        };
        places.spawn_on(place, threads);
    }
    places.join_all().await.into_iter().flatten().collect()
}
