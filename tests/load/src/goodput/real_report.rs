//! What a flood without an artificial ceiling came to, and what it is held to.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use serde::Serialize;

use super::{figures::Figures, staircase::Step};
use crate::{
    criteria::{Bound, Criterion, verdicts},
    machine::Machine,
    processor_time::{GENERATOR, Spent},
    quantile::{milliseconds, quantile},
    shoppers::journey::{Journey, Ordered},
    table::{Table, told},
};

const GOODPUT_OF_CEILING: f64 = 0.85;
const P99_MS: f64 = 1_000.0;
const RECOVERY_SECONDS: f64 = 5.0;
/// Of the machine. With more, the generator is what is measured.
const GENERATOR_SHARE: f64 = 0.25;

#[derive(Debug, Serialize)]
pub struct Peak {
    pub per_second: f64,
    /// Coupons given before, in and after the measured stretch.
    pub given_ever: u64,
    pub processor: Spent,
}

#[derive(Debug, Serialize)]
pub struct Point {
    pub load: f64,
    #[serde(flatten)]
    pub figures: Figures,
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
    pub processor: Spent,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub peak: Peak,
    pub echo_us: f64,
    pub points: Vec<Point>,
    pub recovery_seconds: u64,
    pub coupons_told: u64,
    pub coupons_kept: u64,
    pub criteria: Vec<Criterion>,
}

impl Point {
    pub fn new(
        step: &Step,
        journeys: &[Journey],
        figures: Figures,
        processor: Spent,
        (peak, echo_us): (&Peak, f64),
    ) -> Self {
        let seconds = (step.window.end - step.window.start).as_secs_f64();
        let in_window = |at: &Duration| step.window.contains(at);
        let orders = journeys.iter().filter_map(|journey| journey.order.as_ref());
        let ended: Vec<&Ordered> = orders.filter(|order| in_window(&order.ended)).collect();
        let came = journeys.iter().filter(|journey| in_window(&journey.due));
        let accepted = ended.iter().filter(|order| order.end.is_ok()).count();
        let calls = ended.iter().map(|order| order.call);
        Self {
            load: step.load,
            ceiling_per_second: ceiling(figures.offered_per_second, peak, echo_us),
            orders_per_second: accepted as f64 / seconds,
            order_p99_ms: quantile(calls, 0.99).map(milliseconds),
            orders_refused: (ended.len() - accepted) as u64,
            unanswered: came.map(|journey| u64::from(journey.unanswered)).sum(),
            generator_share: processor.share_of(GENERATOR),
            figures,
            processor,
        }
    }

    fn of_ceiling(&self) -> Option<f64> {
        let ceiling = self.ceiling_per_second.filter(|_| !self.figures.is_void);
        ceiling.map(|ceiling| self.figures.goodput_per_second / ceiling)
    }

    fn demands(&self) -> Vec<Criterion> {
        let load = self.load;
        let demand = |what: &str, bound, figure| {
            Criterion::new(format!("{what} at {load} times the peak"), bound, figure)
        };
        vec![
            demand(
                "goodput ÷ what the machine has left",
                Bound::AtLeast(GOODPUT_OF_CEILING),
                self.of_ceiling(),
            ),
            demand(
                "p99 of admitted claims, ms",
                Bound::AtMost(P99_MS),
                self.figures.admitted_p99_ms,
            ),
            demand(
                "p99 of orders, ms",
                Bound::AtMost(P99_MS),
                self.order_p99_ms,
            ),
            demand(
                "calls without an answer",
                Bound::AtMost(0.0),
                Some(self.unanswered as f64),
            ),
            demand(
                "the generator's share of the machine",
                Bound::AtMost(GENERATOR_SHARE),
                Some(self.generator_share),
            ),
        ]
    }
}

/// Of `offered` who come each second, how many can be served if the others cost a bare answer, by
/// what a pair took at the peak, when the whole machine was busy with them.
fn ceiling(offered: f64, peak: &Peak, echo_us: f64) -> Option<f64> {
    let pair_us = peak.processor.all_us_each();
    let all_us = peak.per_second * pair_us;
    let left = (all_us - offered * echo_us) / (pair_us - echo_us);
    (left > 0.0).then(|| left.min(peak.per_second).min(offered))
}

impl Report {
    pub fn new(
        machine: Machine,
        (peak, echo_us): (Peak, f64),
        points: Vec<Point>,
        recovery_seconds: u64,
        (coupons_told, coupons_kept): (u64, u64),
    ) -> Self {
        let mut criteria: Vec<_> = points.iter().flat_map(Point::demands).collect();
        criteria.push(Criterion::new(
            "seconds from the flood's end until all are served in time",
            Bound::AtMost(RECOVERY_SECONDS),
            Some(recovery_seconds as f64),
        ));
        Self {
            machine,
            peak,
            echo_us,
            points,
            recovery_seconds,
            coupons_told,
            coupons_kept,
            criteria,
        }
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.machine)?;
        writeln!(
            out,
            "Peak, without an artificial ceiling: {:.0} claims with their orders a second, {:.0} µs of processor time each; a bare answer takes {:.0} µs, callers' time included; {} coupons given, {} in the database",
            self.peak.per_second,
            self.peak.processor.all_us_each(),
            self.echo_us,
            self.coupons_told,
            self.coupons_kept
        )?;
        let heading = "load|offered/s|goodput/s|÷ peak|÷ what is left|claims each|claim p99|orders/s|order p99|refused|unanswered|generator %|busy %|lag ms|ends";
        let mut table = Table::new(heading);
        for point in &self.points {
            table.row(row(point, self.peak.per_second));
        }
        write!(out, "{table}\n{}", verdicts(&self.criteria))
    }
}

fn row(point: &Point, peak: f64) -> String {
    let figures = &point.figures;
    let of_ceiling = point.of_ceiling().map(|share| format!("{share:.2}"));
    let ends = figures.ends.iter();
    let ends: String = ends
        .map(|(end, count)| format!("{end} {count}  "))
        .collect();
    let void = if figures.is_void {
        "VOID: the generator fell behind"
    } else {
        ""
    };
    [
        format!("{}", point.load),
        format!("{:.0}", figures.offered_per_second),
        format!("{:.0}", figures.goodput_per_second),
        format!("{:.2}", figures.goodput_per_second / peak),
        of_ceiling.unwrap_or_else(|| "-".to_owned()),
        format!("{:.1}", figures.claims_per_shopper),
        told(figures.admitted_p99_ms),
        format!("{:.0}", point.orders_per_second),
        told(point.order_p99_ms),
        format!("{}", point.orders_refused),
        format!("{}", point.unanswered),
        format!("{:.0}", 100.0 * point.generator_share),
        format!("{:.0}", 100.0 * point.processor.busy),
        format!("{:.1}", figures.lag_p99_ms),
        format!("{ends}{void}"),
    ]
    .join("|")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_left_is_what_bare_answers_to_the_others_leave() {
        let processor = Spent {
            us_each: BTreeMap::from([("gateway-0".to_owned(), 400.0)]),
            seconds: BTreeMap::new(),
            busy: 1.0,
            others: 0.0,
            stolen: 0.0,
        };
        let peak = Peak {
            per_second: 5_000.0,
            given_ever: 0,
            processor,
        };
        let left = |offered| ceiling(offered, &peak, 80.0).map(f64::round);
        assert_eq!(left(1_000.0), Some(1_000.0));
        assert_eq!(left(5_000.0), Some(5_000.0));
        // 5,000 are answered for a fifth of the machine.
        assert_eq!(left(10_000.0), Some(3_750.0));
        assert_eq!(left(25_000.0), None);
    }
}
