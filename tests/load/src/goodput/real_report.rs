//! What a flood without an artificial ceiling came to, and what it is held to.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{figures::Figures, staircase::Point};
use crate::{
    criteria::{Criterion, at_least, at_most},
    outcomes::Measured,
    processor_time::GENERATOR,
    report::{table, told},
    suite::Coupons,
};

const GOODPUT_OF_CEILING: f64 = 0.85;
const P99_MS: f64 = 1_000.0;
const RECOVERY_SECONDS: f64 = 5.0;
/// Of the machine. With more, the generator is what is measured.
const GENERATOR_SHARE: f64 = 0.25;

#[derive(Debug, Serialize)]
pub struct Report {
    pub peak: Measured,
    /// Of a bare answer, with what its caller takes.
    pub echo_us: f64,
    pub points: Vec<Point>,
    pub recovery_seconds: u64,
    pub coupons: Coupons,
}

impl Report {
    pub fn criteria(&self) -> Vec<Criterion> {
        let points = self.points.iter();
        let mut criteria: Vec<_> = points.flat_map(|point| self.demands(point)).collect();
        criteria.push(at_most(
            RECOVERY_SECONDS,
            "seconds from the flood's end until all are served in time",
            Some(self.recovery_seconds as f64),
        ));
        criteria
    }

    fn demands(&self, point: &Point) -> [Criterion; 5] {
        let figures = &point.figures;
        let generator = point.processor.share_of(GENERATOR);
        let unanswered = figures.unanswered as f64;
        let at = |what: &str| format!("{what} at {} times the peak", point.load);
        let (claims, orders) = ("p99 of admitted claims, ms", "p99 of orders, ms");
        [
            at_least(
                GOODPUT_OF_CEILING,
                at("goodput ÷ what the machine has left"),
                self.of_ceiling(figures),
            ),
            at_most(P99_MS, at(claims), figures.admitted_p99_ms),
            at_most(P99_MS, at(orders), figures.order_p99_ms),
            at_most(0.0, at("calls without an answer"), Some(unanswered)),
            at_most(
                GENERATOR_SHARE,
                at("the generator's share of the machine"),
                Some(generator),
            ),
        ]
    }

    /// Goodput beside what the machine could serve each second beside bare answers to all others
    /// who come; unknown if those alone are too many for it.
    fn of_ceiling(&self, figures: &Figures) -> Option<f64> {
        let ceiling = ceiling(figures.offered_per_second, &self.peak, self.echo_us);
        let ceiling = ceiling.filter(|_| !figures.is_void);
        ceiling.map(|ceiling| figures.goodput_per_second / ceiling)
    }

    fn row(&self, point: &Point) -> String {
        let (load, figures, processor) = (point.load, &point.figures, &point.processor);
        let (offered, goodput) = (figures.offered_per_second, figures.goodput_per_second);
        let of_peak = goodput / self.peak.outcomes.per_second;
        let of_ceiling = self.of_ceiling(figures);
        let of_ceiling = of_ceiling.map_or("-".to_owned(), |share| format!("{share:.2}"));
        let (claims, claim_p99) = (figures.claims_per_shopper, told(figures.admitted_p99_ms));
        let (orders, order_p99) = (figures.orders_per_second, told(figures.order_p99_ms));
        let (refused, unanswered) = (figures.orders_refused, figures.unanswered);
        let generator = 100.0 * processor.share_of(GENERATOR);
        let busy = 100.0 * processor.busy;
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
        let rows = self.points.iter().map(|point| self.row(point));
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
