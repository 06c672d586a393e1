//! The loads one after the other, each a little later than the one before is measured, and an
//! ordinary load after the last.

use std::{ops::Range, time::Duration};

use anyhow::Result;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::figures::Figures;
use crate::{
    processor_time::{ProcessorTime, Spent},
    shoppers::{
        Scene,
        arrivals::{Arrivals, Stretch},
        come,
        journey::{Journey, Manner},
    },
    suite::Suite,
};

/// A door that keeps up is in its stride at once.
const WARM_UP: Duration = Duration::from_millis(1_500);
/// A queue takes a while until as many give up as come.
const WARM_UP_OVERLOADED: Duration = Duration::from_millis(3_500);
/// What comes when the flood is over, and for how long.
const ORDINARY_LOAD: f64 = 0.5;
const RECOVERY: Duration = Duration::from_secs(15);
/// The last ones' calls end within this after their patience.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// One load, as a multiple of the peak.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub load: f64,
    begins: Duration,
    pub window: Range<Duration>,
}

/// One load of one crowd.
#[derive(Debug, Default, Serialize)]
pub struct Point {
    pub load: f64,
    #[serde(flatten)]
    pub figures: Figures,
    pub processor: Spent,
}

#[derive(Debug, Clone)]
pub struct Staircase {
    pub steps: Vec<Step>,
    peak_per_second: f64,
}

impl Staircase {
    /// Each load is `measured` for as long as any other, for stalls of the disk come at each.
    pub fn new(loads: &[f64], peak_per_second: f64, measured: Duration) -> Self {
        let mut begins = Duration::ZERO;
        let steps = loads.iter().map(|&load| {
            let warm_up = if load < 1.0 {
                WARM_UP
            } else {
                WARM_UP_OVERLOADED
            };
            let from = begins + warm_up;
            let step = Step {
                load,
                begins,
                window: from..from + measured,
            };
            begins = step.window.end;
            step
        });
        Self {
            steps: steps.collect(),
            peak_per_second,
        }
    }

    /// Lets a crowd come: what each of them lived through, and what each load came to.
    pub async fn climb(
        &self,
        scene: Scene,
        manner_of: impl Fn(u64) -> Manner + Send + 'static,
        suite: &Suite,
    ) -> Result<(Vec<Journey>, Vec<Point>)> {
        let (began, patience) = (scene.began, scene.patience);
        let last = patience + scene.orders_after.unwrap_or_default() + LAST_CALLS;
        let arrivals = Arrivals::new(self.stretches(), 1);
        let coming = come(
            scene,
            arrivals,
            manner_of,
            self.ends() + last,
            &suite.threads,
        );
        let (journeys, spent) = tokio::try_join!(coming, self.watch(began, suite))?;
        let steps = self.steps.iter().zip(spent);
        let points = steps.map(|(step, processor)| Point {
            load: step.load,
            figures: Figures::of(&journeys, &step.window, patience),
            processor,
        });
        let points = points.collect();
        Ok((journeys, points))
    }

    /// What each step takes of the machine.
    async fn watch(&self, began: Instant, suite: &Suite) -> Result<Vec<Spent>> {
        let (parts, mut spent) = (suite.parts()?, Vec::new());
        for step in &self.steps {
            sleep_until(began + step.window.start).await;
            let before = ProcessorTime::read(&parts)?;
            sleep_until(began + step.window.end).await;
            // Costs of a single claim are measured apart: here the shares of the machine count.
            spent.push(ProcessorTime::read(&parts)?.since(&before, 1));
        }
        Ok(spent)
    }

    /// When the last load ends and ordinary load begins.
    pub fn flood_ends(&self) -> Duration {
        self.steps
            .last()
            .map_or(Duration::ZERO, |step| step.window.end)
    }

    /// When nobody comes any more.
    fn ends(&self) -> Duration {
        self.flood_ends() + RECOVERY
    }

    fn stretches(&self) -> Vec<Stretch> {
        let stretch = |length, load| Stretch {
            length,
            per_second: load * self.peak_per_second,
        };
        self.steps
            .iter()
            .map(|step| stretch(step.window.end - step.begins, step.load))
            .chain([stretch(RECOVERY, ORDINARY_LOAD)])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_without_a_gap_and_end_with_an_ordinary_load() {
        let milliseconds = Duration::from_millis;
        let staircase = Staircase::new(&[0.5, 10.0], 100.0, milliseconds(10_000));
        assert_eq!(
            staircase.steps[0].window,
            milliseconds(1_500)..milliseconds(11_500)
        );
        assert_eq!(
            staircase.steps[1].window,
            milliseconds(15_000)..milliseconds(25_000)
        );
        let stretches = staircase.stretches();
        let rates: Vec<_> = stretches.iter().map(|stretch| stretch.per_second).collect();
        assert_eq!(rates, [50.0, 1_000.0, 50.0]);
        let all: Duration = stretches.iter().map(|stretch| stretch.length).sum();
        assert_eq!(all, staircase.ends());
        assert_eq!(staircase.flood_ends(), milliseconds(25_000));
    }
}
