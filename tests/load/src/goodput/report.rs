//! The figures of a run, what they are held to, and the words for people.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use serde::Serialize;

use super::{
    Options,
    costs::Costs,
    figures::Figures,
    series::{AS_TOLD, AT_ONCE_AND_GONE, BUSY_LOAD, Point, Series},
};
use crate::{
    criteria::{Bound, Criterion, verdicts},
    machine::Machine,
    processor_time::Spent,
    table::{Table, told},
};

/// How much of the peak must be left, by the load.
const GOODPUT: [(f64, f64); 3] = [(2.0, 0.95), (5.0, 0.92), (10.0, 0.9)];
const HIGHEST_LOAD: f64 = 10.0;
/// How much slower an admitted claim may be under the highest load than in a busy hour.
const SLOWER_AT_MOST: f64 = 2.0;
const RECOVERY_SECONDS: f64 = 5.0;
const REFUSAL_COST: f64 = 0.01;

#[derive(Debug, Serialize)]
pub struct Peak {
    pub per_second: f64,
    pub p99: Duration,
    pub processor: Spent,
    pub issued: u64,
    pub seconds: f64,
    pub coupons_told: u64,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub patience_seconds: u64,
    /// The share of the second crowd, and of the third, that sends again at once.
    pub at_once_share: f64,
    /// What goodput is divided by: the mean of both peaks, because a disk changes while all crowds
    /// come and go.
    pub peak_per_second: f64,
    /// Before the first crowd, by which the loads are set.
    pub peak: Peak,
    pub peak_after: Peak,
    pub series: Vec<Series>,
    pub costs: Costs,
    pub coupons_told: u64,
    pub coupons_kept: u64,
    pub criteria: Vec<Criterion>,
}

impl Report {
    pub fn new(
        options: &Options,
        (peak, peak_after): (Peak, Peak),
        series: Vec<Series>,
        costs: Costs,
        (coupons_told, coupons_kept): (u64, u64),
    ) -> Self {
        let peak_per_second = f64::midpoint(peak.per_second, peak_after.per_second);
        let mut criteria: Vec<_> = series
            .iter()
            // Nobody can serve those who are gone: how much of the peak the others leave is told,
            // and not demanded.
            .filter(|series| series.waiting_room && series.crowd != AT_ONCE_AND_GONE)
            .flat_map(|series| demands(series, peak_per_second))
            .collect();
        criteria.push(Criterion::new(
            "a refusal's processor time ÷ a served claim's",
            Bound::AtMost(REFUSAL_COST),
            Some(costs.refused_us / costs.served_us),
        ));
        Self {
            machine: Machine::this(),
            patience_seconds: options.patience_seconds,
            at_once_share: options.at_once_share,
            peak_per_second,
            peak,
            peak_after,
            series,
            costs,
            coupons_told,
            coupons_kept,
            criteria,
        }
    }
}

fn demands(series: &Series, peak_per_second: f64) -> Vec<Criterion> {
    let crowd = series.crowd;
    let sound = |load| series.at(load).filter(|point| !point.figures.is_void);
    let mut criteria: Vec<_> = GOODPUT
        .iter()
        .map(|(load, least)| {
            let figure = sound(*load).map(|point| point.figures.goodput_per_second);
            Criterion::new(
                format!("{crowd}: goodput at {load} times the peak ÷ peak"),
                Bound::AtLeast(*least),
                figure.map(|goodput| goodput / peak_per_second),
            )
        })
        .collect();
    let slower = |p99: fn(&Figures) -> Option<f64>| {
        let at = |load| sound(load).and_then(|point| p99(&point.figures));
        let both = at(HIGHEST_LOAD).zip(at(BUSY_LOAD));
        both.map(|(flooded, busy)| flooded / busy)
    };
    let times = format!("at {HIGHEST_LOAD} times ÷ at {BUSY_LOAD} times");
    criteria.push(Criterion::new(
        format!("{crowd}: p99 of admitted claims {times}"),
        Bound::AtMost(SLOWER_AT_MOST),
        slower(|figures| figures.admitted_p99_ms),
    ));
    criteria.push(Criterion::new(
        format!("{crowd}: the same in the median second {times}"),
        Bound::AtMost(SLOWER_AT_MOST),
        slower(|figures| figures.admitted_p99_median_second_ms),
    ));
    criteria.push(Criterion::new(
        format!("{crowd}: seconds from the flood's end until all are served in time"),
        Bound::AtMost(RECOVERY_SECONDS),
        sound(HIGHEST_LOAD).map(|_| series.recovery.in_time_seconds as f64),
    ));
    criteria
}

/// Every figure that a person looks for, in plain text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let (peak, after, costs) = (&report.peak, &report.peak_after, &report.costs);
    writeln!(out, "{}", report.machine)?;
    writeln!(
        out,
        "Peak under the ceiling: {:.0} claims/s ({:.0} before the crowds, {:.0} after them), p99 {:.0} ms; patience {} s; {} coupons given, {} in the database",
        report.peak_per_second,
        peak.per_second,
        after.per_second,
        peak.p99.as_secs_f64() * 1_000.0,
        report.patience_seconds,
        report.coupons_told,
        report.coupons_kept
    )?;
    for series in &report.series {
        write_series(out, series, report)?;
    }
    writeln!(
        out,
        "\nProcessor time: {:.0} µs for a served claim, {:.1} µs for a refusal ({:.1} µs of it in the gateway), {:.1} µs for a bare echo of gRPC; {:.1} % of a processor when idle",
        costs.served_us,
        costs.refused_us,
        costs.refused_by_gateway_us,
        costs.echo_us,
        100.0 * costs.idle_share
    )?;
    write!(out, "\n{}", verdicts(&report.criteria))
}

fn write_series(out: &mut String, series: &Series, report: &Report) -> fmt::Result {
    let (crowd, recovery) = (series.crowd, series.recovery);
    let share = if crowd == AS_TOLD {
        String::new()
    } else {
        format!(" ({:.0} % of them)", 100.0 * report.at_once_share)
    };
    let room = if series.waiting_room { "on" } else { "off" };
    let at_once = recovery
        .at_once_seconds
        .map(|seconds| format!("{seconds} s"));
    let at_once = at_once.unwrap_or_else(|| "unknown".to_owned());
    writeln!(
        out,
        "\nSends again {crowd}{share}, waiting room {room}; {} s after the flood all that come are served in time, {at_once} after it at once",
        recovery.in_time_seconds
    )?;
    let heading = "load|offered/s|goodput/s|÷ peak|claims each|admitted p50|admitted p99|in a second|to coupon p99|lag ms|busy %|ends";
    let mut table = Table::new(heading);
    for point in &series.points {
        table.row(row(point, report.peak_per_second));
    }
    write!(out, "{table}")
}

fn row(point: &Point, peak_per_second: f64) -> String {
    let figures = &point.figures;
    let (offered, goodput) = (figures.offered_per_second, figures.goodput_per_second);
    let (of_peak, claims) = (goodput / peak_per_second, figures.claims_per_shopper);
    let (p50, p99) = (told(figures.admitted_p50_ms), told(figures.admitted_p99_ms));
    let in_a_second = told(figures.admitted_p99_median_second_ms);
    let (to_coupon, lag) = (told(figures.coupon_p99_ms), figures.lag_p99_ms);
    let (load, busy) = (point.load, 100.0 * point.processor.busy);
    let ends = figures.ends.iter();
    let ends: String = ends
        .map(|(end, count)| format!("{end} {count}  "))
        .collect();
    let void = if figures.is_void {
        "VOID: the generator fell behind"
    } else {
        ""
    };
    format!(
        "{load}|{offered:.0}|{goodput:.0}|{of_peak:.2}|{claims:.1}|{p50}|{p99}|{in_a_second}|{to_coupon}|{lag:.1}|{busy:.0}|{ends}{void}"
    )
}

#[cfg(test)]
pub mod examples {
    //! A report with round figures.

    use std::collections::BTreeMap;

    use super::*;
    use crate::goodput::figures::Recovery;

    pub fn report() -> Report {
        let peak = |per_second| Peak {
            per_second,
            p99: Duration::from_millis(60),
            processor: spent(),
            issued: 1_800,
            seconds: 6.0,
            coupons_told: 2_000,
        };
        let series = [("as told", true), ("at once", false)].map(|(crowd, waiting_room)| Series {
            crowd,
            waiting_room,
            points: vec![point(BUSY_LOAD, 240.0, 50.0), point(10.0, 285.0, 90.0)],
            recovery: Recovery {
                in_time_seconds: 3,
                at_once_seconds: Some(12),
            },
            coupons_told: 3_000,
        });
        let costs = Costs {
            idle_share: 0.02,
            served_us: 400.0,
            refused_us: 24.0,
            refused_by_gateway_us: 23.0,
            echo_us: 20.0,
        };
        let options = Options {
            patience_seconds: 10,
            at_once_share: 0.5,
            loads: Vec::new(),
            no_comparison: false,
            real: false,
            real_loads: Vec::new(),
        };
        let peaks = (peak(320.0), peak(280.0));
        Report::new(&options, peaks, series.into(), costs, (8_000, 8_000))
    }

    fn point(load: f64, goodput_per_second: f64, admitted_p99_ms: f64) -> Point {
        Point {
            load,
            figures: Figures {
                offered_per_second: 300.0 * load,
                goodput_per_second,
                claims_per_shopper: 1.5,
                admitted_p50_ms: Some(30.0),
                admitted_p99_ms: Some(admitted_p99_ms),
                admitted_p99_median_second_ms: Some(admitted_p99_ms),
                coupon_p99_ms: Some(5_000.0),
                ends: BTreeMap::from([("left".to_owned(), 7)]),
                lag_p99_ms: 1.0,
                is_void: false,
            },
            processor: spent(),
        }
    }

    fn spent() -> Spent {
        Spent {
            us_each: BTreeMap::new(),
            seconds: BTreeMap::from([("gateway-0".to_owned(), 1.0)]),
            busy: 0.5,
            others: 0.0,
            stolen: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criterion(report: &Report, what: &str) -> (Option<f64>, bool) {
        let found = report
            .criteria
            .iter()
            .find(|criterion| criterion.what.contains(what))
            .unwrap();
        (found.figure, found.is_met)
    }

    #[test]
    fn only_the_waiting_room_is_held_to_the_demands_and_a_step_that_is_missing_fails_them() {
        let report = examples::report();
        assert_eq!(
            criterion(&report, "goodput at 10 times"),
            (Some(0.95), true),
            "285 of both peaks' mean"
        );
        assert_eq!(criterion(&report, "p99 of admitted"), (Some(1.8), true));
        assert_eq!(criterion(&report, "goodput at 2 times"), (None, false));
        assert_eq!(criterion(&report, "refusal"), (Some(0.06), false));
        let of_others = |criterion: &Criterion| criterion.what.starts_with("at once");
        assert!(!report.criteria.iter().any(of_others));
    }

    #[test]
    fn the_words_name_the_peak_and_what_is_not_met() {
        let words = text(&examples::report());
        for expected in [
            "Peak under the ceiling: 300 claims/s (320 before the crowds, 280 after them)",
            "Sends again at once (50 % of them), waiting room off",
            "left 7",
            "NOT MET",
        ] {
            assert!(words.contains(expected), "{expected} is not in\n{words}");
        }
    }
}
