//! The waiting room in virtual time: the gateways' windows and promises and quota's law, as the
//! services run them, with an issuance that can do so much and a crowd that does as it is told, or
//! does not.
//!
//! One run is decided by its seed alone.

mod crowd;
mod door;
mod reports;
mod simulation;

use std::time::Duration;

/// What happens in a run. Rates are of one moment, in seconds since the beginning.
pub struct Scenario {
    pub seed: u64,
    /// For how long it goes.
    pub seconds: u64,
    /// How many gateways there are.
    pub gateways: usize,
    pub lanes: usize,
    /// How often issuance commits in each lane.
    pub commit_every: Duration,
    /// Claims that issuance commits each second.
    pub capacity: Box<dyn Fn(f64) -> f64>,
    /// Shoppers who come each second.
    pub arrivals: Box<dyn Fn(f64) -> f64>,
    /// Shoppers who wait for the opening.
    pub early: usize,
    /// The share of those who come that come back when they are told to wait.
    pub returning: f64,
    /// How long a shopper comes back before it gives up, unseen.
    pub patience: Duration,
    /// When the first gateway forgets all it knows, as one that is started anew does.
    pub gateway_restarts_at: Option<f64>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 20,
            gateways: 2,
            lanes: 4,
            commit_every: Duration::from_millis(5),
            capacity: Box::new(|_| 2_000.0),
            arrivals: Box::new(|_| 4_000.0),
            early: 0,
            returning: 1.0,
            patience: Duration::from_secs(1_000),
            gateway_restarts_at: None,
        }
    }
}

#[derive(Debug, Default)]
pub struct Outcome {
    /// Served in each second.
    pub served: Vec<u64>,
    /// How long all those were in flight together who were served in each second, in seconds.
    pub in_flight: Vec<f64>,
    /// How long those waited who had to, in seconds, the shortest first.
    pub waits: Vec<f64>,
    /// Shoppers before whom somebody was served who came two seconds later, although they came back
    /// when told.
    pub overtaken: u64,
    /// Calls of those who asked again.
    pub asks: u64,
    /// The longest that one was told to stay away, in seconds.
    pub longest_away: f64,
    /// First estimates that were told, and those that were kept.
    pub estimates: (u64, u64),
    /// Permits that nobody used while somebody waited, in permit-seconds.
    pub idle_permit_seconds: f64,
    /// The most calls that were held at once.
    pub most_held: usize,
}

impl Outcome {
    /// Served from one second to another, as a share of what could have been.
    pub fn goodput(&self, seconds: std::ops::Range<usize>, capacity: f64) -> f64 {
        let span = seconds.len() as f64;
        let served: u64 = self
            .served
            .iter()
            .take(seconds.end)
            .skip(seconds.start)
            .sum();
        served as f64 / span / capacity
    }

    /// How long one was in flight who was served from one second to another, in the mean.
    pub fn flight(&self, seconds: std::ops::Range<usize>) -> f64 {
        let served: u64 = self.served[seconds.clone()].iter().sum();
        let in_flight: f64 = self.in_flight[seconds].iter().sum();
        in_flight / served as f64
    }

    /// The wait that this share of those who waited did not exceed.
    pub fn wait(&self, share: f64) -> f64 {
        let place =
            ((self.waits.len() as f64 * share) as usize).min(self.waits.len().saturating_sub(1));
        self.waits.get(place).copied().unwrap_or_default()
    }
}

pub fn run(scenario: &Scenario) -> Outcome {
    simulation::Simulation::new(scenario).run()
}
