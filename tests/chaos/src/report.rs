//! What a run found, for people and for machines.

use std::fmt::{self, Display, Formatter};

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    console::table,
    faults::{Inflicted, Kind},
    findings::{Count, Findings},
    mutation::Mutation,
    tally::Counts,
};

/// What passes in a round: in words, what is said of a run in which it did not if such a run proves
/// nothing, and how often.
type Passed = (&'static str, Option<&'static str>, fn(&RoundReport) -> u64);

const PASSED: [Passed; 13] = [
    ("requests sent", None, |it| it.counts.sent),
    ("coupons issued", None, |it| it.counts.issued),
    ("coupons told again", None, |it| it.counts.replayed),
    ("orders accepted", None, |it| it.counts.accepted),
    ("orders cancelled", Some("no order was cancelled"), |it| {
        it.counts.cancelled
    }),
    (
        "orders refused by full stores",
        Some("no store was full"),
        |it| it.counts.refused("STORE_BUSY"),
    ),
    (
        "duplicated at one moment",
        Some("no request was duplicated"),
        |it| it.counts.duplicated,
    ),
    (
        "sent again when all was over",
        Some("no request came late"),
        |it| it.counts.late,
    ),
    ("outcomes unknown", Some("no outcome was unknown"), |it| {
        it.counts.unknown
    }),
    ("commits looked up again", None, |it| it.connection_losses),
    ("leases reclaimed", Some("no lease was reclaimed"), |it| {
        it.leases_reclaimed
    }),
    (
        "spends of sealed leases refused",
        Some("no write of a sealed lease was refused"),
        |it| it.fence_refusals,
    ),
    (
        "halts acknowledged",
        Some("no halt was acknowledged"),
        |it| it.counts.halts,
    ),
];

/// What never was of all that has to be, in words.
pub fn missing(needed: impl Iterator<Item = (u64, String)>) -> Vec<String> {
    let missing = needed.filter(|(number, _)| *number == 0);
    missing.map(|(_, words)| words).collect()
}

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
    /// Its campaigns, and examples of what was found, for people.
    pub fn campaigns(&self) -> String {
        let rows = self.campaigns.iter().map(|it| {
            let of = |count: &Count| self.findings.of(&it.campaign_id, *count);
            let found = Count::ALL.iter().filter(|count| of(count) > 0);
            let found: Vec<_> = found
                .map(|count| format!("{} {}", of(count), count.words()))
                .collect();
            let (id, found) = (&it.campaign_id, found.join(", "));
            format!(
                "{id}|{}|{}|{}|{}|{found}",
                it.stock, it.issued, it.told, it.orders
            )
        });
        let examples = self.findings.examples().iter();
        let examples = examples.map(|example| format!("    {example}\n"));
        table("campaign|stock|issued|told|orders|found", rows) + &examples.collect::<String>()
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

    /// What was found in all rounds.
    pub fn findings(&self) -> Findings {
        let mut all = Findings::default();
        for round in &self.rounds {
            all.absorb(round.findings.clone());
        }
        all
    }

    /// What is missing for the run to prove anything; nothing if it does.
    pub fn vacuous_because(&self) -> Vec<String> {
        let passed = PASSED
            .iter()
            .filter_map(|(_, missing, number)| Some((self.sum(number), (*missing)?.to_owned())));
        let faults = self.rounds.iter().flat_map(|round| &round.faults);
        let hits = faults.map(|it| {
            let words = format!("nothing was under way at {}", it.fault);
            (it.in_flight, words)
        });
        let possible = Kind::value_variants()
            .iter()
            .filter(|kind| kind.is_possible());
        let kinds = possible.map(|kind| {
            let times = self.inflicted(*kind).count() as u64;
            (times, format!("there was no {}", kind.name()))
        });
        missing(passed.chain(hits).chain(kinds))
    }

    /// Whether the run proves what it was for: that nothing breaks, or that a mutation is caught.
    pub fn holds(&self) -> bool {
        let findings = self.findings();
        match self.mutation {
            Some(mutation) => {
                let mut exposed_by = mutation.exposed_by().iter();
                exposed_by.any(|count| findings.total(*count) > 0)
            }
            None => findings.none() && self.vacuous_because().is_empty(),
        }
    }

    fn inflicted(&self, kind: Kind) -> impl Iterator<Item = &Inflicted> {
        let faults = self.rounds.iter().flat_map(|round| &round.faults);
        faults.filter(move |fault| fault.kind == kind)
    }

    fn sum(&self, number: impl Fn(&RoundReport) -> u64) -> u64 {
        self.rounds.iter().map(number).sum()
    }

    fn faults(&self) -> String {
        let rows = Kind::value_variants().iter().map(|kind| {
            let in_flight = || self.inflicted(*kind).map(|fault| fault.in_flight);
            let range = in_flight().min().zip(in_flight().max());
            let range = range.map_or("never".to_owned(), |(least, most)| {
                format!("{least} to {most}")
            });
            format!("{}|{}|{range}|", kind.name(), in_flight().count())
        });
        table("fault|times|requests under way|", rows)
    }

    fn passed(&self) -> String {
        let passed = PASSED.iter();
        let passed = passed.map(|(words, _, number)| format!("{words}|{}|", self.sum(number)));
        let took: f64 = self.rounds.iter().map(|round| round.took_seconds).sum();
        let rate = self.sum(|it| it.counts.issued) as f64 / took.max(1.0);
        table(
            "passed||",
            passed.chain([format!("coupons issued a second|{rate:.0}|")]),
        )
    }

    fn verdict(&self) -> String {
        let verdict = match (self.mutation, self.findings().none(), self.holds()) {
            (Some(mutation), _, true) => format!("The mutation {} was caught.", mutation.name()),
            (Some(mutation), _, _) => format!("The mutation {} was NOT caught.", mutation.name()),
            (_, false, _) => "Promises were broken.".to_owned(),
            (_, _, true) => {
                "Every promise holds, and each fault hit requests that were under way.".to_owned()
            }
            _ => "No broken promise was found, but the run was not hard enough.".to_owned(),
        };
        let missing = self.vacuous_because().into_iter();
        let missing = missing.filter(|_| self.mutation.is_none());
        let missing = missing.map(|missing| format!("The run proves nothing: {missing}.\n"));
        missing.chain([verdict]).collect()
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "\nSeed {}, rounds: {}\n", self.seed, self.rounds.len())?;
        writeln!(out, "{}\n{}", self.faults(), self.passed())?;
        for round in &self.rounds {
            writeln!(
                out,
                "Round of seed {}, {:.0} s\n{}",
                round.seed,
                round.took_seconds,
                round.campaigns()
            )?;
        }
        writeln!(out, "{}\n{}", self.findings(), self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nothing_happened_proves_nothing() {
        let mut report = Report::new(1, None);
        report.rounds.push(RoundReport::default());
        assert!(report.findings().none() && !report.holds());
        assert!(report.vacuous_because().len() > Kind::value_variants().len());
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
