//! The report for people.

use std::fmt::{Result, Write};

use super::{Report, RoundReport};
use crate::{faults::Kind, findings::Count};

/// Everything a person looks for, in plain text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> Result {
    let (rounds, seed) = (report.rounds.len(), report.seed);
    writeln!(out, "\nSeed {seed}, rounds: {rounds}")?;
    write_faults(out, report)?;
    write_passed(out, report)?;
    for round in &report.rounds {
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
            let of = |count| round.findings.of(&campaign.campaign_id, count);
            let found: Vec<String> = Count::ALL
                .iter()
                .filter(|count| of(**count) > 0)
                .map(|count| format!("{} {}", of(*count), count.words()))
                .collect();
            let found = if found.is_empty() {
                "nothing".to_owned()
            } else {
                found.join(", ")
            };
            writeln!(
                out,
                "  {:<12} {:>8} {:>8} {:>8} {:>8}  {found}",
                campaign.campaign_id,
                campaign.stock,
                campaign.issued,
                campaign.told,
                campaign.orders
            )?;
        }
        for example in round.findings.examples() {
            writeln!(out, "    {example}")?;
        }
    }
    write_counts(out, report)?;
    write_verdict(out, report)
}

fn write_faults(out: &mut String, report: &Report) -> Result {
    writeln!(
        out,
        "\n  {:<34} {:>6} {:>22}",
        "fault", "times", "requests under way"
    )?;
    for kind in Kind::ALL.iter().copied() {
        let in_flight: Vec<u64> = report
            .inflicted(kind)
            .map(|fault| fault.in_flight)
            .collect();
        let (least, most) = (in_flight.iter().min(), in_flight.iter().max());
        let range = match (least, most) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "never".to_owned(),
        };
        writeln!(
            out,
            "  {:<34} {:>6} {range:>22}",
            kind.name(),
            in_flight.len()
        )?;
    }
    Ok(())
}

fn write_passed(out: &mut String, report: &Report) -> Result {
    writeln!(out)?;
    let took: f64 = report.rounds.iter().map(|round| round.took_seconds).sum();
    let issued = report.sum(|round| round.issued);
    for (words, number) in [
        ("requests sent", report.sum(|round| round.sent)),
        ("coupons issued", issued),
        ("coupons told again", report.sum(|round| round.replayed)),
        ("orders accepted", report.sum(|round| round.accepted)),
        ("orders cancelled", report.sum(|round| round.cancelled)),
        (
            "orders refused by full stores",
            report.sum(RoundReport::full_stores),
        ),
        (
            "duplicated at one moment",
            report.sum(|round| round.duplicated),
        ),
        (
            "sent again when all was over",
            report.sum(|round| round.late),
        ),
        ("outcomes unknown", report.sum(|round| round.unknown)),
        (
            "commits looked up again",
            report.sum(|round| round.connection_losses),
        ),
        (
            "leases reclaimed",
            report.sum(|round| round.leases_reclaimed),
        ),
        (
            "spends of sealed leases refused",
            report.sum(|round| round.fence_refusals),
        ),
        ("halts acknowledged", report.sum(|round| round.halts)),
    ] {
        writeln!(out, "  {words:<34} {number:>6}")?;
    }
    writeln!(
        out,
        "  {:<34} {:>6.0}",
        "coupons issued a second",
        issued as f64 / took.max(1.0)
    )
}

fn write_counts(out: &mut String, report: &Report) -> Result {
    writeln!(out, "\n  {:<38} {:>6}", "must be zero", "")?;
    for count in Count::ALL.iter().copied() {
        writeln!(out, "  {:<38} {:>6}", count.words(), report.total(count))?;
    }
    Ok(())
}

fn write_verdict(out: &mut String, report: &Report) -> Result {
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
