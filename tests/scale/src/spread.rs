//! Whether the load spreads: each replica of issuance that takes claims has its share of them, from
//! some seconds after anything changed.

use crate::{
    steps::{Acted, Change, SPREAD_LIMIT},
    timeline::Sample,
};

/// What a replica must have of an even share. Lanes go to replicas by hash, so of 32 lanes one of
/// four may well have only half of its eight.
const OF_EVEN_SHARE: f64 = 0.25;
/// Fewer coupons for each replica than these say nothing about shares.
const COUPONS_EACH: u64 = 20;

/// Each replica that took claims all through a stretch in which the load had to be spread, with the
/// coupons it gave.
type Stretch<'a> = Vec<(&'a str, u64)>;

/// The stretches between two changes, each from when the load has to be spread, as far as enough
/// was issued in them.
pub fn stretches<'a>(acted: &'a Acted, samples: &[Sample]) -> Vec<Stretch<'a>> {
    let end = acted.steps.last().map_or(0, |step| step.to.at_ms);
    let ends = acted.changes.iter().skip(1).map(|change| change.at_ms);
    let changes = acted.changes.iter().zip(ends.chain([end]));
    let stretches = changes.filter_map(|(change, end)| stretch(change, end, samples));
    let says_something = |it: &Stretch<'_>| all(it) >= COUPONS_EACH * it.len() as u64;
    stretches.filter(says_something).collect()
}

fn stretch<'a>(change: &'a Change, end: u64, samples: &[Sample]) -> Option<Stretch<'a>> {
    let begin = change.at_ms + SPREAD_LIMIT.as_millis() as u64;
    let within = samples.iter();
    let mut within = within.filter(|sample| (begin..=end).contains(&sample.at_ms));
    let first = within.next()?;
    let last = within.next_back()?;
    let issued = |name: &str| last.issued_by(name).saturating_sub(first.issued_by(name));
    let serving = change.serving.iter();
    Some(serving.map(|name| (name.as_str(), issued(name))).collect())
}

fn all(stretch: &Stretch<'_>) -> u64 {
    stretch.iter().map(|(_, issued)| issued).sum()
}

/// Replicas that had too little, in sentences.
pub fn uneven(stretches: &[Stretch<'_>]) -> Vec<String> {
    let mut uneven = Vec::new();
    for stretch in stretches {
        let (all, replicas) = (all(stretch), stretch.len());
        let least = all as f64 / replicas as f64 * OF_EVEN_SHARE;
        for (name, issued) in stretch
            .iter()
            .filter(|(_, issued)| (*issued as f64) < least)
        {
            uneven.push(format!(
                "{name} gave {issued} of {all} coupons, although it had been one of {replicas} replicas for {SPREAD_LIMIT:?}."
            ));
        }
    }
    uneven
}

/// What was not watched for long enough to say anything, in words: all replicas at once, and those
/// of the end.
pub fn unwatched(acted: &Acted, stretches: &[Stretch<'_>]) -> Vec<String> {
    let serving = || acted.changes.iter().map(|change| change.serving.len());
    let wanted = [serving().max(), serving().next_back()]
        .into_iter()
        .flatten();
    let is_watched = |replicas| stretches.iter().any(|stretch| stretch.len() == replicas);
    let unwatched = wanted.filter(|replicas| !is_watched(*replicas));
    unwatched
        .map(|replicas| format!("the load over {replicas} replicas was not watched"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::good;

    /// What is told of a run with these coupons of both replicas at these moments: too little, and
    /// not watched.
    fn told(readings: &[(u64, [u64; 2])]) -> (usize, usize) {
        let acted = good().acted;
        let samples: Vec<_> = readings
            .iter()
            .map(|(at_ms, issued)| {
                let names = ["issuance-0", "issuance-1"].map(str::to_owned);
                Sample {
                    at_ms: *at_ms,
                    by_replica: BTreeMap::from_iter(names.into_iter().zip(*issued)),
                    ..Sample::default()
                }
            })
            .collect();
        let stretches = stretches(&acted, &samples);
        (
            uneven(&stretches).len(),
            unwatched(&acted, &stretches).len(),
        )
    }

    #[test]
    fn shares_count_from_when_the_load_has_to_be_spread_and_a_quarter_of_an_even_one_is_asked() {
        for (first, last, expected) in [
            ([1_000, 10], [1_060, 40], (0, 0)),
            ([0, 0], [176, 24], (1, 0)),
            ([0, 0], [175, 25], (0, 0)),
            // Hardly a coupon proves nothing.
            ([0, 0], [39, 0], (0, 2)),
        ] {
            let readings = [(5_000, [900, 0]), (12_000, first), (50_000, last)];
            assert_eq!(told(&readings), expected, "{last:?}");
        }
    }
}
