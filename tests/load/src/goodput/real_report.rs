//! What a flood without an artificial ceiling came to, and what it is held to.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::staircase::{self, Step};
use crate::{
    criteria::{Criterion, at_least, at_most},
    outcomes::Measured,
    processor_time::GENERATOR,
    quantile::quantile_ms,
    report::{table, told},
    shoppers::journey::{Journey, Ordered},
    suite::Coupons,
};

const GOODPUT_OF_CEILING: f64 = 0.85;
const P99_MS: f64 = 1_000.0;
const RECOVERY_SECONDS: f64 = 5.0;
/// Of the machine. With more, the generator is what is measured.
const GENERATOR_SHARE: f64 = 0.25;

#[derive(Debug, Serialize)]
pub struct Point {
    #[serde(flatten)]
    pub of_claims: staircase::Point,
    /// What the machine could serve each second beside bare answers to all others who come; none
    /// if those alone are too many for it.
    pub ceiling_per_second: Option<f64>,
    /// Orders that were accepted, a second.
    pub orders_per_second: f64,
    /// Of the calls that brought an order's end.
    pub order_p99_ms: Option<f64>,
    /// Of those who came.
    pub orders_refused: u64,
    pub unanswered: u64,
    pub generator_share: f64,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub peak: Measured,
    pub echo_us: f64,
    pub points: Vec<Point>,
    pub recovery_seconds: u64,
    pub coupons: Coupons,
}

impl Point {
    pub fn new(
        of_claims: staircase::Point,
        step: &Step,
        journeys: &[Journey],
        (peak, echo_us): (&Measured, f64),
    ) -> Self {
        let seconds = (step.window.end - step.window.start).as_secs_f64();
        let orders = journeys.iter().filter_map(|journey| journey.order.as_ref());
        let ended = orders.filter(|order| step.window.contains(&order.ended));
        let ended: Vec<&Ordered> = ended.collect();
        let came = journeys.iter().filter(|it| step.window.contains(&it.due));
        let accepted = ended.iter().filter(|order| order.end.is_ok()).count();
        Self {
            ceiling_per_second: ceiling(of_claims.figures.offered_per_second, peak, echo_us),
            orders_per_second: accepted as f64 / seconds,
            order_p99_ms: quantile_ms(ended.iter().map(|order| order.call), 0.99),
            orders_refused: (ended.len() - accepted) as u64,
            unanswered: came.map(|journey| u64::from(journey.unanswered)).sum(),
            generator_share: of_claims.processor.share_of(GENERATOR),
            of_claims,
        }
    }

    fn of_ceiling(&self) -> Option<f64> {
        let figures = &self.of_claims.figures;
        let ceiling = self.ceiling_per_second.filter(|_| !figures.is_void);
        ceiling.map(|ceiling| figures.goodput_per_second / ceiling)
    }

    fn demands(&self) -> [Criterion; 5] {
        let load = self.of_claims.load;
        let at_load = |what: &str| format!("{what} at {load} times the peak");
        [
            at_least(
                GOODPUT_OF_CEILING,
                at_load("goodput ÷ what the machine has left"),
                self.of_ceiling(),
            ),
            at_most(
                P99_MS,
                at_load("p99 of admitted claims, ms"),
                self.of_claims.figures.admitted_p99_ms,
            ),
            at_most(P99_MS, at_load("p99 of orders, ms"), self.order_p99_ms),
            at_most(
                0.0,
                at_load("calls without an answer"),
                Some(self.unanswered as f64),
            ),
            at_most(
                GENERATOR_SHARE,
                at_load("the generator's share of the machine"),
                Some(self.generator_share),
            ),
        ]
    }

    fn row(&self, peak: f64) -> String {
        let staircase::Point {
            load,
            figures,
            processor,
        } = &self.of_claims;
        let (offered, goodput) = (figures.offered_per_second, figures.goodput_per_second);
        let of_peak = goodput / peak;
        let of_ceiling = self.of_ceiling().map(|share| format!("{share:.2}"));
        let of_ceiling = of_ceiling.unwrap_or_else(|| "-".to_owned());
        let (claims, claim_p99) = (figures.claims_per_shopper, told(figures.admitted_p99_ms));
        let (orders, order_p99) = (self.orders_per_second, told(self.order_p99_ms));
        let (refused, unanswered) = (self.orders_refused, self.unanswered);
        let (generator, busy) = (100.0 * self.generator_share, 100.0 * processor.busy);
        let (lag, ends) = (figures.lag_p99_ms, figures.ends());
        format!(
            "{load}|{offered:.0}|{goodput:.0}|{of_peak:.2}|{of_ceiling}|{claims:.1}|{claim_p99}|{orders:.0}|{order_p99}|{refused}|{unanswered}|{generator:.0}|{busy:.0}|{lag:.1}|{ends}"
        )
    }
}

/// Of `offered` who come each second, how many can be served if the others cost a bare answer, by
/// what a pair took at the peak, when the whole machine was busy with them.
fn ceiling(offered: f64, peak: &Measured, echo_us: f64) -> Option<f64> {
    let pair_us = peak.processor.all_us_each();
    let most = peak.outcomes.per_second;
    let left = (most * pair_us - offered * echo_us) / (pair_us - echo_us);
    (left > 0.0).then(|| left.min(most).min(offered))
}

impl Report {
    pub fn criteria(&self) -> Vec<Criterion> {
        let mut criteria: Vec<_> = self.points.iter().flat_map(Point::demands).collect();
        criteria.push(at_most(
            RECOVERY_SECONDS,
            "seconds from the flood's end until all are served in time",
            Some(self.recovery_seconds as f64),
        ));
        criteria
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let peak = self.peak.outcomes.per_second;
        writeln!(
            out,
            "Peak, without an artificial ceiling: {peak:.0} claims with their orders a second, {:.0} µs of processor time each; a bare answer takes {:.0} µs, callers' time included; {}",
            self.peak.processor.all_us_each(),
            self.echo_us,
            self.coupons
        )?;
        let heading = "load|offered/s|goodput/s|÷ peak|÷ what is left|claims each|claim p99|orders/s|order p99|refused|unanswered|generator %|busy %|lag ms|ends";
        let rows = self.points.iter().map(|point| point.row(peak));
        write!(out, "{}", table(heading, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcomes::Outcomes, processor_time::Spent};

    #[test]
    fn what_is_left_is_what_bare_answers_to_the_others_leave() {
        let peak = Measured {
            outcomes: Outcomes {
                per_second: 5_000.0,
                ..Outcomes::default()
            },
            processor: Spent {
                us_each: [("gateway-0".to_owned(), 400.0)].into(),
                ..Spent::default()
            },
        };
        let left = |offered| ceiling(offered, &peak, 80.0).map(f64::round);
        assert_eq!(left(1_000.0), Some(1_000.0));
        assert_eq!(left(5_000.0), Some(5_000.0));
        // 5,000 are answered for a fifth of the machine.
        assert_eq!(left(10_000.0), Some(3_750.0));
        assert_eq!(left(25_000.0), None);
    }
}
