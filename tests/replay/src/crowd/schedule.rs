//! Who comes when, and what they do: drawn from a seed before anything is sent, so that a run can be had again.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    curve::Curve,
    habits::{Habit, InQueue},
};

/// How long a shopper looks at the menu on average before ordering.
pub const THINK_MEAN: Duration = Duration::from_millis(1_500);
pub const THINK_LIMIT: Duration = Duration::from_secs(10);
pub const STORES: u32 = 500;
/// How much the first store is favoured over the next: orders fall as rank to this power.
const ZIPF_EXPONENT: f64 = 1.1;

/// How long a shopper is ready to wait for the tea, at least and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(60), PATIENCE_LIMIT);
pub const PATIENCE_LIMIT: Duration = Duration::from_secs(180);
/// The share that waits for a full favourite even if another store could make it sooner.
const LOYAL_SHARE: f64 = 0.3;
/// The share that cancels an accepted order, and the share of those that order anew.
const CANCEL_SHARE: f64 = 0.04;
const ANEW_SHARE: f64 = 0.5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Counted from 0.
    pub shopper: u32,
    /// Since the beginning of the replay.
    pub at: Duration,
    pub habit: Habit,
    pub in_queue: InQueue,
    pub think: Duration,
    pub wish: Wish,
}

/// What a shopper wants to drink where, and by when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The favourite store, from 0; lower ones are more popular.
    pub store: u32,
    pub patience: Duration,
    /// Whether a later slot at the favourite is better than another store.
    pub is_loyal: bool,
    pub change_of_mind: ChangeOfMind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOfMind {
    Keeps,
    Cancels,
    /// Cancels it and orders again with the same coupon.
    OrdersAnew,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crowd {
    /// About how many come over the whole day.
    pub shoppers: u32,
    pub early_share: f64,
    /// The opening, counted from the beginning of the replay.
    pub opening: Duration,
    /// How long the day lasts from the opening on.
    pub day: Duration,
}

/// Arrivals as a Poisson process, in order of time: before the opening more and more of them, after it as the curve says.
pub struct Schedule {
    random: StdRng,
    curve: Curve,
    crowd: Crowd,
    /// Arrivals expected up to the last one drawn; the process runs at rate one on this axis.
    expected: f64,
    next_shopper: u32,
    store_shares: Vec<f64>,
}

impl Schedule {
    /// The schedule of a seed: the same arguments give the same arrivals.
    pub fn new(seed: u64, curve: Curve, crowd: Crowd) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            curve,
            crowd,
            expected: 0.0,
            next_shopper: 0,
            store_shares: zipf(STORES),
        }
    }

    /// When the last of so many expected arrivals comes; none after the end of the day.
    fn time_of(&self, expected: f64) -> Option<Duration> {
        let crowd = &self.crowd;
        let all = f64::from(crowd.shoppers);
        let early = all * crowd.early_share;
        if expected < early {
            // The rate grows evenly towards the opening.
            return Some(crowd.opening.mul_f64((expected / early).sqrt()));
        }
        let share = (expected - early) / (all - early);
        (share <= 1.0).then(|| crowd.opening + crowd.day.mul_f64(self.curve.time_of(share)))
    }

    fn exponential(&mut self) -> f64 {
        // 1 - u is never zero, so the logarithm is finite.
        -(1.0 - self.random.random::<f64>()).ln()
    }

    fn wish(&mut self) -> Wish {
        let draw: f64 = self.random.random();
        let store = self
            .store_shares
            .partition_point(|&share| share < draw)
            .min(self.store_shares.len() - 1) as u32;
        let (least, most) = PATIENCE;
        let patience = least + (most - least).mul_f64(self.random.random());
        let is_loyal = self.random.random::<f64>() < LOYAL_SHARE;
        let draw: f64 = self.random.random();
        let change_of_mind = if draw < CANCEL_SHARE * ANEW_SHARE {
            ChangeOfMind::OrdersAnew
        } else if draw < CANCEL_SHARE {
            ChangeOfMind::Cancels
        } else {
            ChangeOfMind::Keeps
        };
        Wish {
            store,
            patience,
            is_loyal,
            change_of_mind,
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        self.expected += self.exponential();
        let at = self.time_of(self.expected)?;
        let habit = Habit::draw(&mut self.random);
        let in_queue = InQueue::draw(&mut self.random);
        let think = THINK_MEAN.mul_f64(self.exponential()).min(THINK_LIMIT);
        let wish = self.wish();
        let shopper = self.next_shopper;
        self.next_shopper += 1;
        Some(Arrival {
            shopper,
            at,
            habit,
            in_queue,
            think,
            wish,
        })
    }
}

/// The share of all orders that would go to the store of a rank, from 0, if none was ever full.
pub fn share_of_store(rank: u32) -> f64 {
    let total: f64 = (1..=STORES).map(weight).sum();
    weight(rank + 1) / total
}

fn weight(place: u32) -> f64 {
    f64::from(place).powf(-ZIPF_EXPONENT)
}

/// The share of all orders that goes to the first store, the first two, and so on.
fn zipf(stores: u32) -> Vec<f64> {
    let weights: Vec<f64> = (1..=stores).map(weight).collect();
    let total: f64 = weights.iter().sum();
    weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight / total;
            Some(*sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(60);

    const CROWD: Crowd = Crowd {
        shoppers: 40_000,
        early_share: 0.0,
        opening: Duration::ZERO,
        day: DAY,
    };

    fn schedule(seed: u64, shoppers: u32) -> Vec<Arrival> {
        let crowd = Crowd { shoppers, ..CROWD };
        Schedule::new(seed, Curve::qwen_day().unwrap(), crowd).collect()
    }

    #[test]
    fn a_seed_gives_the_same_arrivals_again_and_another_gives_others() {
        assert_eq!(schedule(7, 2_000), schedule(7, 2_000));
        assert_ne!(schedule(7, 2_000), schedule(8, 2_000));
    }

    #[test]
    fn as_many_come_as_planned_give_or_take_chance_and_in_order() {
        let arrivals = schedule(1, 40_000);
        // Five standard deviations of a Poisson count.
        let count = arrivals.len();
        assert!(count.abs_diff(40_000) < 1_000, "{count}");
        let in_order =
            |pair: &[Arrival]| pair[0].at <= pair[1].at && pair[0].shopper + 1 == pair[1].shopper;
        assert!(arrivals.windows(2).all(in_order));
        assert!(arrivals.iter().all(|arrival| arrival.at <= DAY));
    }

    #[test]
    fn half_of_all_come_by_the_fifth_of_nine_hours() {
        let arrivals = schedule(2, 40_000);
        let by_then = |arrival: &&Arrival| arrival.at <= DAY.mul_f64(300.0 / 540.0);
        let share = arrivals.iter().filter(by_then).count() as f64 / arrivals.len() as f64;
        assert!((share - 0.5).abs() < 0.02);
    }

    #[test]
    fn the_early_share_comes_before_the_opening_and_most_of_it_in_the_second_half() {
        let opening = Duration::from_secs(5);
        let crowd = Crowd {
            early_share: 0.1,
            opening,
            ..CROWD
        };
        let arrivals: Vec<_> = Schedule::new(4, Curve::qwen_day().unwrap(), crowd).collect();
        let before = |moment: Duration| arrivals.iter().filter(move |arrival| arrival.at < moment);
        let early = before(opening).count() as f64;
        assert!((early / 4_000.0 - 1.0).abs() < 0.08, "{early}");
        let first_half = before(opening / 2).count() as f64;
        assert!((first_half / early - 0.25).abs() < 0.04, "{first_half}");
        assert!(arrivals.len().abs_diff(40_000) < 1_000);
        assert!(arrivals.iter().all(|arrival| arrival.at <= opening + DAY));
    }

    #[test]
    fn stores_and_changes_of_mind_have_their_shares() {
        let arrivals = schedule(3, 60_000);
        let share = |is_meant: &dyn Fn(&Wish) -> bool| {
            let meant = arrivals.iter().filter(|arrival| is_meant(&arrival.wish));
            meant.count() as f64 / arrivals.len() as f64
        };
        let at_store = |store| share(&|wish: &Wish| wish.store == store);
        // Zipf: the first store gets a good twice the second's.
        assert!((at_store(0) / at_store(1) - 2.14).abs() < 0.3);
        assert!((at_store(2) - share_of_store(2)).abs() < 0.005);
        assert!(arrivals.iter().all(|arrival| arrival.wish.store < STORES));
        let cancels = |wish: &Wish| wish.change_of_mind != ChangeOfMind::Keeps;
        assert!((share(&cancels) - CANCEL_SHARE).abs() < 0.005);
        let patient =
            |arrival: &Arrival| (PATIENCE.0..=PATIENCE_LIMIT).contains(&arrival.wish.patience);
        assert!(arrivals.iter().all(patient));
    }
}
