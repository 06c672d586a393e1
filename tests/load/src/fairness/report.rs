//! The figures of a run, what they are held to, and the words for people.

use std::fmt::{self, Write};

use serde::Serialize;

use super::{order_of_service::Treatment, orders::OrderFigures, waiting_million::Memory};
use crate::{
    criteria::{Bound, Criterion, verdicts},
    machine::Machine,
    table::{Table, told},
};

const INSIDE_ESTIMATE: f64 = 0.9;
/// What chance alone makes of two groups of this size.
const STORM_GAIN: f64 = 1.05;
const ORDERS_SLOWER: f64 = 1.5;
const MEMORY_MIB: f64 = 64.0;

#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    /// What the ceiling leaves room for.
    pub nominal_per_second: f64,
    pub treatment: Treatment,
    /// Coupons that were left when nobody waited any more.
    pub coupons_unsold: u64,
    /// Alone, on an ordinary day, in a flood.
    pub orders: Vec<OrderFigures>,
    pub memory: Memory,
    pub criteria: Vec<Criterion>,
}

impl Report {
    pub fn new(
        nominal_per_second: f64,
        treatment: Treatment,
        coupons_unsold: u64,
        orders: Vec<OrderFigures>,
        memory: Memory,
    ) -> Self {
        let mut criteria = of_treatment(&treatment);
        criteria.extend(of_orders(&orders));
        criteria.push(Criterion::new(
            format!("MiB that a gateway grows by while {} wait", memory.waiting),
            Bound::AtMost(MEMORY_MIB),
            (memory.others == 0).then_some(memory.grown_mib),
        ));
        Self {
            machine: Machine::this(),
            nominal_per_second,
            treatment,
            coupons_unsold,
            orders,
            memory,
            criteria,
        }
    }
}

fn of_treatment(treatment: &Treatment) -> Vec<Criterion> {
    let none = Bound::AtMost(0.0);
    // A crowd that never had to wait proves nothing.
    let seen = |count: u64| (treatment.queued > 0).then_some(count as f64);
    vec![
        Criterion::new(
            "overtaken by somebody more than one cohort behind",
            none,
            seen(treatment.overtaken as u64),
        ),
        Criterion::new("positions that grew", none, seen(treatment.positions_grown)),
        Criterion::new(
            "share served inside the first estimate",
            Bound::AtLeast(INSIDE_ESTIMATE),
            treatment.inside_estimate,
        ),
        Criterion::new(
            "shoppers left waiting after the sell-out",
            none,
            seen(treatment.left_waiting as u64),
        ),
        Criterion::new(
            "storm: share served ÷ that of those who did as told",
            Bound::AtMost(STORM_GAIN),
            treatment.storm_served_ratio,
        ),
        Criterion::new(
            "storm: mean wait of those who did as told ÷ that of the storm",
            Bound::AtMost(STORM_GAIN),
            treatment.storm_wait_ratio,
        ),
    ]
}

fn of_orders(orders: &[OrderFigures]) -> Vec<Criterion> {
    let (Some(ordinary), Some(flood)) = (orders.get(1), orders.last()) else {
        return Vec::new();
    };
    let refused: u64 = flood.refused.values().sum();
    vec![
        Criterion::new(
            "p99 of orders in a flood of claims ÷ on an ordinary day",
            Bound::AtMost(ORDERS_SLOWER),
            flood
                .p99_ms
                .zip(ordinary.p99_ms)
                .map(|(flood, ordinary)| flood / ordinary),
        ),
        Criterion::new(
            "orders refused in a flood of claims",
            Bound::AtMost(0.0),
            (flood.placed > 0).then_some(refused as f64),
        ),
    ]
}

/// Every figure that a person looks for, in plain text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let (machine, nominal, it) = (
        &report.machine,
        report.nominal_per_second,
        &report.treatment,
    );
    writeln!(
        out,
        "{machine}; the ceiling leaves room for {nominal:.0} claims/s\n"
    )?;
    writeln!(
        out,
        "{} crowds until the sell-out: {} came, {} queued, {} coupons unsold; lag of the generator {:.1} ms",
        it.crowds, it.shoppers, it.queued, report.coupons_unsold, it.lag_p99_ms
    )?;
    for (end, count) in &it.ends {
        writeln!(out, "  {end}: {count}")?;
    }
    let share = |share: Option<f64>| told(share.map(|share| 100.0 * share));
    let (inside, sooner) = (share(it.inside_estimate), share(it.sooner_than_estimate));
    let later = share(it.later_than_estimate);
    writeln!(
        out,
        "  first estimate: {inside} % inside, {sooner} % sooner, {later} % later"
    )?;
    let mut table = Table::new("claims' load|placed|accepted|p50 ms|p99 ms|refused");
    for figures in &report.orders {
        let (load, placed, accepted) = (figures.claims_load, figures.placed, figures.accepted);
        let (p50, p99) = (told(figures.p50_ms), told(figures.p99_ms));
        table.row(format!(
            "{load}|{placed}|{accepted}|{p50}|{p99}|{:?}",
            figures.refused
        ));
    }
    writeln!(out, "\nOrders beside claims\n{table}")?;
    let memory = &report.memory;
    writeln!(
        out,
        "Memory: {} waiting (and {} answered otherwise) after {:.0} s; gateways {:.0?} MiB before, {:.0?} MiB after\n",
        memory.waiting, memory.others, memory.seconds, memory.before_mib, memory.after_mib
    )?;
    out.write_str(&verdicts(&report.criteria))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn orders(claims_load: f64, p99_ms: f64) -> OrderFigures {
        OrderFigures {
            claims_load,
            placed: 300,
            accepted: 300,
            refused: BTreeMap::new(),
            p50_ms: Some(40.0),
            p99_ms: Some(p99_ms),
        }
    }

    fn report(others: u64) -> Report {
        let memory = Memory {
            waiting: 1_000_000 - others,
            others,
            seconds: 50.0,
            before_mib: vec![30.0, 31.0],
            after_mib: vec![40.0, 51.0],
            grown_mib: 20.0,
        };
        let orders = vec![orders(0.0, 50.0), orders(0.7, 100.0), orders(10.0, 160.0)];
        Report::new(320.0, Treatment::of(&[]), 3, orders, memory)
    }

    #[test]
    fn orders_in_a_flood_are_held_against_those_of_an_ordinary_day() {
        let report = report(0);
        let orders = report
            .criteria
            .iter()
            .find(|criterion| criterion.what.starts_with("p99 of orders"))
            .unwrap();
        assert_eq!((orders.figure, orders.is_met), (Some(1.6), false));
    }

    #[test]
    fn nothing_is_proved_by_a_crowd_that_never_waited_or_did_not_all_join() {
        let unknown = |report: &Report, what: &str| {
            let found = report
                .criteria
                .iter()
                .find(|criterion| criterion.what.contains(what))
                .unwrap();
            found.figure.is_none() && !found.is_met
        };
        assert!(unknown(&report(0), "positions that grew"));
        assert!(unknown(&report(1), "MiB"));
        assert!(!unknown(&report(0), "MiB"));
        assert!(text(&report(0)).contains("3 coupons unsold"));
    }
}
