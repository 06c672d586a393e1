//! What a run found, for people and for machines.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::{
    faults::{Inflicted, Kind},
    findings::{Count, Findings},
    mutation::Mutation,
    tally::Counts,
};

#[derive(Debug, Clone, Serialize)]
pub struct CampaignReport {
    pub campaign_id: String,
    pub stock: u64,
    /// How many the database has.
    pub issued: u64,
    /// How many claims were told of a coupon.
    pub told: u64,
    /// How many orders the database has of its shoppers.
    pub orders: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct RoundReport {
    pub seed: u64,
    pub faults: Vec<Inflicted>,
    /// Until everything was whole again.
    pub faults_took_seconds: f64,
    /// With selling out and late requests.
    pub took_seconds: f64,
    pub campaigns: Vec<CampaignReport>,
    #[serde(flatten)]
    pub counts: Counts,
    /// Leases that quota took back from holders that had gone silent.
    pub leases_reclaimed: u64,
    pub fence_refusals: u64,
    /// Commits whose outcome issuance had to look up, since the connection was lost.
    pub connection_losses: u64,
    pub findings: Findings,
}

impl RoundReport {
    /// Orders refused because their store had no room.
    fn full_stores(&self) -> u64 {
        self.counts.refusals.get("STORE_BUSY").copied().unwrap_or(0)
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The seed of the run, which is that of its first round.
    pub seed: u64,
    pub mutation: Option<Mutation>,
    pub rounds: Vec<RoundReport>,
}

impl Report {
    pub fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        Self {
            seed,
            mutation,
            rounds: Vec::new(),
        }
    }

    pub fn found_something(&self) -> bool {
        self.rounds.iter().any(|round| !round.findings.none())
    }

    pub fn total(&self, count: Count) -> u64 {
        self.sum(|round| round.findings.total(count))
    }

    /// What is missing for the run to prove anything; nothing if it does.
    pub fn vacuous_because(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let mut need = |number: u64, words: &str| {
            if number == 0 {
                missing.push(words.to_owned());
            }
        };
        for (number, words) in [
            (self.sum(|it| it.counts.unknown), "no outcome was unknown"),
            (self.sum(|it| it.leases_reclaimed), "no lease was reclaimed"),
            (
                self.sum(|it| it.fence_refusals),
                "no write of a sealed lease was refused",
            ),
            (self.sum(|it| it.counts.halts), "no halt was acknowledged"),
            (self.sum(|it| it.counts.cancelled), "no order was cancelled"),
            (self.sum(RoundReport::full_stores), "no store was full"),
            (
                self.sum(|it| it.counts.duplicated),
                "no request was duplicated",
            ),
            (self.sum(|it| it.counts.late), "no request came late"),
        ] {
            need(number, words);
        }
        for fault in self.rounds.iter().flat_map(|round| &round.faults) {
            need(
                fault.in_flight,
                &format!("nothing was under way at {}", fault.fault),
            );
        }
        for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_possible()) {
            let times = self.inflicted(kind).count() as u64;
            need(times, &format!("there was no {}", kind.name()));
        }
        missing
    }

    /// Whether the run proves what it was for: that nothing breaks, or that a mutation is caught.
    pub fn holds(&self) -> bool {
        match self.mutation {
            Some(mutation) => self.caught(mutation),
            None => !self.found_something() && self.vacuous_because().is_empty(),
        }
    }

    fn caught(&self, mutation: Mutation) -> bool {
        mutation
            .exposed_by()
            .iter()
            .any(|count| self.total(*count) > 0)
    }

    pub fn table(&self) -> String {
        text(self)
    }

    fn inflicted(&self, kind: Kind) -> impl Iterator<Item = &Inflicted> {
        let faults = self.rounds.iter().flat_map(|round| &round.faults);
        faults.filter(move |fault| fault.kind == kind)
    }

    fn sum(&self, number: impl Fn(&RoundReport) -> u64) -> u64 {
        self.rounds.iter().map(number).sum()
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let (rounds, seed) = (report.rounds.len(), report.seed);
    writeln!(out, "\nSeed {seed}, rounds: {rounds}")?;
    writeln!(
        out,
        "\n  {:<34} {:>6} {:>22}",
        "fault", "times", "requests under way"
    )?;
    for kind in Kind::ALL {
        let in_flight = || report.inflicted(*kind).map(|fault| fault.in_flight);
        let range = in_flight().min().zip(in_flight().max());
        let range = range.map_or("never".to_owned(), |(least, most)| {
            format!("{least} to {most}")
        });
        let (name, times) = (kind.name(), in_flight().count());
        writeln!(out, "  {name:<34} {times:>6} {range:>22}")?;
    }
    write_passed(out, report)?;
    for round in &report.rounds {
        write_round(out, round)?;
    }
    writeln!(out, "\n  must be zero")?;
    for count in Count::ALL {
        writeln!(out, "  {:<38} {:>6}", count.words(), report.total(*count))?;
    }
    write_verdict(out, report)
}

fn write_round(out: &mut String, round: &RoundReport) -> fmt::Result {
    writeln!(
        out,
        "\nRound of seed {}, {:.0} s",
        round.seed, round.took_seconds
    )?;
    writeln!(
        out,
        "  {:<12} {:>8} {:>8} {:>8} {:>8}  found",
        "campaign", "stock", "issued", "told", "orders"
    )?;
    for campaign in &round.campaigns {
        let of = |count: &Count| round.findings.of(&campaign.campaign_id, *count);
        let found = Count::ALL.iter().filter(|count| of(count) > 0);
        let found: Vec<_> = found
            .map(|count| format!("{} {}", of(count), count.words()))
            .collect();
        writeln!(
            out,
            "  {:<12} {:>8} {:>8} {:>8} {:>8}  {}",
            campaign.campaign_id,
            campaign.stock,
            campaign.issued,
            campaign.told,
            campaign.orders,
            found.join(", ")
        )?;
    }
    for example in round.findings.examples() {
        writeln!(out, "    {example}")?;
    }
    Ok(())
}

fn write_passed(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out)?;
    let took: f64 = report.rounds.iter().map(|round| round.took_seconds).sum();
    let counted = |count: fn(&Counts) -> u64| report.sum(|round| count(&round.counts));
    let issued = counted(|it| it.issued);
    for (words, number) in [
        ("requests sent", counted(|it| it.sent)),
        ("coupons issued", issued),
        ("coupons told again", counted(|it| it.replayed)),
        ("orders accepted", counted(|it| it.accepted)),
        ("orders cancelled", counted(|it| it.cancelled)),
        (
            "orders refused by full stores",
            report.sum(RoundReport::full_stores),
        ),
        ("duplicated at one moment", counted(|it| it.duplicated)),
        ("sent again when all was over", counted(|it| it.late)),
        ("outcomes unknown", counted(|it| it.unknown)),
        (
            "commits looked up again",
            report.sum(|it| it.connection_losses),
        ),
        ("leases reclaimed", report.sum(|it| it.leases_reclaimed)),
        (
            "spends of sealed leases refused",
            report.sum(|it| it.fence_refusals),
        ),
        ("halts acknowledged", counted(|it| it.halts)),
        (
            "coupons issued a second",
            (issued as f64 / took.max(1.0)).round() as u64,
        ),
    ] {
        writeln!(out, "  {words:<34} {number:>6}")?;
    }
    Ok(())
}

fn write_verdict(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out)?;
    if let Some(mutation) = report.mutation {
        let verdict = if report.holds() {
            "was caught"
        } else {
            "was NOT caught"
        };
        return writeln!(out, "The mutation {} {verdict}.", mutation.name());
    }
    for missing in report.vacuous_because() {
        writeln!(out, "The run proves nothing: {missing}.")?;
    }
    let verdict = match (report.found_something(), report.holds()) {
        (true, _) => "Promises were broken.",
        (false, true) => "Every promise holds, and each fault hit requests that were under way.",
        (false, false) => "No broken promise was found, but the run was not hard enough.",
    };
    writeln!(out, "{verdict}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nothing_happened_proves_nothing() {
        let mut report = Report::new(1, None);
        report.rounds.push(RoundReport::default());
        assert!(!report.found_something() && !report.holds());
        assert!(report.vacuous_because().len() > Kind::ALL.len());
    }

    #[test]
    fn a_mutation_that_nothing_was_found_of_is_not_caught() {
        let mut report = Report::new(1, Some(Mutation::DropUniqueKey));
        report.rounds.push(RoundReport::default());
        assert!(!report.holds());
        let mut found = |count| report.rounds[0].findings.add("tea", count, 1, "one");
        found(Count::LeftUndecided);
        assert!(!report.holds());
        let mut found = |count| report.rounds[0].findings.add("tea", count, 1, "one");
        found(Count::RequestsWithTwo);
        assert!(report.holds());
    }
}
