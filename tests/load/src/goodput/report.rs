//! The figures of a run, and what they are held to.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{
    costs::Costs,
    figures::Figures,
    series::{AS_TOLD, AT_ONCE_AND_GONE, BUSY_LOAD, Series},
    staircase::Point,
};
use crate::{
    criteria::{Criterion, at_least, at_most},
    outcomes::Measured,
    report::{table, told},
    suite::Coupons,
};

/// How much of the peak must be left, by the load.
const GOODPUT: [(f64, f64); 3] = [(2.0, 0.95), (5.0, 0.92), (10.0, 0.9)];
const HIGHEST_LOAD: f64 = 10.0;
/// How much slower an admitted claim may be under the highest load than in a busy hour.
const SLOWER_AT_MOST: f64 = 2.0;
const RECOVERY_SECONDS: f64 = 5.0;
const REFUSAL_COST: f64 = 0.01;

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub patience_seconds: u64,
    /// The share of the second crowd, and of the third, that sends again at once.
    pub at_once_share: f64,
    /// What goodput is divided by: the mean of both peaks, because a disk changes while all crowds
    /// come and go.
    pub peak_per_second: f64,
    /// Before the first crowd, by which the loads are set.
    pub peak: Measured,
    pub peak_after: Measured,
    pub series: Vec<Series>,
    pub costs: Costs,
    pub coupons: Coupons,
}

impl Report {
    pub fn criteria(&self) -> Vec<Criterion> {
        // Nobody can serve those who are gone: how much of the peak the others leave is told, and
        // not demanded.
        let held = self.series.iter();
        let held = held.filter(|it| it.waiting_room && it.crowd != AT_ONCE_AND_GONE);
        let demands = held.flat_map(|series| demands(series, self.peak_per_second));
        demands
            .chain([at_most(
                REFUSAL_COST,
                "a refusal's processor time ÷ a served claim's",
                Some(self.costs.refused_us / self.costs.served_us),
            )])
            .collect()
    }
}

fn demands(series: &Series, peak_per_second: f64) -> Vec<Criterion> {
    let crowd = series.crowd;
    let sound = |load| series.at(load).filter(|point| !point.figures.is_void);
    let goodput = GOODPUT.map(|(load, least)| {
        let goodput = sound(load).map(|point| point.figures.goodput_per_second);
        let what = format!("{crowd}: goodput at {load} times the peak ÷ peak");
        at_least(least, what, goodput.map(|it| it / peak_per_second))
    });
    let slower = |what, p99: fn(&Figures) -> Option<f64>| {
        let at = |load| sound(load).and_then(|point| p99(&point.figures));
        let both = at(HIGHEST_LOAD).zip(at(BUSY_LOAD));
        at_most(
            SLOWER_AT_MOST,
            format!("{crowd}: {what} at {HIGHEST_LOAD} times ÷ at {BUSY_LOAD} times"),
            both.map(|(flooded, busy)| flooded / busy),
        )
    };
    let mut criteria = goodput.to_vec();
    criteria.extend([
        slower("p99 of admitted claims", |it| it.admitted_p99_ms),
        slower("the same in the median second", |it| {
            it.admitted_p99_median_second_ms
        }),
        at_most(
            RECOVERY_SECONDS,
            format!("{crowd}: seconds from the flood's end until all are served in time"),
            sound(HIGHEST_LOAD).map(|_| series.recovery.in_time_seconds as f64),
        ),
    ]);
    criteria
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (peak, costs) = (&self.peak.outcomes, &self.costs);
        writeln!(
            out,
            "Peak under the ceiling: {:.0} claims/s ({:.0} before the crowds, {:.0} after them), p99 {} ms; patience {} s; {}",
            self.peak_per_second,
            peak.per_second,
            self.peak_after.outcomes.per_second,
            told(peak.p99_ms),
            self.patience_seconds,
            self.coupons
        )?;
        for series in &self.series {
            self.write_series(out, series)?;
        }
        writeln!(
            out,
            "\nProcessor time: {:.0} µs for a served claim, {:.1} µs for a refusal ({:.1} µs of it in the gateway), {:.1} µs for a bare echo of gRPC; {:.1} % of a processor when idle",
            costs.served_us,
            costs.refused_us,
            costs.refused_by_gateway_us,
            costs.echo_us,
            100.0 * costs.idle_share
        )
    }
}

impl Report {
    fn write_series(&self, out: &mut Formatter<'_>, series: &Series) -> fmt::Result {
        let (crowd, recovery) = (series.crowd, series.recovery);
        let share = if crowd == AS_TOLD {
            String::new()
        } else {
            format!(" ({:.0} % of them)", 100.0 * self.at_once_share)
        };
        let room = if series.waiting_room { "on" } else { "off" };
        let at_once = recovery.at_once_seconds;
        let at_once = at_once.map_or("unknown".to_owned(), |seconds| format!("{seconds} s"));
        writeln!(
            out,
            "\nSends again {crowd}{share}, waiting room {room}; {} s after the flood all that come are served in time, {at_once} after it at once",
            recovery.in_time_seconds
        )?;
        let heading = "load|offered/s|goodput/s|÷ peak|claims each|admitted p50|admitted p99|in a second|to coupon p99|lag ms|busy %|ends";
        let points = series.points.iter();
        let rows = points.map(|point| row(point, self.peak_per_second));
        write!(out, "{}", table(heading, rows))
    }
}

fn row(point: &Point, peak_per_second: f64) -> String {
    let figures = &point.figures;
    let (offered, goodput) = (figures.offered_per_second, figures.goodput_per_second);
    let (of_peak, claims) = (goodput / peak_per_second, figures.claims_per_shopper);
    let (p50, p99) = (told(figures.admitted_p50_ms), told(figures.admitted_p99_ms));
    let in_a_second = told(figures.admitted_p99_median_second_ms);
    let (to_coupon, lag) = (told(figures.coupon_p99_ms), figures.lag_p99_ms);
    let (load, busy) = (point.load, 100.0 * point.processor.busy);
    let ends = figures.ends();
    format!(
        "{load}|{offered:.0}|{goodput:.0}|{of_peak:.2}|{claims:.1}|{p50}|{p99}|{in_a_second}|{to_coupon}|{lag:.1}|{busy:.0}|{ends}"
    )
}

#[cfg(test)]
pub mod examples {
    //! A report with round figures.

    use super::*;

    pub fn report() -> Report {
        let series = [("as told", true), ("at once", false)].map(|(crowd, waiting_room)| Series {
            crowd,
            waiting_room,
            points: vec![point(BUSY_LOAD, 240.0, 50.0), point(10.0, 285.0, 90.0)],
            ..Series::default()
        });
        Report {
            at_once_share: 0.5,
            peak_per_second: 300.0,
            series: series.into(),
            costs: Costs {
                served_us: 400.0,
                refused_us: 24.0,
                ..Costs::default()
            },
            ..Report::default()
        }
    }

    fn point(load: f64, goodput_per_second: f64, admitted_p99_ms: f64) -> Point {
        Point {
            load,
            figures: Figures {
                goodput_per_second,
                admitted_p99_ms: Some(admitted_p99_ms),
                ends: [("left".to_owned(), 7)].into(),
                ..Figures::default()
            },
            ..Point::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::criteria::found;

    #[test]
    fn only_the_waiting_room_is_held_to_the_demands_and_a_step_that_is_missing_fails_them() {
        let criteria = examples::report().criteria();
        for (what, expected) in [
            ("goodput at 10 times", (Some(0.95), true)),
            ("p99 of admitted", (Some(1.8), true)),
            ("goodput at 2 times", (None, false)),
            ("refusal", (Some(0.06), false)),
        ] {
            assert_eq!(found(&criteria, what), expected, "{what}");
        }
        let of_others = |criterion: &Criterion| criterion.what.starts_with("at once");
        assert!(!criteria.iter().any(of_others));
    }

    #[test]
    fn the_words_name_the_peak_and_the_crowds() {
        let words = examples::report().to_string();
        for expected in [
            "Peak under the ceiling: 300 claims/s",
            "Sends again at once (50 % of them), waiting room off",
            "left 7",
        ] {
            assert!(words.contains(expected), "{expected} is not in\n{words}");
        }
    }
}
