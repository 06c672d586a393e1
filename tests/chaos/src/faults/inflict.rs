//! Carries a plan out, step by step, each while requests are under way.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;
use tidegate_local::stack::Service;
use tokio::time::{Instant, sleep};

use super::{Fault, Kind, Plan, plan::Step};
use crate::{edges::Edge, proxy::Weather, suite::Suite, tally::Tally, workload::Scene};

/// How long a fault waits for something to hit.
const PREY_LIMIT: Duration = Duration::from_secs(3);
const PREY_POLL: Duration = Duration::from_millis(1);
/// A cut comes within so many bytes: some messages, or a few commits.
const CUT_WITHIN_BYTES: u64 = 6_000;
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
        self.now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn say_now(&self, words: &str) {
        words.clone_into(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
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
            if number >= plan.kinds() && began.elapsed() >= duration {
                break;
            }
            sleep(plan.breath()).await;
            let (at, step) = (Instant::now(), plan.next());
            let hits = self.carry_out(suite, &step, &scene.tally).await?;
            let took = at.elapsed();
            if plan.callers_come() {
                scene.call_after_heal(&step.fault.to_string()).await;
            }
            for (kind, fault, in_flight) in hits {
                inflicted.push(Inflicted {
                    kind,
                    fault,
                    at_ms: at.duration_since(began).as_millis() as u64,
                    took_ms: took.as_millis() as u64,
                    in_flight,
                });
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
    ) -> Result<Vec<(Kind, String, u64)>> {
        let mut hits = Vec::new();
        if let Some((kind, companion)) = &step.companion {
            self.say_now(&format!("{} and {companion}", step.fault));
            hits.push((*kind, companion.to_string(), prey(tally).await));
            begin(suite, companion)?;
        } else {
            self.say_now(&step.fault.to_string());
        }
        hits.push((step.kind, step.fault.to_string(), prey(tally).await));
        strike(suite, &step.fault).await?;
        if let Some((_, companion)) = &step.companion {
            end(suite, companion)?;
        }
        Ok(hits)
    }
}

/// Waits until requests are under way and says how many; none if none come.
async fn prey(tally: &Tally) -> u64 {
    let began = Instant::now();
    loop {
        let in_flight = tally.in_flight();
        if in_flight > 0 || began.elapsed() > PREY_LIMIT {
            return in_flight;
        }
        sleep(PREY_POLL).await;
    }
}

/// Does it, waits for its time, and undoes it.
async fn strike(suite: &mut Suite, fault: &Fault) -> Result<()> {
    match fault {
        Fault::Kill { replica, away } => {
            suite.stack.kill(replica).await?;
            sleep(*away).await;
            suite.stack.restart(replica).await
        }
        Fault::KillPostgres { away } => {
            suite.stack.postgres_mut().kill().await?;
            sleep(*away).await;
            suite.stack.postgres_mut().start().await
        }
        Fault::Pause { replica, still } => {
            suite.stack.pause(replica)?;
            sleep(*still).await;
            suite.stack.resume(replica)
        }
        Fault::StallPostgres {
            stalled,
            lasts,
            times,
        } => {
            for _ in 0..*times {
                suite.stack.postgres().stall(*stalled, *lasts).await?;
                sleep(BETWEEN_STALLS).await;
            }
            Ok(())
        }
        Fault::RollingRestart => {
            for service in Service::START_ORDER {
                for replica in suite.replicas_of(service) {
                    suite.stack.restart(&replica).await?;
                }
            }
            Ok(())
        }
        Fault::Cut { lasts, .. }
        | Fault::Stall { lasts, .. }
        | Fault::Delay { lasts, .. }
        | Fault::Split { lasts }
        | Fault::Silence { lasts, .. }
        | Fault::ClockJump { lasts, .. } => {
            begin(suite, fault)?;
            sleep(*lasts).await;
            end(suite, fault)
        }
    }
}

fn begin(suite: &Suite, fault: &Fault) -> Result<()> {
    if let Fault::ClockJump {
        replica,
        offset_seconds,
        ..
    } = fault
    {
        return suite.clocks.set(replica, *offset_seconds);
    }
    suite.edges.set(&edges(suite, fault), weather(fault));
    Ok(())
}

fn end(suite: &Suite, fault: &Fault) -> Result<()> {
    if let Fault::ClockJump { replica, .. } = fault {
        return suite.clocks.set(replica, 0);
    }
    suite.edges.set(&edges(suite, fault), Weather::default());
    Ok(())
}

/// The edges that a fault changes the weather on.
fn edges(suite: &Suite, fault: &Fault) -> Vec<Edge> {
    match fault {
        Fault::Cut { edge, .. } | Fault::Stall { edge, .. } | Fault::Delay { edge, .. } => {
            vec![edge.clone()]
        }
        Fault::Silence { replica, .. } => {
            let silent = |edge: &&Edge| edge.from == *replica && edge.to == "quota-0";
            suite.edges.all().filter(silent).cloned().collect()
        }
        Fault::Split { .. } => {
            // gateway-0 loses issuance-0, and gateway-1 issuance-1.
            let number = |name: &str| name.rsplit('-').next().map(str::to_owned);
            let lost = |edge: &&Edge| {
                edge.from.starts_with("gateway")
                    && edge.to.starts_with("issuance")
                    && number(&edge.from) == number(&edge.to)
            };
            suite.edges.all().filter(lost).cloned().collect()
        }
        _ => Vec::new(),
    }
}

fn weather(fault: &Fault) -> Weather {
    let fair = Weather::default();
    match fault {
        Fault::Cut { .. } => Weather {
            cuts_within_bytes: Some(CUT_WITHIN_BYTES),
            ..fair
        },
        Fault::Stall { .. } | Fault::Silence { .. } => Weather {
            stalls: true,
            ..fair
        },
        Fault::Delay { there, back, .. } => Weather {
            delays: (*there, *back),
            ..fair
        },
        Fault::Split { .. } => Weather {
            refuses: true,
            ..fair
        },
        _ => fair,
    }
}
