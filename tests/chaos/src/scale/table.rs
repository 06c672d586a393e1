//! The report for people.

use std::fmt::{Result, Write};

use super::report::Report;
use crate::findings::Count;

/// Everything a person looks for, in plain text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> Result {
    write_steps(out, report)?;
    write_newcomers(out, report)?;
    write_departures(out, report)?;
    write_campaigns(out, report)?;
    write_counts(out, report)
}

fn write_steps(out: &mut String, report: &Report) -> Result {
    writeln!(
        out,
        "\n  {:<22} {:>6} {:>9} {:>10} {:>8} {:>7}  share of each issuance, %",
        "step", "s", "issued/s", "refused/s", "again/s", "failed"
    )?;
    for step in &report.acted.steps {
        let shares: Vec<String> = step
            .shares()
            .into_iter()
            .map(|(name, share)| {
                let number = name.trim_start_matches("issuance");
                format!("{number} {:.0}", share * 100.0)
            })
            .collect();
        writeln!(
            out,
            "  {:<22} {:>6.1} {:>9.1} {:>10.1} {:>8.1} {:>7}  {}",
            step.name,
            step.seconds(),
            step.issued_per_second(),
            step.refused_per_second(),
            step.put_off_per_second(),
            step.failed(),
            shares.join("  ")
        )?;
    }
    writeln!(out, "\n  refusals by reason")?;
    for step in &report.acted.steps {
        let refusals = step.refusals().into_iter();
        let refusals: Vec<String> = refusals
            .map(|(reason, number)| format!("{reason} {number}"))
            .collect();
        writeln!(out, "  {:<22} {}", step.name, refusals.join(", "))?;
    }
    Ok(())
}

fn write_newcomers(out: &mut String, report: &Report) -> Result {
    writeln!(out, "\n  {:<38} {:>6}", "takes load after", "s")?;
    for newcomer in &report.acted.newcomers {
        let how = if newcomer.is_back {
            "connected again"
        } else {
            "published"
        };
        let took = newcomer.took_ms().map_or("never".to_owned(), seconds);
        let words = format!("{} {how}", newcomer.replica);
        writeln!(out, "  {words:<38} {took:>6}")?;
    }
    Ok(())
}

fn write_departures(out: &mut String, report: &Report) -> Result {
    writeln!(
        out,
        "\n  {:<22} {:>16} {:>8}",
        "drained", "requests then", "s"
    )?;
    for departure in &report.acted.departures {
        writeln!(
            out,
            "  {:<22} {:>16} {:>8}  {}",
            departure.replica,
            departure.in_flight,
            seconds(departure.took_ms),
            departure.trouble.as_deref().unwrap_or_default()
        )?;
    }
    Ok(())
}

fn write_campaigns(out: &mut String, report: &Report) -> Result {
    writeln!(
        out,
        "\n  {:<22} {:>8} {:>8} {:>8} {:>8}",
        "campaign", "stock", "issued", "told", "orders"
    )?;
    for campaign in &report.round.campaigns {
        writeln!(
            out,
            "  {:<22} {:>8} {:>8} {:>8} {:>8}",
            campaign.campaign_id, campaign.stock, campaign.issued, campaign.told, campaign.orders
        )?;
    }
    for (words, number) in [
        ("requests sent", report.round.sent),
        ("orders accepted", report.round.accepted),
        ("duplicated at one moment", report.round.duplicated),
        ("sent again when all was over", report.round.late),
        (
            "leases of silent holders taken back",
            report.round.leases_reclaimed,
        ),
        (
            "requests under way at the cut",
            report.acted.in_flight_at_cut,
        ),
    ] {
        writeln!(out, "  {words:<38} {number:>8}")?;
    }
    Ok(())
}

fn write_counts(out: &mut String, report: &Report) -> Result {
    let findings = &report.round.findings;
    writeln!(out, "\n  {:<38} {:>8}", "must be zero", "")?;
    let failed = "calls failed for who follows answers";
    writeln!(out, "  {failed:<38} {:>8}", report.failed())?;
    for count in Count::ALL {
        writeln!(out, "  {:<38} {:>8}", count.words(), findings.total(count))?;
    }
    for example in findings.examples() {
        writeln!(out, "    {example}")?;
    }
    writeln!(out)?;
    for sentence in report.broken() {
        writeln!(out, "{sentence}")?;
    }
    let took = report.round.took_seconds;
    if report.broken().is_empty() {
        writeln!(
            out,
            "Nothing was lost and nothing oversold, no call failed, and every replica took its share; {took:.0} s."
        )
    } else {
        writeln!(out, "The run does not hold; {took:.0} s.")
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.1}", milliseconds as f64 / 1_000.0)
}
