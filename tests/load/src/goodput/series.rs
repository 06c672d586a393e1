//! One crowd on the staircase, and what became of it step by step.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use serde::Serialize;
use tidegate_client::Caller;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

use super::{
    figures::{Figures, Recovery},
    staircase::Staircase,
};
use crate::{
    processor_time::{Part, ProcessorTime, Spent},
    quantile::quantile,
    shoppers::{
        Scene,
        arrivals::Arrivals,
        come,
        journey::{Journey, Manner},
    },
};

/// Below the peak, and yet busy: what latencies are compared with.
pub const BUSY_LOAD: f64 = 0.8;
/// So many times the latency of a busy hour is still normal.
const NORMAL_TIMES: u32 = 2;
/// The last ones' calls end within this after their patience.
const LAST_CALLS: Duration = Duration::from_secs(3);

/// Does as it is told.
pub const AS_TOLD: &str = "as told";
/// Sends again at once, and then does as it is told.
pub const AT_ONCE: &str = "at once";
/// Sends again at once, hears nothing, and goes: its places are ones that nobody comes for.
pub const AT_ONCE_AND_GONE: &str = "at once and is gone";

#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// What the tables call it: one of the names above.
    pub name: &'static str,
    /// What the impatient ones do.
    pub impatient: Manner,
    pub at_once_share: f64,
    /// What its shoppers' ids begin with.
    pub round: &'static str,
}

/// One load of one crowd.
#[derive(Debug, Serialize)]
pub struct Point {
    pub load: f64,
    #[serde(flatten)]
    pub figures: Figures,
    pub processor: Spent,
}

/// One crowd, from the lowest load to the flood's end.
#[derive(Debug, Serialize)]
pub struct Series {
    pub crowd: &'static str,
    pub waiting_room: bool,
    pub points: Vec<Point>,
    pub recovery: Recovery,
    pub coupons_told: u64,
}

impl Series {
    pub fn at(&self, load: f64) -> Option<&Point> {
        self.points.iter().find(|point| point.load == load)
    }
}

/// How a crowd is let loose.
pub struct Setting<'a> {
    pub caller: Arc<Caller>,
    pub campaign_id: &'a str,
    pub patience: Duration,
    pub parts: Vec<Part>,
    pub threads: &'a Handle,
    /// What is normal where the crowd itself has no busy hour.
    pub normal: Option<Duration>,
    pub waiting_room: bool,
}

/// Lets a crowd come, and tells also what is normal where it was busy and no more. `round` sets its
/// shoppers apart from all others.
pub async fn measure(
    crowd: Crowd,
    round: String,
    staircase: &Staircase,
    setting: Setting<'_>,
) -> Result<(Series, Option<Duration>)> {
    let scene = Scene::new(
        &setting.caller,
        setting.campaign_id,
        &round,
        setting.patience,
    );
    let (began, arrivals) = (scene.began, Arrivals::new(staircase.stretches(), 1));
    let at_most = staircase.ends() + setting.patience + LAST_CALLS;
    let manner_of = move |number| manner(number, crowd);
    let coming = come(scene, arrivals, manner_of, at_most, setting.threads);
    let (journeys, spent) = tokio::join!(coming, watch(staircase, began, &setting.parts));
    let (journeys, spent) = (journeys?, spent?);
    let busy_p99 = staircase
        .steps
        .iter()
        .find(|step| step.load == BUSY_LOAD)
        .and_then(|step| {
            let busy = journeys
                .iter()
                .filter(|journey| step.window.contains(&journey.ended))
                .filter_map(|journey| journey.coupon_call);
            quantile(busy, 0.99)
        });
    let normal = busy_p99.or(setting.normal);
    let at_once = normal.map(|normal| normal * NORMAL_TIMES);
    let flood_ends = staircase.flood_ends();
    let recovery = Recovery::of(&journeys, flood_ends, setting.patience, at_once);
    let points = staircase
        .steps
        .iter()
        .zip(spent)
        .map(|(step, processor)| Point {
            load: step.load,
            figures: Figures::of(&journeys, &step.window, setting.patience),
            processor,
        });
    let series = Series {
        crowd: crowd.name,
        waiting_room: setting.waiting_room,
        points: points.collect(),
        recovery,
        coupons_told: coupons(&journeys),
    };
    Ok((series, normal))
}

pub(super) async fn watch(
    staircase: &Staircase,
    began: Instant,
    parts: &[Part],
) -> Result<Vec<Spent>> {
    let mut spent = Vec::new();
    for step in &staircase.steps {
        sleep_until(began + step.window.start).await;
        let before = ProcessorTime::read(parts)?;
        sleep_until(began + step.window.end).await;
        // Costs of a single claim are measured apart: here the shares of the machine count.
        spent.push(ProcessorTime::read(parts)?.since(&before, 1));
    }
    Ok(spent)
}

fn coupons(journeys: &[Journey]) -> u64 {
    journeys
        .iter()
        .filter(|journey| journey.has_coupon())
        .count() as u64
}

/// Spreads the impatient evenly among the others.
fn manner(number: u64, crowd: Crowd) -> Manner {
    let impatient_before = |number: u64| (number as f64 * crowd.at_once_share).floor();
    if impatient_before(number + 1) > impatient_before(number) {
        crowd.impatient
    } else {
        Manner::AsTold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_impatient_is_kept_at_every_moment() {
        let impatient = |at_once_share, among: u64| {
            let crowd = Crowd {
                name: AT_ONCE,
                impatient: Manner::AtOnce,
                at_once_share,
                round: "",
            };
            let all = (0..among).filter(|number| manner(*number, crowd) == Manner::AtOnce);
            all.count()
        };
        assert_eq!((impatient(0.0, 100), impatient(1.0, 100)), (0, 100));
        assert_eq!((impatient(0.5, 100), impatient(0.5, 10)), (50, 5));
        assert_eq!(impatient(0.05, 1_000), 50);
    }
}
