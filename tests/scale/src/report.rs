//! What a scaling run found, for machines and for people.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use tidegate_chaos::{
    console::table,
    report::{RoundReport, missing},
};

use crate::{
    spread,
    steps::{Acted, Newcomer, SPREAD_LIMIT, Step},
    timeline::Sample,
};

/// Beyond what the first step has, so many calls may be asked to come again for each coupon of the
/// first step. While leases and lanes move some are, once or twice, since a lane that moves has to
/// be found; a service that is away for some seconds has every caller come again each second, and
/// more of them with each second.
const PUT_OFF_PER_COUPON: f64 = 1.0;

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub acted: Acted,
    pub samples: Vec<Sample>,
    pub round: RoundReport,
}

impl Step {
    pub fn seconds(&self) -> f64 {
        self.to.at_ms.saturating_sub(self.from.at_ms) as f64 / 1_000.0
    }

    /// How much a count grew in the step.
    pub fn grew(&self, count: impl Fn(&Sample) -> u64) -> u64 {
        count(&self.to).saturating_sub(count(&self.from))
    }

    pub fn per_second(&self, count: impl Fn(&Sample) -> u64) -> f64 {
        self.grew(count) as f64 / self.seconds().max(0.001)
    }

    /// The share of each replica of issuance in what was issued, of those that issued anything.
    pub fn shares(&self) -> Vec<(&str, f64)> {
        let replicas = self.to.by_replica.keys();
        let issued = replicas.map(|name| (&**name, self.grew(|sample| sample.issued_by(name))));
        let issued: Vec<_> = issued.filter(|(_, issued)| *issued > 0).collect();
        let all: u64 = issued.iter().map(|(_, issued)| issued).sum();
        let share = |(name, issued)| (name, issued as f64 / all as f64);
        issued.into_iter().map(share).collect()
    }

    fn row(&self) -> String {
        let (name, took) = (&self.name, self.seconds());
        let issued = self.per_second(|sample| sample.counts.issued);
        let refused = self.per_second(Sample::refused);
        let (again, failed) = (self.per_second(Sample::put_off), self.grew(Sample::failed));
        let shares = self.shares().into_iter().map(|(name, share)| {
            let number = name.trim_start_matches("issuance");
            format!("{number} {:.0}  ", share * 100.0)
        });
        let shares: String = shares.collect();
        format!("{name}|{took:.1}|{issued:.1}|{refused:.1}|{again:.1}|{failed}|{shares}")
    }

    fn refusals(&self) -> String {
        let reasons = self.to.counts.refusals.keys();
        let grew = |reason| self.grew(|sample| sample.counts.refused(reason));
        let words = reasons.map(|reason| format!("{reason} {}  ", grew(reason)));
        words.collect()
    }
}

impl Newcomer {
    /// How long it took until it issued; none if it never did.
    pub fn took_ms(&self) -> Option<u64> {
        let issued_ms = self.issued_ms?;
        Some(issued_ms.saturating_sub(self.at_ms))
    }
}

impl Report {
    /// The steps in which nothing is broken.
    fn whole(&self) -> impl Iterator<Item = &Step> {
        self.acted.steps.iter().filter(|step| !step.breaks)
    }

    /// Calls that failed in steps in which nothing was broken, for a caller who follows the
    /// answers.
    pub fn failed(&self) -> u64 {
        self.whole().map(|step| step.grew(Sample::failed)).sum()
    }

    /// Everything that does not hold, in sentences; nothing if all does and the run was not
    /// vacuous.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.round.findings.none() {
            broken.push("A count that must be zero is not.".to_owned());
        }
        let failed = self
            .whole()
            .map(|step| (step.grew(Sample::failed), &step.name));
        broken.extend(failed.filter(|(failed, _)| *failed > 0).map(|(failed, name)| {
            format!("{failed} calls failed in the step \"{name}\" for a caller who follows the answers.")
        }));
        let limit = SPREAD_LIMIT.as_millis() as u64;
        let newcomers = self.acted.newcomers.iter();
        let late = newcomers.filter(|it| it.took_ms().is_none_or(|took| took > limit));
        broken.extend(late.map(|it| format!("{} took no load within {limit} ms.", it.replica)));
        let departures = self.acted.departures.iter();
        broken.extend(departures.filter_map(|it| {
            let trouble = it.trouble.as_ref()?;
            Some(format!("{} did not end well: {trouble}.", it.replica))
        }));
        broken.extend(self.put_off_too_often());
        let stretches = spread::stretches(&self.acted, &self.samples);
        broken.extend(spread::uneven(&stretches));
        let mut missing = self.vacuous_because();
        missing.extend(spread::unwatched(&self.acted, &stretches));
        let missing = missing.into_iter();
        broken.extend(missing.map(|words| format!("The run proves nothing: {words}.")));
        broken
    }

    /// Whole steps that sent callers away far more often than the first one, in which nothing
    /// changes.
    fn put_off_too_often(&self) -> Vec<String> {
        let Some(first) = self.acted.steps.first() else {
            return Vec::new();
        };
        let coupons = first.per_second(|sample| sample.counts.issued);
        let limit = first.per_second(Sample::put_off) + coupons * PUT_OFF_PER_COUPON;
        let rates = self.whole().skip(1);
        let rates = rates.map(|step| (&step.name, step.per_second(Sample::put_off)));
        rates
            .filter(|(_, rate)| *rate > limit)
            .map(|(name, rate)| {
                format!("{rate:.1} calls a second were asked to come again in the step \"{name}\"; {limit:.1} would have been in order.")
            })
            .collect()
    }

    fn vacuous_because(&self) -> Vec<String> {
        let departures = self.acted.departures.iter().map(|it| {
            let words = format!("nothing was under way when {} left", it.replica);
            (it.in_flight, words)
        });
        let steps = self.acted.steps.iter().map(|step| {
            let words = format!("no coupon was issued in the step \"{}\"", step.name);
            (step.grew(|sample| sample.counts.issued), words)
        });
        let others = [
            (
                self.acted.in_flight_at_cut,
                "nothing was under way at the cut",
            ),
            (
                self.round.leases_reclaimed,
                "no lease of the replica that was cut off was taken back",
            ),
            (self.round.counts.accepted, "nobody ordered"),
        ];
        let others = others.map(|(number, words)| (number, words.to_owned()));
        missing(departures.chain(steps).chain(others))
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let heading = "step|s|issued/s|refused/s|again/s|failed|share of each issuance, %";
        let steps = || self.acted.steps.iter();
        writeln!(out, "\n{}", table(heading, steps().map(Step::row)))?;
        let refusals = steps().map(|step| format!("{}|{}", step.name, step.refusals()));
        writeln!(out, "{}", table("step|refusals by reason", refusals))?;
        let newcomers = self.acted.newcomers.iter().map(|it| {
            let took = it.took_ms().map_or("never".to_owned(), seconds);
            format!("{}|{took}|", it.replica)
        });
        writeln!(out, "{}", table("replica|takes load after|", newcomers))?;
        let drained = self.acted.departures.iter().map(|it| {
            let (took, trouble) = (seconds(it.took_ms), it.trouble.as_deref());
            let (name, trouble) = (&it.replica, trouble.unwrap_or_default());
            format!("{name}|{}|{took}|{trouble}", it.in_flight)
        });
        writeln!(out, "{}", table("drained|requests then|took|", drained))?;
        let (round, counts) = (&self.round, &self.round.counts);
        let passed = [
            ("requests sent", counts.sent),
            ("orders accepted", counts.accepted),
            ("duplicated at one moment", counts.duplicated),
            ("sent again when all was over", counts.late),
            (
                "leases of silent holders taken back",
                round.leases_reclaimed,
            ),
            ("requests under way at the cut", self.acted.in_flight_at_cut),
            ("must be zero: failed for who obeys", self.failed()),
        ];
        let passed = passed.map(|(words, number)| format!("{words}|{number}|"));
        let (campaigns, passed) = (round.campaigns(), table("passed||", passed));
        writeln!(out, "{campaigns}\n{passed}\n{}", round.findings)?;
        let broken = self.broken();
        broken.iter().try_for_each(|it| writeln!(out, "{it}"))?;
        let verdict = if broken.is_empty() {
            "Nothing was lost and nothing oversold, no call failed, and every replica took its share"
        } else {
            "The run does not hold"
        };
        writeln!(out, "{verdict}; {:.0} s.", round.took_seconds)
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1_000.0)
}

#[cfg(test)]
pub use tests::good;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tidegate_chaos::tally::Counts;

    use super::*;
    use crate::steps::{Change, Departure};

    fn sample(issued: u64, unknown: u64) -> Sample {
        Sample {
            at_ms: issued * 1_000,
            counts: Counts {
                issued,
                unknown,
                ..Counts::default()
            },
            by_replica: BTreeMap::from([
                ("issuance-0".to_owned(), issued),
                ("issuance-1".to_owned(), issued / 3),
            ]),
        }
    }

    /// A run in which all went well, with one failed call while a replica was cut off.
    pub fn good() -> Report {
        let step = |name: &str, breaks, from, to| Step {
            name: name.to_owned(),
            breaks,
            from,
            to,
        };
        Report {
            acted: Acted {
                steps: vec![
                    step("up", false, sample(0, 0), sample(30, 0)),
                    step("cut", true, sample(30, 0), sample(60, 1)),
                ],
                changes: vec![Change {
                    at_ms: 1_000,
                    serving: vec!["issuance-0".to_owned(), "issuance-1".to_owned()],
                }],
                newcomers: vec![Newcomer {
                    replica: "issuance-1".to_owned(),
                    at_ms: 1_000,
                    before: 0,
                    issued_ms: Some(3_000),
                }],
                departures: vec![Departure {
                    replica: "quota-0".to_owned(),
                    in_flight: 4,
                    took_ms: 2_700,
                    trouble: None,
                }],
                in_flight_at_cut: 3,
            },
            samples: vec![sample(0, 0), sample(30, 0), sample(60, 1)],
            round: RoundReport {
                leases_reclaimed: 1,
                counts: Counts {
                    accepted: 1,
                    ..Counts::default()
                },
                ..RoundReport::default()
            },
        }
    }

    #[test]
    fn a_run_in_which_all_went_well_holds_and_shares_are_of_the_step() {
        let report = good();
        assert_eq!(report.broken(), Vec::<String>::new());
        let shares = report.acted.steps[1].shares();
        assert_eq!(shares, [("issuance-0", 0.75), ("issuance-1", 0.25)]);
        assert!(report.to_string().contains("quota-0"));
    }

    #[test]
    fn a_failed_call_a_late_newcomer_a_bad_end_and_a_replica_without_its_share_are_told() {
        let mut report = good();
        report.acted.steps[0].to.counts.unknown = 2;
        report.acted.newcomers[0].issued_ms = None;
        report.acted.departures[0].trouble = Some("killed".to_owned());
        report.acted.departures[0].in_flight = 0;
        let by_replica = &mut report.samples[2].by_replica;
        by_replica.insert("issuance-1".to_owned(), 11);
        by_replica.insert("issuance-0".to_owned(), 80);
        assert_eq!(report.broken().len(), 5, "{:?}", report.broken());
        assert_eq!(report.failed(), 2);
    }

    #[test]
    fn a_whole_step_may_put_callers_off_a_little_more_than_the_first_one() {
        let mut report = good();
        report.acted.steps[1].breaks = false;
        report.acted.steps[1].to.counts.unknown = 0;
        let mut put_off = |calls| {
            let refusals = &mut report.acted.steps[1].to.counts.refusals;
            refusals.insert("OVERLOADED".to_owned(), calls);
            report.broken().len()
        };
        // One coupon a second in the first step, and thirty seconds in the second.
        assert_eq!((put_off(30), put_off(31)), (0, 1));
    }
}
