//! What a scaling run found, for machines; [`super::table`] is for people and [`super::plot`] for the eye.

use serde::Serialize;

use super::{
    plot, spread,
    steps::{Acted, Newcomer, SPREAD_LIMIT, Step},
    table,
    timeline::Sample,
};
use crate::report::RoundReport;

/// Beyond what the first step has, so many calls may be asked to come again for each coupon of the first step. While leases and lanes move some are, once or twice, since a lane that moves
/// has to be found; a service that is away for some seconds has every caller come again each second, and more of them with each second.
const PUT_OFF_PER_COUPON: f64 = 1.0;

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The steps, who came and who went.
    pub acted: Acted,
    /// Everything counted, twice a second.
    pub samples: Vec<Sample>,
    /// The campaigns at the end, and what was found in the databases.
    pub round: RoundReport,
}

impl Step {
    pub fn seconds(&self) -> f64 {
        self.to.at_ms.saturating_sub(self.from.at_ms) as f64 / 1_000.0
    }

    /// Coupons issued each second, as shoppers were told.
    pub fn issued_per_second(&self) -> f64 {
        (self.to.issued - self.from.issued) as f64 / self.seconds().max(0.001)
    }

    /// Refusals each second, whatever they say.
    pub fn refused_per_second(&self) -> f64 {
        (self.to.refused() - self.from.refused()) as f64 / self.seconds().max(0.001)
    }

    /// Calls each second that were asked to come again, because the suite could not serve them then.
    pub fn put_off_per_second(&self) -> f64 {
        (self.to.put_off() - self.from.put_off()) as f64 / self.seconds().max(0.001)
    }

    /// Calls that failed for a caller who follows the answers.
    pub fn failed(&self) -> u64 {
        self.to.failed() - self.from.failed()
    }

    /// The share of each replica of issuance in what was issued, of those that issued anything.
    pub fn shares(&self) -> Vec<(&str, f64)> {
        let of_step: Vec<(&str, u64)> = self
            .to
            .by_replica
            .iter()
            .map(|(name, issued)| {
                let before = self.from.by_replica.get(name).copied().unwrap_or(0);
                (name.as_str(), issued.saturating_sub(before))
            })
            .filter(|(_, issued)| *issued > 0)
            .collect();
        let all: u64 = of_step.iter().map(|(_, issued)| issued).sum();
        let share = |issued: u64| issued as f64 / all as f64;
        of_step
            .into_iter()
            .map(|(name, issued)| (name, share(issued)))
            .collect()
    }

    pub fn refusals(&self) -> Vec<(&str, u64)> {
        let before = |reason: &str| self.from.refusals.get(reason).copied().unwrap_or(0);
        self.to
            .refusals
            .iter()
            .map(|(reason, number)| (reason.as_str(), number - before(reason)))
            .filter(|(_, number)| *number > 0)
            .collect()
    }
}

impl Newcomer {
    /// How long it took until it issued; none if it never did.
    pub fn took_ms(&self) -> Option<u64> {
        self.issued_ms
            .map(|issued| issued.saturating_sub(self.at_ms))
    }
}

impl Report {
    pub fn table(&self) -> String {
        table::text(self)
    }

    /// A picture of it, as SVG.
    pub fn plot(&self) -> String {
        plot::draw(self)
    }

    /// Calls that failed in steps in which nothing was broken, for a caller who follows the answers.
    pub fn failed(&self) -> u64 {
        let whole = self.acted.steps.iter().filter(|step| !step.breaks);
        whole.map(Step::failed).sum()
    }

    /// Everything that does not hold, in sentences; nothing if all does and the run was not vacuous.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.round.findings.none() {
            broken.push("A count that must be zero is not.".to_owned());
        }
        for step in self.acted.steps.iter().filter(|step| !step.breaks) {
            if step.failed() > 0 {
                let (name, failed) = (&step.name, step.failed());
                broken.push(format!(
                    "{failed} calls failed in the step \"{name}\" for a caller who follows the answers."
                ));
            }
        }
        for newcomer in &self.acted.newcomers {
            let limit = SPREAD_LIMIT.as_millis() as u64;
            if newcomer.took_ms().is_none_or(|took| took > limit) {
                let (name, seconds) = (&newcomer.replica, SPREAD_LIMIT.as_secs());
                broken.push(format!("{name} took no load within {seconds} s."));
            }
        }
        for departure in &self.acted.departures {
            if let Some(trouble) = &departure.trouble {
                broken.push(format!(
                    "{} did not end well: {trouble}.",
                    departure.replica
                ));
            }
        }
        broken.extend(self.put_off_too_often());
        let stretches = spread::stretches(&self.acted, &self.samples);
        broken.extend(spread::uneven(&stretches));
        broken.extend(self.vacuous_because());
        let unwatched = spread::unwatched(&self.acted, &stretches);
        broken.extend(unwatched.into_iter().map(proves_nothing));
        broken
    }

    /// Steps without a failed call that nevertheless sent callers away far more often than the first one, in which nothing changes.
    fn put_off_too_often(&self) -> Vec<String> {
        let Some((first, others)) = self.acted.steps.split_first() else {
            return Vec::new();
        };
        let limit = first.put_off_per_second() + first.issued_per_second() * PUT_OFF_PER_COUPON;
        let whole = others.iter().filter(|step| !step.breaks);
        whole
            .filter(|step| step.put_off_per_second() > limit)
            .map(|step| {
                let (name, rate) = (&step.name, step.put_off_per_second());
                format!("{rate:.1} calls a second were asked to come again in the step \"{name}\"; {limit:.1} would have been in order.")
            })
            .collect()
    }

    fn vacuous_because(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let mut need = |is_there: bool, words: String| {
            if !is_there {
                missing.push(proves_nothing(words));
            }
        };
        for departure in &self.acted.departures {
            let words = format!("nothing was under way when {} left", departure.replica);
            need(departure.in_flight > 0, words);
        }
        for step in &self.acted.steps {
            let words = format!("no coupon was issued in the step \"{}\"", step.name);
            need(step.to.issued > step.from.issued, words);
        }
        need(
            self.acted.in_flight_at_cut > 0,
            "nothing was under way at the cut".to_owned(),
        );
        need(
            self.round.leases_reclaimed > 0,
            "no lease of the replica that was cut off was taken back".to_owned(),
        );
        need(self.round.accepted > 0, "nobody ordered".to_owned());
        missing
    }
}

fn proves_nothing(words: String) -> String {
    format!("The run proves nothing: {words}.")
}

#[cfg(test)]
pub use tests::good;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        findings::Findings,
        scale::steps::{Change, Departure},
    };

    fn sample(issued: u64, unknown: u64) -> Sample {
        Sample {
            at_ms: issued * 1_000,
            issued,
            unknown,
            by_replica: BTreeMap::from([
                ("issuance-0".to_owned(), issued),
                ("issuance-1".to_owned(), issued / 3),
            ]),
            ..Sample::default()
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
                    is_back: false,
                    at_ms: 1_000,
                    before: 0,
                    issued_ms: Some(3_000),
                }],
                departures: vec![Departure {
                    replica: "quota-0".to_owned(),
                    at_ms: 2_000,
                    in_flight: 4,
                    took_ms: 2_700,
                    trouble: None,
                }],
                in_flight_at_cut: 3,
            },
            samples: vec![sample(0, 0), sample(30, 0), sample(60, 1)],
            round: RoundReport {
                leases_reclaimed: 1,
                accepted: 1,
                findings: Findings::default(),
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
    }

    #[test]
    fn a_failed_call_a_late_newcomer_and_a_bad_end_are_told() {
        let mut report = good();
        report.acted.steps[0].to.unknown = 2;
        report.acted.newcomers[0].issued_ms = None;
        report.acted.departures[0].trouble = Some("killed".to_owned());
        report.acted.departures[0].in_flight = 0;
        assert_eq!(report.broken().len(), 4, "{:?}", report.broken());
        assert_eq!(report.failed(), 2);
    }

    #[test]
    fn a_whole_step_may_put_callers_off_a_little_more_than_the_first_one() {
        let mut report = good();
        report.acted.steps[1].breaks = false;
        report.acted.steps[1].to.unknown = 0;
        let mut put_off = |calls| {
            let refusals = &mut report.acted.steps[1].to.refusals;
            refusals.insert("OVERLOADED".to_owned(), calls);
            report.broken().len()
        };
        // One coupon a second in the first step, and thirty seconds in the second.
        assert_eq!((put_off(30), put_off(31)), (0, 1));
    }

    #[test]
    fn a_replica_without_its_share_is_told() {
        let mut report = good();
        let last = report.samples.last_mut().unwrap();
        last.by_replica.insert("issuance-1".to_owned(), 11);
        last.by_replica.insert("issuance-0".to_owned(), 80);
        assert_eq!(report.broken().len(), 1, "{:?}", report.broken());
    }
}
