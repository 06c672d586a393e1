//! Holds the three databases against each other and against what the shoppers were told.

mod books;
mod claims;
mod orders;
mod stock;

use crate::{
    campaigns::Campaign,
    findings::{Count, Findings},
    ledger::Told,
};

pub use books::{Books, Facts};

/// A campaign with all that is known of it.
pub struct Subject<'a> {
    pub campaign: &'a Campaign,
    pub place: usize,
    /// Whether more was asked for than there is, so that all of it must have been issued.
    pub is_sold_out: bool,
    pub facts: &'a Facts,
    pub told: &'a Told,
}

struct Check<'a> {
    subject: Subject<'a>,
    findings: Findings,
}

impl Check<'_> {
    fn found(&mut self, count: Count, number: u64, example: impl Into<String>) {
        let campaign_id = &self.subject.campaign.terms.id;
        self.findings.add(campaign_id, count, number, example);
    }
}

pub fn check(subject: Subject<'_>) -> Findings {
    let mut check = Check {
        subject,
        findings: Findings::default(),
    };
    check.stock();
    check.claims();
    check.orders();
    check.findings
}

#[cfg(test)]
mod tests;
