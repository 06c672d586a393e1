//! All figures of a run, and how they compare.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{Options, commits::Commits};
use crate::{
    criteria::{Criterion, at_least},
    outcomes::Measured,
    processor_time::Spent,
    report::table,
    suite::Coupons,
};

/// What the suite is held to at its peak.
const OF_ECHO: f64 = 0.5;
const OF_PGBENCH: f64 = 8.0;
/// Below this a part had nothing to do with it.
const SHOWN_FROM_US: f64 = 0.05;
/// Below this share of the machine, other programs are not worth a warning.
const OTHERS_TOLERATED: f64 = 0.05;

#[derive(Debug, Serialize)]
pub struct Figures {
    connections: u32,
    warm_up_seconds: u64,
    seconds: u64,
    /// One more than there are runs of claims: before each, and after the last.
    echo: Vec<Vec<EchoPoint>>,
    pgbench: Vec<PeerPoint>,
    best_pgbench: f64,
    claims: Vec<ClaimRun>,
}

#[derive(Debug, Serialize)]
pub struct EchoPoint {
    pub shoppers: u32,
    #[serde(flatten)]
    pub measured: Measured,
}

#[derive(Debug, Serialize)]
pub struct ClaimRun {
    pub lanes: u16,
    /// Gateways, and as many issuances.
    pub replicas: u16,
    pub coupons: Coupons,
    pub points: Vec<ClaimPoint>,
}

#[derive(Debug, Serialize)]
pub struct ClaimPoint {
    pub shoppers: u32,
    #[serde(flatten)]
    pub measured: Measured,
    pub commits: Commits,
    pub compared: Compared,
}

#[derive(Debug, Serialize)]
pub struct PeerPoint {
    /// `transaction` of four statements, or one `statement`.
    pub form: &'static str,
    pub clients: u32,
    pub per_second: f64,
    pub processor: Spent,
}

/// Claims a second beside what else was measured.
#[derive(Debug, Default, Serialize)]
pub struct Compared {
    /// The mean of the rounds before and after, with as many shoppers.
    echo_per_second: f64,
    of_echo: f64,
    /// Of the best mean echo with any number of shoppers: the stricter measure.
    of_best_echo: f64,
    /// Of the best of pgbench.
    of_pgbench: f64,
}

impl ClaimPoint {
    fn compare(&mut self, around: &[Vec<EchoPoint>], best_pgbench: f64) {
        let claims = self.rate();
        let echo = mean_echo(around, self.shoppers);
        let points = around.iter().flatten();
        let best_echo = points.map(|point| mean_echo(around, point.shoppers));
        self.compared = Compared {
            echo_per_second: echo,
            of_echo: claims / echo,
            of_best_echo: claims / best_echo.fold(0.0, f64::max),
            of_pgbench: claims / best_pgbench,
        };
    }

    fn rate(&self) -> f64 {
        self.measured.outcomes.per_second
    }
}

fn mean_echo(rounds: &[Vec<EchoPoint>], shoppers: u32) -> f64 {
    let points = rounds.iter().flatten();
    let rates = points.filter(|point| point.shoppers == shoppers);
    let rates: Vec<_> = rates.map(|it| it.measured.outcomes.per_second).collect();
    rates.iter().sum::<f64>() / rates.len() as f64
}

impl Figures {
    /// Compares the claims with the echo round before and after them, and with the best of pgbench;
    /// none if there is nothing to compare.
    pub fn new(
        options: &Options,
        echo: Vec<Vec<EchoPoint>>,
        pgbench: Vec<PeerPoint>,
        mut claims: Vec<ClaimRun>,
    ) -> Option<Self> {
        let best = pgbench.iter().map(|point| point.per_second);
        let best_pgbench = best.reduce(f64::max)?;
        for (run, around) in claims.iter_mut().zip(echo.windows(2)) {
            for point in &mut run.points {
                point.compare(around, best_pgbench);
            }
        }
        let figures = Self {
            connections: options.connections,
            warm_up_seconds: options.warm_up_seconds,
            seconds: options.seconds,
            echo,
            pgbench,
            best_pgbench,
            claims,
        };
        figures.peak().is_some().then_some(figures)
    }

    /// The most claims a second.
    fn peak(&self) -> Option<(&ClaimRun, &ClaimPoint)> {
        let runs = self.claims.iter();
        let points = runs.flat_map(|run| run.points.iter().map(move |point| (run, point)));
        points.max_by(|left, right| left.1.rate().total_cmp(&right.1.rate()))
    }

    pub fn criteria(&self) -> [Criterion; 2] {
        let peak = self.peak().map(|(_, point)| &point.compared);
        let what = |other| format!("claims at the peak ÷ {other}");
        let (of_echo, of_pgbench) = (peak.map(|it| it.of_echo), peak.map(|it| it.of_pgbench));
        [
            at_least(OF_ECHO, what("echo with as many shoppers"), of_echo),
            at_least(OF_PGBENCH, what("best of pgbench"), of_pgbench),
        ]
    }

    /// The share of the machine that others used while the figure that suffered most was measured.
    fn others(&self) -> f64 {
        let echo = self.echo.iter().flatten().map(|it| &it.measured.processor);
        let claims = self.claims.iter().flat_map(|run| &run.points);
        let claims = claims.map(|point| &point.measured.processor);
        let pgbench = self.pgbench.iter().map(|point| &point.processor);
        let spent = echo.chain(claims).chain(pgbench);
        let others = spent.map(|spent| spent.others + spent.stolen);
        others.fold(0.0, f64::max)
    }
}

impl Display for Figures {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} connections; each figure over {} s after {} s of warm-up",
            self.connections, self.seconds, self.warm_up_seconds
        )?;
        let echo = (1..).zip(&self.echo).flat_map(|(round, points)| {
            let row = move |point: &EchoPoint| format!("{round}|{}", row_of_echo(point));
            points.iter().map(row)
        });
        let heading = "round|shoppers|answers/s|p50 ms|p99 ms|processor time per call, µs";
        let echo = table(heading, echo);
        writeln!(out, "\nBare echo over the same TLS (the ceiling)\n{echo}")?;
        let heading = "form|clients|claims/s|processor time per claim, µs";
        let pgbench = table(heading, self.pgbench.iter().map(row_of_peer));
        writeln!(out, "One hot row under pgbench (the peer)\n{pgbench}")?;
        for run in &self.claims {
            write_claims(out, run)?;
        }
        if let Some((run, point)) = self.peak() {
            writeln!(
                out,
                "\nPeak: {:.0} durable claims/s with {} shoppers, {} of gateway and of issuance, {} of lanes;\nthe echo answered {:.0}/s to as many shoppers, the peak is {:.2} of the best echo; the best of pgbench was {:.0}/s",
                point.rate(),
                point.shoppers,
                run.replicas,
                run.lanes,
                point.compared.echo_per_second,
                point.compared.of_best_echo,
                self.best_pgbench
            )?;
        }
        if self.others() > OTHERS_TOLERATED {
            writeln!(
                out,
                "\nOther programs or machines used up to {:.0} % of the processors meanwhile: the figures are too low, and the ratios are uncertain.",
                100.0 * self.others()
            )?;
        }
        Ok(())
    }
}

fn row_of_echo(point: &EchoPoint) -> String {
    let outcomes = &point.measured.outcomes;
    let (shoppers, rate) = (point.shoppers, outcomes.per_second);
    let (p50, p99) = latency(&point.measured);
    let costs = costs(&point.measured.processor);
    format!("{shoppers}|{rate:.0}|{p50:.2}|{p99:.2}|{costs}")
}

fn row_of_peer(point: &PeerPoint) -> String {
    let (form, clients, rate) = (point.form, point.clients, point.per_second);
    format!("{form}|{clients}|{rate:.0}|{}", costs(&point.processor))
}

fn write_claims(out: &mut Formatter<'_>, run: &ClaimRun) -> fmt::Result {
    writeln!(
        out,
        "Claims, {} of gateway and of issuance, {} of lanes: {}",
        run.replicas, run.lanes, run.coupons
    )?;
    let heading = "shoppers|claims/s|refused|p50 ms|p99 ms|rows/commit|commits/s|commit ms|queue ms|÷ echo|÷ pgbench|processor time per claim, µs";
    let rows = run.points.iter().map(|point| {
        let (outcomes, commits) = (&point.measured.outcomes, &point.commits);
        let (shoppers, rate) = (point.shoppers, outcomes.per_second);
        let (refused, (p50, p99)) = (outcomes.all_refused(), latency(&point.measured));
        let (rows, per_second) = (commits.rows_per_commit, commits.per_second);
        let (commit, queue) = (commits.commit_ms, commits.queue_delay_ms);
        let (echo, pgbench) = (point.compared.of_echo, point.compared.of_pgbench);
        let costs = costs(&point.measured.processor);
        format!(
            "{shoppers}|{rate:.0}|{refused}|{p50:.2}|{p99:.2}|{rows:.1}|{per_second:.0}|{commit:.2}|{queue:.2}|{echo:.2}|{pgbench:.1}|{costs}"
        )
    });
    writeln!(out, "{}", table(heading, rows))?;
    for point in &run.points {
        for (reason, count) in &point.measured.outcomes.refused {
            writeln!(out, "  {} shoppers: {reason} {count} times", point.shoppers)?;
        }
    }
    Ok(())
}

fn latency(measured: &Measured) -> (f64, f64) {
    let outcomes = &measured.outcomes;
    let known = |time_ms: Option<f64>| time_ms.unwrap_or(f64::NAN);
    (known(outcomes.p50_ms), known(outcomes.p99_ms))
}

/// The parts in falling order, and how busy the machine was.
fn costs(spent: &Spent) -> String {
    let parts = spent.us_each.iter();
    let mut parts: Vec<_> = parts.filter(|(_, us)| **us >= SHOWN_FROM_US).collect();
    parts.sort_by(|left, right| right.1.total_cmp(left.1));
    let parts = parts.iter().map(|(name, us)| format!("{name} {us:.1}"));
    format!(
        "{} (machine {:.0} % busy, {:.0} % by others)",
        parts.collect::<Vec<_>>().join(", "),
        100.0 * spent.busy,
        100.0 * spent.others
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{criteria::found, outcomes::Outcomes};

    fn measured(per_second: f64) -> Measured {
        let outcomes = Outcomes {
            per_second,
            refused: [("OVERLOADED".to_owned(), 7)].into(),
            ..Outcomes::default()
        };
        let processor = Spent {
            others: 0.25,
            ..Spent::default()
        };
        Measured {
            outcomes,
            processor,
        }
    }

    fn figures() -> Figures {
        let options = Options {
            seconds: 10,
            warm_up_seconds: 3,
            lanes: vec![4],
            replicas: vec![1],
            shoppers: vec![1, 64],
            connections: 2,
            pgbench_clients: vec![1, 4],
        };
        let echo = [[100.0, 3_000.0], [200.0, 5_000.0]].map(|[one, many]| {
            let point = |(shoppers, rate)| EchoPoint {
                shoppers,
                measured: measured(rate),
            };
            [(1, one), (64, many)].map(point).into()
        });
        let points = [(1, 75.0), (64, 2_400.0)].map(|(shoppers, rate)| ClaimPoint {
            shoppers,
            measured: measured(rate),
            commits: Commits::default(),
            compared: Compared::default(),
        });
        let claims = ClaimRun {
            lanes: 4,
            replicas: 1,
            coupons: Coupons::default(),
            points: points.into(),
        };
        let pgbench = [(1, 150.0), (4, 300.0)].map(|(clients, per_second)| PeerPoint {
            form: "statement",
            clients,
            per_second,
            processor: Spent::default(),
        });
        Figures::new(&options, echo.into(), pgbench.into(), vec![claims]).unwrap()
    }

    #[test]
    fn claims_are_compared_with_the_mean_of_the_echo_around_them_and_the_best_of_pgbench() {
        let figures = figures();
        let with_one = &figures.claims[0].points[0].compared;
        assert_eq!((with_one.echo_per_second, with_one.of_echo), (150.0, 0.5));
        let (_, peak) = figures.peak().unwrap();
        assert_eq!((peak.shoppers, peak.compared.of_best_echo), (64, 0.6));
        let criteria = figures.criteria();
        assert_eq!(found(&criteria, "÷ echo"), (Some(0.6), true));
        assert_eq!(found(&criteria, "÷ best of pgbench"), (Some(8.0), true));
    }

    #[test]
    fn the_words_name_the_peak_the_refusals_and_a_noisy_machine() {
        let text = figures().to_string();
        for words in [
            "Peak: 2400 durable claims/s with 64 shoppers",
            "64 shoppers: OVERLOADED 7 times",
            "up to 25 % of the processors",
        ] {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
    }
}
