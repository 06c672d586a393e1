//! All figures of a run and how they compare; serialised as it stands for `--json`.

pub mod table;

use serde::Serialize;

use crate::{
    arguments::Arguments, closed_loop::Outcomes, commits::Commits, machine::Machine,
    processor_time::Spent,
};

#[derive(Debug, Serialize)]
pub struct Report {
    pub conditions: Conditions,
    /// One more than there are runs of claims: before each, and after the last.
    pub echo: Vec<EchoRound>,
    pub pgbench: Peer,
    pub claims: Vec<ClaimRun>,
    /// One for each number of shoppers of each run of claims, in their order.
    pub ratios: Vec<Ratio>,
    pub peak: Peak,
}

#[derive(Debug, Serialize)]
pub struct Conditions {
    #[serde(flatten)]
    pub machine: Machine,
    pub connections: u32,
    pub warm_up_seconds: u64,
    pub seconds: u64,
}

#[derive(Debug, Serialize)]
pub struct EchoRound {
    pub points: Vec<EchoPoint>,
}

#[derive(Debug, Serialize)]
pub struct EchoPoint {
    pub shoppers: u32,
    #[serde(flatten)]
    pub outcomes: Outcomes,
    pub processor: Spent,
}

#[derive(Debug, Serialize)]
pub struct ClaimRun {
    pub lanes: u16,
    /// Gateways, and as many issuances.
    pub replicas: u16,
    /// Coupons that shoppers were given, warm-up included.
    pub coupons_told: u64,
    /// Coupons found in the database afterwards.
    pub coupons_kept: u64,
    pub points: Vec<ClaimPoint>,
}

#[derive(Debug, Serialize)]
pub struct ClaimPoint {
    pub shoppers: u32,
    #[serde(flatten)]
    pub outcomes: Outcomes,
    pub commits: Commits,
    pub processor: Spent,
}

#[derive(Debug, Serialize)]
pub struct Peer {
    pub best: PeerPoint,
    pub points: Vec<PeerPoint>,
}

#[derive(Debug, Clone, Serialize)]
pub struct PeerPoint {
    /// `transaction` of four statements, or one `statement`.
    pub form: String,
    pub clients: u32,
    pub per_second: f64,
    pub processor: Spent,
}

#[derive(Debug, Clone, Serialize)]
pub struct Ratio {
    pub lanes: u16,
    pub replicas: u16,
    pub shoppers: u32,
    pub claims_per_second: f64,
    /// The mean of the rounds before and after, with as many shoppers.
    pub echo_per_second: f64,
    /// Claims divided by that echo.
    pub of_echo: f64,
    /// Claims divided by the best of pgbench.
    pub of_pgbench: f64,
}

/// The most claims a second that any shape served.
#[derive(Debug, Serialize)]
pub struct Peak {
    #[serde(flatten)]
    pub ratio: Ratio,
    /// Claims divided by the best mean echo with any number of shoppers: the stricter measure.
    pub of_best_echo: f64,
}

impl Conditions {
    pub fn new(arguments: &Arguments) -> Self {
        Self {
            machine: Machine::this(),
            connections: arguments.connections,
            warm_up_seconds: arguments.warm_up_seconds,
            seconds: arguments.seconds,
        }
    }
}

impl Peer {
    /// Takes the best of the points; none if there is no point.
    pub fn new(points: Vec<PeerPoint>) -> Option<Self> {
        let best = points
            .iter()
            .max_by(|left, right| left.per_second.total_cmp(&right.per_second))?;
        Some(Self {
            best: best.clone(),
            points,
        })
    }
}

impl Report {
    /// Compares the claims with the echo round before and after them, and with the best of pgbench;
    /// none if nothing was claimed.
    pub fn new(
        conditions: Conditions,
        echo: Vec<EchoRound>,
        pgbench: Peer,
        claims: Vec<ClaimRun>,
    ) -> Option<Self> {
        let mut ratios = Vec::new();
        let mut peak: Option<Peak> = None;
        for (run, around) in claims.iter().zip(echo.windows(2)) {
            for point in &run.points {
                let claims_per_second = point.outcomes.per_second;
                let echo_per_second = mean_echo(around, point.shoppers);
                let ratio = Ratio {
                    lanes: run.lanes,
                    replicas: run.replicas,
                    shoppers: point.shoppers,
                    claims_per_second,
                    echo_per_second,
                    of_echo: claims_per_second / echo_per_second,
                    of_pgbench: claims_per_second / pgbench.best.per_second,
                };
                let higher = peak
                    .as_ref()
                    .is_none_or(|peak| peak.ratio.claims_per_second < claims_per_second);
                if higher {
                    peak = Some(Peak {
                        ratio: ratio.clone(),
                        of_best_echo: claims_per_second / best_echo(around),
                    });
                }
                ratios.push(ratio);
            }
        }
        Some(Self {
            conditions,
            echo,
            pgbench,
            claims,
            ratios,
            peak: peak?,
        })
    }
}

fn mean_echo(rounds: &[EchoRound], shoppers: u32) -> f64 {
    let rates: Vec<f64> = rounds
        .iter()
        .flat_map(|round| &round.points)
        .filter(|point| point.shoppers == shoppers)
        .map(|point| point.outcomes.per_second)
        .collect();
    rates.iter().sum::<f64>() / rates.len() as f64
}

fn best_echo(rounds: &[EchoRound]) -> f64 {
    let points = rounds.iter().flat_map(|round| &round.points);
    points
        .map(|point| mean_echo(rounds, point.shoppers))
        .fold(0.0, f64::max)
}

#[cfg(test)]
pub mod examples {
    //! A report with round figures.

    use std::collections::BTreeMap;

    use super::*;
    use crate::closed_loop::Latency;

    pub fn report() -> Report {
        let machine = Machine {
            processors: 2,
            processor_model: "abacus".to_owned(),
        };
        let conditions = Conditions {
            machine,
            connections: 2,
            warm_up_seconds: 3,
            seconds: 10,
        };
        let echo = [[100.0, 3_000.0], [200.0, 5_000.0]].map(|[one, many]| EchoRound {
            points: [(1, one), (64, many)].map(echo).into(),
        });
        let claims = ClaimRun {
            lanes: 4,
            replicas: 1,
            coupons_told: 24_750,
            coupons_kept: 24_750,
            points: [(1, 75.0), (64, 2_400.0)].map(claims).into(),
        };
        let pgbench = [(1, 150.0), (4, 300.0)].map(|(clients, per_second)| PeerPoint {
            form: "statement".to_owned(),
            clients,
            per_second,
            processor: spent("pgbench"),
        });
        let pgbench = Peer::new(pgbench.into()).unwrap();
        Report::new(conditions, echo.into(), pgbench, vec![claims]).unwrap()
    }

    fn echo((shoppers, rate): (u32, f64)) -> EchoPoint {
        EchoPoint {
            shoppers,
            outcomes: outcomes(rate),
            processor: spent("echo"),
        }
    }

    fn claims((shoppers, rate): (u32, f64)) -> ClaimPoint {
        ClaimPoint {
            shoppers,
            outcomes: outcomes(rate),
            commits: Commits {
                per_second: 20.0,
                rows_per_commit: 120.0,
                commit_ms: 4.5,
                queue_delay_ms: 2.5,
            },
            processor: spent("gateway-0"),
        }
    }

    fn outcomes(per_second: f64) -> Outcomes {
        Outcomes {
            seconds: 10.0,
            issued: (10.0 * per_second) as u64,
            per_second,
            refused: BTreeMap::from([("OVERLOADED".to_owned(), 7)]),
            latency_ms: Latency {
                p50: 1.0,
                p99: 2.0,
                p999: 3.0,
            },
            issued_ever: (10.0 * per_second) as u64,
        }
    }

    fn spent(part: &str) -> Spent {
        Spent {
            us_each: BTreeMap::from([(part.to_owned(), 28.0)]),
            seconds: BTreeMap::from([(part.to_owned(), 6.0)]),
            busy: 0.9,
            others: 0.25,
            stolen: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_compared_with_the_mean_of_the_echo_around_them() {
        let report = examples::report();
        assert_eq!(report.pgbench.best.clients, 4);
        let with_one = &report.ratios[0];
        assert_eq!((with_one.echo_per_second, with_one.of_echo), (150.0, 0.5));
        let peak = &report.peak;
        assert_eq!((peak.ratio.shoppers, peak.ratio.of_pgbench), (64, 8.0));
        assert_eq!((peak.ratio.of_echo, peak.of_best_echo), (0.6, 0.6));
    }

    #[test]
    fn a_machine_reads_the_rates_beside_their_shoppers() {
        let json = serde_json::to_value(examples::report()).unwrap();
        assert_eq!(json["claims"][0]["points"][1]["shoppers"], 64);
        assert_eq!(json["claims"][0]["points"][1]["per_second"], 2_400.0);
        assert_eq!(json["peak"]["claims_per_second"], 2_400.0);
    }
}
