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

/// Why an order is refused whose store has no room.
const FULL_STORE: &str = "STORE_BUSY";

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

    /// Its faults by their kind.
    fn kinds(&self) -> String {
        let rows = Kind::value_variants().iter().map(|kind| {
            let of_kind = || self.faults.iter().filter(|it| it.kind == *kind);
            let in_flight = || of_kind().map(|fault| fault.in_flight);
            let range = in_flight().min().zip(in_flight().max());
            let range = range.map(|(least, most)| format!("{least} to {most}"));
            let range = range.unwrap_or_else(|| "never".to_owned());
            format!("{}|{}|{range}|", kind.name(), in_flight().count())
        });
        table("fault|times|requests under way|", rows)
    }

    fn passed(&self) -> String {
        let counts = &self.counts;
        let rate = counts.issued as f64 / self.took_seconds.max(1.0);
        let passed = [
            ("requests sent", counts.sent),
            ("coupons issued", counts.issued),
            ("coupons told again", counts.replayed),
            ("orders accepted", counts.accepted),
            ("orders cancelled", counts.cancelled),
            ("orders refused by full stores", counts.refused(FULL_STORE)),
            ("duplicated at one moment", counts.duplicated),
            ("sent again when all was over", counts.late),
            ("outcomes unknown", counts.unknown),
            ("commits looked up again", self.connection_losses),
            ("leases reclaimed", self.leases_reclaimed),
            ("spends of sealed leases refused", self.fence_refusals),
            ("halts acknowledged", counts.halts),
            ("coupons issued a second", rate.round() as u64),
        ];
        let passed = passed.map(|(words, number)| format!("{words}|{number}|"));
        table("passed||", passed)
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

    /// All rounds as one.
    pub fn whole(&self) -> RoundReport {
        let mut whole = RoundReport::default();
        for round in &self.rounds {
            whole.faults.extend_from_slice(&round.faults);
            whole.took_seconds += round.took_seconds;
            whole.counts.add(&round.counts);
            whole.leases_reclaimed += round.leases_reclaimed;
            whole.fence_refusals += round.fence_refusals;
            whole.connection_losses += round.connection_losses;
            whole.findings.absorb(round.findings.clone());
        }
        whole
    }

    /// What is missing for the run to prove anything; nothing if it does.
    pub fn vacuous_because(&self) -> Vec<String> {
        let whole = self.whole();
        let counts = &whole.counts;
        let passed = [
            (counts.unknown, "no outcome was unknown"),
            (whole.leases_reclaimed, "no lease was reclaimed"),
            (
                whole.fence_refusals,
                "no write of a sealed lease was refused",
            ),
            (counts.halts, "no halt was acknowledged"),
            (counts.cancelled, "no order was cancelled"),
            (counts.refused(FULL_STORE), "no store was full"),
            (counts.duplicated, "no request was duplicated"),
            (counts.late, "no request came late"),
        ];
        let passed = passed.map(|(number, words)| (number, words.to_owned()));
        let hits = whole.faults.iter().map(|it| {
            let words = format!("nothing was under way at {}", it.fault);
            (it.in_flight, words)
        });
        let kinds = Kind::value_variants().iter();
        let kinds = kinds.filter(|kind| kind.is_possible()).map(|kind| {
            let times = whole.faults.iter().filter(|it| it.kind == *kind);
            (
                times.count() as u64,
                format!("there was no {}", kind.name()),
            )
        });
        missing(passed.into_iter().chain(hits).chain(kinds))
    }

    /// Whether the run proves what it was for: that nothing breaks, or that a mutation is caught.
    pub fn holds(&self) -> bool {
        let findings = self.whole().findings;
        match self.mutation {
            Some(mutation) => {
                let mut exposed_by = mutation.exposed_by().iter();
                exposed_by.any(|count| findings.total(*count) > 0)
            }
            None => findings.none() && self.vacuous_because().is_empty(),
        }
    }

    fn verdict(&self) -> String {
        let verdict = match (self.mutation, self.whole().findings.none(), self.holds()) {
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
        let whole = self.whole();
        writeln!(out, "{}\n{}", whole.kinds(), whole.passed())?;
        for round in &self.rounds {
            writeln!(
                out,
                "Round of seed {}, {:.0} s\n{}",
                round.seed,
                round.took_seconds,
                round.campaigns()
            )?;
        }
        writeln!(out, "{}\n{}", whole.findings, self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nothing_happened_proves_nothing() {
        let mut report = Report::new(1, None);
        report.rounds.push(RoundReport::default());
        assert!(report.whole().findings.none() && !report.holds());
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
