//! What a run found, for people and for machines.

mod table;

use serde::Serialize;

use crate::{
    faults::{Inflicted, Kind},
    findings::{Count, Findings},
    mutation::Mutation,
    tally::Counts,
};

/// A campaign at the end of its round.
#[derive(Debug, Clone, Serialize)]
pub struct CampaignReport {
    pub campaign_id: String,
    /// How many coupons there were to give.
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
    /// Repeats the round by itself.
    pub seed: u64,
    /// The faults, in their order.
    pub faults: Vec<Inflicted>,
    /// Until everything was whole again.
    pub faults_took_seconds: f64,
    /// With selling out and late requests.
    pub took_seconds: f64,
    /// The campaigns that anybody claimed of.
    pub campaigns: Vec<CampaignReport>,
    /// What passed.
    #[serde(flatten)]
    pub counts: Counts,
    /// Leases that quota took back from holders that had gone silent.
    pub leases_reclaimed: u64,
    /// Spends of leases that the database refused.
    pub fence_refusals: u64,
    /// Commits whose outcome issuance had to look up, since the connection was lost.
    pub connection_losses: u64,
    /// What must be zero.
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
    /// The promise that was broken on purpose.
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

    /// Whether anything was found that must not be.
    pub fn found_something(&self) -> bool {
        self.rounds.iter().any(|round| !round.findings.none())
    }

    /// How often something was found, over all rounds.
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
        table::text(self)
    }

    fn inflicted(&self, kind: Kind) -> impl Iterator<Item = &Inflicted> {
        let faults = self.rounds.iter().flat_map(|round| &round.faults);
        faults.filter(move |fault| fault.kind == kind)
    }

    fn sum(&self, number: impl Fn(&RoundReport) -> u64) -> u64 {
        self.rounds.iter().map(number).sum()
    }
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
