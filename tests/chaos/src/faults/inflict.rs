//! Carries a plan out, step by step, each while requests are under way.

use std::{sync::Mutex, time::Duration};

use anyhow::Result;
use serde::Serialize;
use tidegate_client::replicas;
use tokio::time::{Instant, sleep};

use super::{Deed, Fault, Kind, Plan, plan::Step};
use crate::{
    proxy::Weather,
    suite::Suite,
    tally::{Tally, locked},
    workload::Scene,
};

/// Claims gather again before the next stall of a row.
const BETWEEN_STALLS: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Serialize)]
pub struct Inflicted {
    pub kind: Kind,
    /// The fault in words, with its target.
    pub fault: String,
    /// When it began, from the beginning of the faults.
    pub at_ms: u64,
    /// Until the suite was whole again.
    pub took_ms: u64,
    /// Requests sent and not answered when it hit.
    pub in_flight: u64,
}

/// The faults under way and those that have been.
#[derive(Debug, Default)]
pub struct Inflicting {
    now: Mutex<String>,
}

impl Inflicting {
    pub fn now(&self) -> String {
        locked(&self.now).clone()
    }

    pub fn say_now(&self, words: &str) {
        words.clone_into(&mut locked(&self.now));
    }

    /// Carries out steps for as long as the round lasts, and at least one of each kind.
    pub async fn inflict(
        &self,
        suite: &mut Suite,
        plan: &mut Plan,
        scene: &Scene,
        duration: Duration,
    ) -> Result<Vec<Inflicted>> {
        let began = Instant::now();
        let mut inflicted = Vec::new();
        for number in 0.. {
            if number >= plan.kinds.len() && began.elapsed() >= duration {
                break;
            }
            sleep(plan.breath()).await;
            let (at, step) = (Instant::now(), plan.next());
            let mut hits = self.carry_out(suite, &step, &scene.tally).await?;
            for hit in &mut hits {
                hit.at_ms = at.duration_since(began).as_millis() as u64;
                hit.took_ms = at.elapsed().as_millis() as u64;
            }
            inflicted.extend(hits);
            if plan.callers_come {
                scene.call_after_heal(&step.fault.what).await;
            }
        }
        self.say_now("healing");
        Ok(inflicted)
    }

    /// Does a step and undoes it. Tells each fault with the requests under way when it hit.
    async fn carry_out(
        &self,
        suite: &mut Suite,
        step: &Step,
        tally: &Tally,
    ) -> Result<Vec<Inflicted>> {
        let hit = async |fault: &Fault| Inflicted {
            kind: fault.kind,
            fault: fault.what.clone(),
            at_ms: 0,
            took_ms: 0,
            in_flight: tally.prey().await,
        };
        let (mut hits, what) = (Vec::new(), &step.fault.what);
        match &step.companion {
            Some(companion) => {
                self.say_now(&format!("{what} and {}", companion.what));
                hits.push(hit(companion).await);
                set(suite, &companion.deed, true).await?;
            }
            None => self.say_now(what),
        }
        hits.push(hit(&step.fault).await);
        strike(suite, &step.fault).await?;
        if let Some(companion) = &step.companion {
            set(suite, &companion.deed, false).await?;
        }
        Ok(hits)
    }
}

/// Does it, waits for its time, and undoes it.
async fn strike(suite: &mut Suite, fault: &Fault) -> Result<()> {
    match &fault.deed {
        Deed::StallPostgres(stalled, times) => {
            for _ in 0..*times {
                let postgres = suite.stack.postgres();
                postgres.stall(*stalled, fault.lasts).await?;
                sleep(BETWEEN_STALLS).await;
            }
        }
        Deed::RollingRestart => {
            let mut replicas = replicas(&suite.stack);
            replicas.sort();
            for (_, replica) in replicas {
                suite.stack.restart(&replica).await?;
            }
        }
        deed => {
            set(suite, deed, true).await?;
            sleep(fault.lasts).await;
            set(suite, deed, false).await?;
        }
    }
    Ok(())
}

/// Does, or undoes, what time alone undoes.
async fn set(suite: &mut Suite, deed: &Deed, is_on: bool) -> Result<()> {
    let stack = &mut suite.stack;
    match (deed, is_on) {
        (Deed::Kill(replica), true) => stack.kill(replica).await?,
        (Deed::Kill(replica), false) => stack.restart(replica).await?,
        (Deed::KillPostgres, true) => stack.postgres_mut().kill().await?,
        (Deed::KillPostgres, false) => stack.postgres_mut().start().await?,
        (Deed::Pause(replica), true) => stack.pause(replica)?,
        (Deed::Pause(replica), false) => stack.resume(replica)?,
        (Deed::Weather(edges, weather), true) => suite.edges.set(edges, *weather),
        (Deed::Weather(edges, _), false) => suite.edges.set(edges, Weather::FAIR),
        (Deed::Clock(replica, seconds), true) => suite.clocks.set(replica, *seconds)?,
        (Deed::Clock(replica, _), false) => suite.clocks.set(replica, 0)?,
        (Deed::RollingRestart | Deed::StallPostgres(..), _) => (),
    }
    Ok(())
}
