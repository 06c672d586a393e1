//! The report for people.

use std::fmt::{Result, Write};

use super::{ClaimRun, EchoRound, Ratio, Report};
use crate::{closed_loop::Outcomes, processor_time::Spent};

/// What the suite is held to at its peak.
const EXPECTED_OF_ECHO: f64 = 0.5;
const EXPECTED_OF_PGBENCH: f64 = 8.0;
/// Below this a part had nothing to do with it.
const SHOWN_FROM_US: f64 = 0.05;
/// Below this share of the machine, other programs are not worth a warning.
const OTHERS_TOLERATED: f64 = 0.05;

/// Every figure that a person looks for, in plain text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> Result {
    let conditions = &report.conditions;
    writeln!(
        out,
        "{}; {} connections; each figure over {} s after {} s of warm-up",
        conditions.machine, conditions.connections, conditions.seconds, conditions.warm_up_seconds
    )?;
    writeln!(out, "\nBare echo over the same TLS (the ceiling)")?;
    for (number, round) in report.echo.iter().enumerate() {
        write_echo(out, number + 1, round)?;
    }
    writeln!(out, "\nOne hot row under pgbench (the peer)")?;
    writeln!(
        out,
        "  {:<12} {:>7} {:>10}  processor time per claim, µs",
        "form", "clients", "claims/s"
    )?;
    for point in &report.pgbench.points {
        writeln!(
            out,
            "  {:<12} {:>7} {:>10.0}  {}",
            point.form,
            point.clients,
            point.per_second,
            costs(&point.processor)
        )?;
    }
    let mut ratios = report.ratios.iter();
    for run in &report.claims {
        write_claims(out, run, &mut ratios)?;
    }
    write_peak(out, report)?;
    write_warnings(out, report)
}

fn write_echo(out: &mut String, number: usize, round: &EchoRound) -> Result {
    writeln!(
        out,
        "  {:<8} {:>8} {:>9} {:>9} {:>9}  processor time per call, µs",
        format!("round {number}"),
        "shoppers",
        "answers/s",
        "p50 ms",
        "p99 ms"
    )?;
    for point in &round.points {
        let outcomes = &point.outcomes;
        writeln!(
            out,
            "  {:<8} {:>8} {:>9.0} {:>9.2} {:>9.2}  {}",
            "",
            point.shoppers,
            outcomes.per_second,
            outcomes.latency_ms.p50,
            outcomes.latency_ms.p99,
            costs(&point.processor)
        )?;
    }
    Ok(())
}

fn write_claims<'a>(
    out: &mut String,
    run: &ClaimRun,
    ratios: &mut impl Iterator<Item = &'a Ratio>,
) -> Result {
    writeln!(
        out,
        "\nClaims, {} of gateway and of issuance, {} of lanes: {} coupons given, {} in the database",
        run.replicas, run.lanes, run.coupons_told, run.coupons_kept
    )?;
    writeln!(
        out,
        "  {:>8} {:>8} {:>8} {:>8} {:>8} {:>11} {:>9} {:>9} {:>9} {:>7} {:>9}",
        "shoppers",
        "claims/s",
        "refused",
        "p50 ms",
        "p99 ms",
        "rows/commit",
        "commits/s",
        "commit ms",
        "queue ms",
        "÷ echo",
        "÷ pgbench"
    )?;
    for (point, ratio) in run.points.iter().zip(ratios) {
        let (outcomes, commits) = (&point.outcomes, &point.commits);
        writeln!(
            out,
            "  {:>8} {:>8.0} {:>8} {:>8.2} {:>8.2} {:>11.1} {:>9.0} {:>9.2} {:>9.2} {:>7.2} {:>9.1}",
            point.shoppers,
            outcomes.per_second,
            outcomes.refused.values().sum::<u64>(),
            outcomes.latency_ms.p50,
            outcomes.latency_ms.p99,
            commits.rows_per_commit,
            commits.per_second,
            commits.commit_ms,
            commits.queue_delay_ms,
            ratio.of_echo,
            ratio.of_pgbench
        )?;
    }
    writeln!(out, "  processor time per claim, µs")?;
    for point in &run.points {
        writeln!(out, "  {:>8} {}", point.shoppers, costs(&point.processor))?;
    }
    for point in &run.points {
        write_refusals(out, point.shoppers, &point.outcomes)?;
    }
    Ok(())
}

/// The parts in falling order, and how busy the machine was.
fn costs(spent: &Spent) -> String {
    let mut parts: Vec<_> = spent
        .us_each
        .iter()
        .filter(|(_, us)| **us >= SHOWN_FROM_US)
        .collect();
    parts.sort_by(|left, right| right.1.total_cmp(left.1));
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, us)| format!("{name} {us:.1}"))
        .collect();
    format!(
        "{} (machine {:.0} % busy, {:.0} % by others)",
        parts.join(", "),
        100.0 * spent.busy,
        100.0 * spent.others
    )
}

fn write_refusals(out: &mut String, shoppers: u32, outcomes: &Outcomes) -> Result {
    for (reason, count) in &outcomes.refused {
        writeln!(out, "  {shoppers:>8} shoppers: {reason} {count} times")?;
    }
    Ok(())
}

fn write_peak(out: &mut String, report: &Report) -> Result {
    let (peak, ratio) = (&report.peak, &report.peak.ratio);
    writeln!(
        out,
        "\nPeak: {:.0} durable claims/s with {} shoppers, {} of gateway and of issuance, {} of lanes",
        ratio.claims_per_second, ratio.shoppers, ratio.replicas, ratio.lanes
    )?;
    writeln!(
        out,
        "  ÷ echo    {:.2} of {:.0}/s with as many shoppers, {:.2} of the best echo; {EXPECTED_OF_ECHO} or more is expected",
        ratio.of_echo, ratio.echo_per_second, peak.of_best_echo
    )?;
    writeln!(
        out,
        "  ÷ pgbench {:.1} times {:.0}/s; {EXPECTED_OF_PGBENCH} or more is expected",
        ratio.of_pgbench, report.pgbench.best.per_second
    )
}

fn write_warnings(out: &mut String, report: &Report) -> Result {
    let echo = report.echo.iter().flat_map(|round| &round.points);
    let claims = report.claims.iter().flat_map(|run| &run.points);
    let spent = echo
        .map(|point| &point.processor)
        .chain(claims.map(|point| &point.processor))
        .chain(report.pgbench.points.iter().map(|point| &point.processor));
    let worst = spent
        .map(|spent| spent.others + spent.stolen)
        .fold(0.0, f64::max);
    if worst > OTHERS_TOLERATED {
        writeln!(
            out,
            "\nOther programs or machines used up to {:.0} % of the processors meanwhile: the figures are too low, and the ratios are uncertain.",
            100.0 * worst
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    #[test]
    fn the_table_names_the_peak_the_refusals_and_a_noisy_machine() {
        let text = text(&examples::report());
        for words in [
            "Peak: 2400 durable claims/s with 64 shoppers",
            "8.0 times 300/s",
            "64 shoppers: OVERLOADED 7 times",
            "up to 25 % of the processors",
        ] {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
    }
}
