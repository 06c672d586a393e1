//! The report for people.

use std::fmt::{Result, Write};

use tidegate_chaos::Count;

use crate::{report::Report, timeline::Sample};

pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> Result {
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

fn write_steps(out: &mut String, report: &Report) -> Result {
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

fn write_end(out: &mut String, report: &Report) -> Result {
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
