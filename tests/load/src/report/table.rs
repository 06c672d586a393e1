//! The report for people.

use std::fmt::{Result, Write};

use super::{ClaimRun, Ratio, Report};
use crate::{processor_time::Spent, table::Table};

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
    let heading = "round|shoppers|answers/s|p50 ms|p99 ms|processor time per call, µs";
    let mut echo = Table::new(heading);
    for (number, round) in report.echo.iter().enumerate() {
        for point in &round.points {
            let (shoppers, rate) = (point.shoppers, point.outcomes.per_second);
            let (latency, costs) = (point.outcomes.latency_ms, costs(&point.processor));
            let (p50, p99, round) = (latency.p50, latency.p99, number + 1);
            echo.row(format!(
                "{round}|{shoppers}|{rate:.0}|{p50:.2}|{p99:.2}|{costs}"
            ));
        }
    }
    writeln!(out, "\nBare echo over the same TLS (the ceiling)\n{echo}")?;
    let mut peer = Table::new("form|clients|claims/s|processor time per claim, µs");
    for point in &report.pgbench.points {
        let (form, clients, rate) = (&point.form, point.clients, point.per_second);
        peer.row(format!(
            "{form}|{clients}|{rate:.0}|{}",
            costs(&point.processor)
        ));
    }
    writeln!(out, "One hot row under pgbench (the peer)\n{peer}")?;
    let mut ratios = report.ratios.iter();
    for run in &report.claims {
        write_claims(out, run, &mut ratios)?;
    }
    write_peak(out, report)?;
    write_warnings(out, report)
}

fn write_claims<'a>(
    out: &mut String,
    run: &ClaimRun,
    ratios: &mut impl Iterator<Item = &'a Ratio>,
) -> Result {
    writeln!(
        out,
        "Claims, {} of gateway and of issuance, {} of lanes: {} coupons given, {} in the database",
        run.replicas, run.lanes, run.coupons_told, run.coupons_kept
    )?;
    let heading = "shoppers|claims/s|refused|p50 ms|p99 ms|rows/commit|commits/s|commit ms|queue ms|÷ echo|÷ pgbench|processor time per claim, µs";
    let mut table = Table::new(heading);
    for (point, ratio) in run.points.iter().zip(ratios) {
        let (outcomes, commits) = (&point.outcomes, &point.commits);
        let (shoppers, rate) = (point.shoppers, outcomes.per_second);
        let refused: u64 = outcomes.refused.values().sum();
        let (p50, p99) = (outcomes.latency_ms.p50, outcomes.latency_ms.p99);
        let (rows, per_second) = (commits.rows_per_commit, commits.per_second);
        let (commit, queue) = (commits.commit_ms, commits.queue_delay_ms);
        let (echo, pgbench) = (ratio.of_echo, ratio.of_pgbench);
        let costs = costs(&point.processor);
        table.row(format!(
            "{shoppers}|{rate:.0}|{refused}|{p50:.2}|{p99:.2}|{rows:.1}|{per_second:.0}|{commit:.2}|{queue:.2}|{echo:.2}|{pgbench:.1}|{costs}"
        ));
    }
    writeln!(out, "{table}")?;
    for point in &run.points {
        for (reason, count) in &point.outcomes.refused {
            writeln!(out, "  {} shoppers: {reason} {count} times", point.shoppers)?;
        }
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
