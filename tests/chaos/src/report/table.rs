//! The report for people.

use std::fmt::{Result, Write};

use super::{Report, RoundReport};
use crate::{faults::Kind, findings::Count, tally::Counts};

pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> Result {
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

fn write_round(out: &mut String, round: &RoundReport) -> Result {
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

fn write_passed(out: &mut String, report: &Report) -> Result {
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
