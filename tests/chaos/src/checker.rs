//! Holds the three databases against each other and against what the shoppers were told.

mod books;
mod claims;
mod orders;
mod stock;

use crate::{campaigns::Campaign, findings::Findings, ledger::Told};

pub use books::{Books, Facts};

#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub campaign: &'a Campaign,
    pub place: usize,
    /// Whether more was asked for than there is, so that all of it must have been issued.
    pub is_sold_out: bool,
}

impl Subject<'_> {
    fn id(&self) -> &str {
        &self.campaign.terms.id
    }
}

pub fn check(subject: Subject<'_>, facts: &Facts, told: &Told) -> Findings {
    let mut findings = Findings::default();
    stock::check(subject, facts, told, &mut findings);
    claims::check(subject, facts, told, &mut findings);
    orders::check(subject, facts, told, &mut findings);
    findings
}

#[cfg(test)]
mod tests;
