//! One crowd on the staircase, and what became of it step by step.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{
    figures::Recovery,
    staircase::{Point, Staircase},
};
use crate::{
    closed_loop::CAMPAIGN_ID,
    quantile::quantile,
    shoppers::{
        Scene,
        journey::{Manner, coupons},
    },
    suite::Suite,
};

/// Below the peak, and yet busy: what latencies are compared with.
pub const BUSY_LOAD: f64 = 0.8;
/// So many times the latency of a busy hour is still normal.
const NORMAL_TIMES: u32 = 2;

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

/// One crowd, from the lowest load to the flood's end.
#[derive(Debug, Default, Serialize)]
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

impl Crowd {
    /// Lets it come. `normal` is what an admitted claim takes at most in a busy hour: known from
    /// crowds before, and anew if this one has such an hour.
    pub async fn come(
        self,
        suite: &Suite,
        staircase: &Staircase,
        (waiting_room, patience): (bool, Duration),
        normal: &mut Option<Duration>,
    ) -> Result<Series> {
        let caller = suite.caller().await?;
        // Sets its shoppers apart from all others.
        let round = format!("{}-{waiting_room}", self.round);
        let scene = Scene::new(&caller, CAMPAIGN_ID, &round, patience);
        let manner_of = move |number| self.manner(number);
        let (journeys, points) = staircase.climb(scene, manner_of, suite).await?;
        let busy = staircase.steps.iter().find(|step| step.load == BUSY_LOAD);
        let busy_p99 = busy.and_then(|step| {
            let ended = journeys.iter().filter(|it| step.window.contains(&it.ended));
            quantile(ended.filter_map(|it| it.coupon_call), 0.99)
        });
        *normal = busy_p99.or(*normal);
        let at_once = normal.map(|normal| normal * NORMAL_TIMES);
        Ok(Series {
            crowd: self.name,
            waiting_room,
            recovery: Recovery::of(&journeys, staircase.flood_ends(), patience, at_once),
            points,
            coupons_told: coupons(&journeys),
        })
    }

    /// Spreads the impatient evenly among the others.
    fn manner(&self, number: u64) -> Manner {
        let impatient_before = |number: u64| (number as f64 * self.at_once_share).floor();
        if impatient_before(number + 1) > impatient_before(number) {
            self.impatient
        } else {
            Manner::AsTold
        }
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
            let all = (0..among).filter(|number| crowd.manner(*number) == Manner::AtOnce);
            all.count()
        };
        assert_eq!((impatient(0.0, 100), impatient(1.0, 100)), (0, 100));
        assert_eq!((impatient(0.5, 100), impatient(0.5, 10)), (50, 5));
        assert_eq!(impatient(0.05, 1_000), 50);
    }
}
