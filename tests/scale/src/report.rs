//! What a scaling run found, for machines and for people.

use std::fmt::{self, Write};

use serde::Serialize;
use tidegate_chaos::{Count, report::RoundReport};

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
}

impl Newcomer {
    /// How long it took until it issued; none if it never did.
    pub fn took_ms(&self) -> Option<u64> {
        let issued_ms = self.issued_ms?;
        Some(issued_ms.saturating_sub(self.at_ms))
    }
}

impl Report {
    pub fn table(&self) -> String {
        text(self)
    }

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
        for step in self.whole() {
            let failed = step.grew(Sample::failed);
            if failed > 0 {
                broken.push(format!(
                    "{failed} calls failed in the step \"{}\" for a caller who follows the answers.",
                    step.name
                ));
            }
        }
        for newcomer in &self.acted.newcomers {
            let limit = SPREAD_LIMIT.as_millis() as u64;
            if newcomer.took_ms().is_none_or(|took| took > limit) {
                broken.push(format!(
                    "{} took no load within {limit} ms.",
                    newcomer.replica
                ));
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
        let mut missing = Vec::new();
        let mut need = |count: u64, words: String| {
            if count == 0 {
                missing.push(words);
            }
        };
        for departure in &self.acted.departures {
            let words = format!("nothing was under way when {} left", departure.replica);
            need(departure.in_flight, words);
        }
        for step in &self.acted.steps {
            let words = format!("no coupon was issued in the step \"{}\"", step.name);
            need(step.grew(|sample| sample.counts.issued), words);
        }
        let at_cut = self.acted.in_flight_at_cut;
        need(at_cut, "nothing was under way at the cut".to_owned());
        let back = "no lease of the replica that was cut off was taken back";
        need(self.round.leases_reclaimed, back.to_owned());
        need(self.round.counts.accepted, "nobody ordered".to_owned());
        missing
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    write_steps(out, report)?;
    writeln!(out, "\n  takes load after")?;
    for newcomer in &report.acted.newcomers {
        let took = newcomer.took_ms().map_or("never".to_owned(), seconds);
        writeln!(out, "  {:<38} {took:>8}", newcomer.replica)?;
    }
    writeln!(
        out,
        "\n  {:<22} {:>13} {:>10}",
        "drained", "requests then", "took"
    )?;
    for departure in &report.acted.departures {
        let (name, took) = (&departure.replica, seconds(departure.took_ms));
        let trouble = departure.trouble.as_deref().unwrap_or_default();
        writeln!(
            out,
            "  {name:<22} {:>13} {took:>10}  {trouble}",
            departure.in_flight
        )?;
    }
    write_end(out, report)
}

fn write_steps(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(
        out,
        "\n  {:<22} {:>6} {:>9} {:>10} {:>8} {:>7}  share of each issuance, %",
        "step", "s", "issued/s", "refused/s", "again/s", "failed"
    )?;
    for step in &report.acted.steps {
        let (issued, refused) = (
            step.per_second(|sample| sample.counts.issued),
            step.per_second(Sample::refused),
        );
        let (again, failed) = (step.per_second(Sample::put_off), step.grew(Sample::failed));
        let (name, took) = (&step.name, step.seconds());
        write!(
            out,
            "  {name:<22} {took:>6.1} {issued:>9.1} {refused:>10.1} {again:>8.1} {failed:>7}  "
        )?;
        for (name, share) in step.shares() {
            let number = name.trim_start_matches("issuance");
            write!(out, "{number} {:.0}  ", share * 100.0)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "\n  refusals by reason")?;
    for step in &report.acted.steps {
        write!(out, "  {:<22}", step.name)?;
        for reason in step.to.counts.refusals.keys() {
            let of = |sample: &Sample| sample.counts.refusals.get(reason).copied().unwrap_or(0);
            write!(out, " {reason} {}", step.grew(of))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_end(out: &mut String, report: &Report) -> fmt::Result {
    let round = &report.round;
    writeln!(
        out,
        "\n  {:<22} {:>8} {:>8} {:>8} {:>8}",
        "campaign", "stock", "issued", "told", "orders"
    )?;
    for campaign in &round.campaigns {
        writeln!(
            out,
            "  {:<22} {:>8} {:>8} {:>8} {:>8}",
            campaign.campaign_id, campaign.stock, campaign.issued, campaign.told, campaign.orders
        )?;
    }
    let mut lines = vec![
        ("requests sent", round.counts.sent),
        ("orders accepted", round.counts.accepted),
        ("duplicated at one moment", round.counts.duplicated),
        ("sent again when all was over", round.counts.late),
        (
            "leases of silent holders taken back",
            round.leases_reclaimed,
        ),
        (
            "requests under way at the cut",
            report.acted.in_flight_at_cut,
        ),
        ("must be zero: failed for who obeys", report.failed()),
    ];
    let counts = Count::ALL.iter();
    lines.extend(counts.map(|count| (count.words(), round.findings.total(*count))));
    for (words, number) in lines {
        writeln!(out, "  {words:<38} {number:>8}")?;
    }
    for example in round.findings.examples() {
        writeln!(out, "    {example}")?;
    }
    writeln!(out)?;
    let (broken, took) = (report.broken(), round.took_seconds);
    for sentence in &broken {
        writeln!(out, "{sentence}")?;
    }
    let verdict = if broken.is_empty() {
        "Nothing was lost and nothing oversold, no call failed, and every replica took its share"
    } else {
        "The run does not hold"
    };
    writeln!(out, "{verdict}; {took:.0} s.")
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
        assert!(report.table().contains("quota-0"));
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
