//! Whether the load spreads: each replica of issuance that takes claims has its share of them, from some seconds after anything changed.

use super::{
    steps::{Acted, Change, SPREAD_LIMIT},
    timeline::Sample,
};

/// What a replica must have of an even share. Lanes go to replicas by hash, so of 32 lanes one of four may well have only half of its eight.
const OF_EVEN_SHARE: f64 = 0.25;
/// Fewer coupons for each replica than these say nothing about shares.
const COUPONS_EACH: u64 = 20;

/// A stretch of time in which the load had to be spread, and who took how much of it.
#[derive(Debug)]
pub struct Stretch<'a> {
    /// Each replica that took claims all the while, with the coupons it gave.
    pub issued: Vec<(&'a str, u64)>,
}

impl Stretch<'_> {
    /// Coupons of all replicas together.
    fn all(&self) -> u64 {
        self.issued.iter().map(|(_, issued)| issued).sum()
    }

    fn says_something(&self) -> bool {
        self.all() >= COUPONS_EACH * self.issued.len() as u64
    }
}

/// The stretches between two changes, each from when the load has to be spread, as far as enough was issued in them.
pub fn stretches<'a>(acted: &'a Acted, samples: &[Sample]) -> Vec<Stretch<'a>> {
    let end = acted.steps.last().map_or(0, |step| step.to.at_ms);
    let ends = acted.changes.iter().skip(1).map(|change| change.at_ms);
    let changes = acted.changes.iter().zip(ends.chain([end]));
    changes
        .filter_map(|(change, end)| stretch(change, end, samples))
        .filter(Stretch::says_something)
        .collect()
}

fn stretch<'a>(change: &'a Change, end: u64, samples: &[Sample]) -> Option<Stretch<'a>> {
    let begin = change.at_ms + SPREAD_LIMIT.as_millis() as u64;
    let mut within = samples
        .iter()
        .filter(|sample| (begin..=end).contains(&sample.at_ms));
    let first = within.next()?;
    let last = within.next_back()?;
    let of = |sample: &Sample, name: &str| sample.by_replica.get(name).copied().unwrap_or(0);
    let issued = change.serving.iter().map(|name| {
        let issued = of(last, name).saturating_sub(of(first, name));
        (name.as_str(), issued)
    });
    Some(Stretch {
        issued: issued.collect(),
    })
}

/// Replicas that had too little, in sentences.
pub fn uneven(stretches: &[Stretch<'_>]) -> Vec<String> {
    let mut uneven = Vec::new();
    for stretch in stretches {
        let even = stretch.all() as f64 / stretch.issued.len() as f64;
        for (name, issued) in &stretch.issued {
            if (*issued as f64) < even * OF_EVEN_SHARE {
                let (all, replicas) = (stretch.all(), stretch.issued.len());
                uneven.push(format!(
                    "{name} gave {issued} of {all} coupons, although it had been one of {replicas} replicas for {} s.",
                    SPREAD_LIMIT.as_secs()
                ));
            }
        }
    }
    uneven
}

/// What was not watched for long enough to say anything, in words: all replicas at once, and those of the end.
pub fn unwatched(acted: &Acted, stretches: &[Stretch<'_>]) -> Vec<String> {
    let most = acted.changes.iter().map(|change| change.serving.len());
    let last = acted.changes.last().map(|change| change.serving.len());
    let wanted = [most.max(), last];
    let is_watched = |replicas: usize| {
        let mut all = stretches.iter();
        all.any(|stretch| stretch.issued.len() == replicas)
    };
    wanted
        .into_iter()
        .flatten()
        .filter(|replicas| !is_watched(*replicas))
        .map(|replicas| format!("the load over {replicas} replicas was not watched"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scale::report::good;

    fn sample(at_ms: u64, issued: [u64; 2]) -> Sample {
        let names = ["issuance-0", "issuance-1"].map(str::to_owned);
        Sample {
            at_ms,
            by_replica: BTreeMap::from_iter(names.into_iter().zip(issued)),
            ..Sample::default()
        }
    }

    #[test]
    fn what_was_issued_before_the_load_had_to_be_spread_does_not_count() {
        let acted = good().acted;
        let samples = [
            sample(5_000, [900, 0]),
            sample(12_000, [1_000, 10]),
            sample(50_000, [1_060, 40]),
        ];
        let stretches = stretches(&acted, &samples);
        assert_eq!(stretches.len(), 1);
        let expected = [("issuance-0", 60), ("issuance-1", 30)];
        assert_eq!(stretches[0].issued, expected);
        assert_eq!(uneven(&stretches), Vec::<String>::new());
        assert_eq!(unwatched(&acted, &stretches), Vec::<String>::new());
    }

    #[test]
    fn a_replica_with_less_than_a_quarter_of_an_even_share_is_told() {
        let acted = good().acted;
        let samples = [sample(12_000, [0, 0]), sample(50_000, [176, 24])];
        assert_eq!(uneven(&stretches(&acted, &samples)).len(), 1);
        let samples = [sample(12_000, [0, 0]), sample(50_000, [175, 25])];
        assert_eq!(uneven(&stretches(&acted, &samples)).len(), 0);
    }

    #[test]
    fn a_stretch_with_hardly_a_coupon_proves_nothing() {
        let acted = good().acted;
        let samples = [sample(12_000, [0, 0]), sample(50_000, [39, 0])];
        let stretches = stretches(&acted, &samples);
        assert_eq!(uneven(&stretches), Vec::<String>::new());
        assert_eq!(unwatched(&acted, &stretches).len(), 2);
    }
}
