//! When shoppers come: at random moments with a given rate, whatever became of those before them.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    pub length: Duration,
    pub per_second: f64,
}

/// The moments at which shoppers come, one after the other, counted from the beginning of the first
/// stretch.
pub struct Arrivals {
    stretches: std::vec::IntoIter<Stretch>,
    current: Option<Stretch>,
    began: Duration,
    at: Duration,
    chance: StdRng,
}

impl Arrivals {
    /// With one rate for so long.
    pub fn steady(per_second: f64, length: Duration, seed: u64) -> Self {
        let stretch = Stretch { length, per_second };
        Self::new(vec![stretch], seed)
    }

    /// The same seed and stretches are the same arrivals.
    pub fn new(stretches: Vec<Stretch>, seed: u64) -> Self {
        let mut stretches = stretches.into_iter();
        let current = stretches.next();
        Self {
            stretches,
            current,
            began: Duration::ZERO,
            at: Duration::ZERO,
            chance: StdRng::seed_from_u64(seed),
        }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let stretch = self.current?;
            let ends = self.began + stretch.length;
            let gap_seconds = -(1.0 - self.chance.random::<f64>()).ln() / stretch.per_second;
            let next = Duration::try_from_secs_f64(gap_seconds)
                .ok()
                .and_then(|gap| self.at.checked_add(gap));
            match next {
                Some(next) if next < ends => {
                    self.at = next;
                    return Some(next);
                }
                // Gaps have no memory, so what is left of this one need not be carried into the
                // next stretch.
                _ => {
                    (self.began, self.at) = (ends, ends);
                    self.current = self.stretches.next();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_has_its_rate_and_none_spills_over() {
        let stretch = |seconds, per_second| Stretch {
            length: Duration::from_secs(seconds),
            per_second,
        };
        let stretches = vec![stretch(10, 100.0), stretch(5, 0.0), stretch(10, 1_000.0)];
        let arrivals: Vec<_> = Arrivals::new(stretches, 7).collect();
        let between = |from: u64, to: u64| {
            let range = Duration::from_secs(from)..Duration::from_secs(to);
            arrivals.iter().filter(|at| range.contains(*at)).count()
        };
        assert!((900..1_100).contains(&between(0, 10)), "{}", between(0, 10));
        assert_eq!(between(10, 15), 0);
        assert!((9_700..10_300).contains(&between(15, 25)));
        assert_eq!(between(25, 1_000), 0);
        assert!(arrivals.is_sorted());
    }
}
