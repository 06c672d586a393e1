//! The figures of a run, and what they are held to.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{order_of_service::Treatment, orders::OrderFigures, waiting_million::Memory};
use crate::{
    criteria::{Criterion, at_least, at_most},
    report::{table, told},
};

const INSIDE_ESTIMATE: f64 = 0.9;
/// What chance alone makes of two groups of this size.
const STORM_GAIN: f64 = 1.05;
const ORDERS_SLOWER: f64 = 1.5;
const MEMORY_MIB: f64 = 64.0;

#[derive(Debug, Serialize)]
pub struct Figures {
    /// What the ceiling leaves room for.
    pub nominal_per_second: f64,
    pub treatment: Treatment,
    /// Coupons that were left when nobody waited any more.
    pub coupons_unsold: u64,
    /// Beside no claims, on an ordinary day, in a flood.
    pub orders: [OrderFigures; 3],
    pub memory: Memory,
}

impl Figures {
    pub fn criteria(&self) -> Vec<Criterion> {
        let (it, memory) = (&self.treatment, &self.memory);
        let [_, ordinary, flood] = self.orders.each_ref().map(|it| &it.outcomes);
        let p99s = flood.p99_ms.zip(ordinary.p99_ms);
        let is_flooded = flood.good + flood.all_refused() > 0;
        // A crowd that never had to wait proves nothing.
        let none = |what, count: u64| {
            let seen = (it.queued > 0).then_some(count as f64);
            at_most(0.0, what, seen)
        };
        vec![
            none(
                "overtaken by somebody more than one cohort behind",
                it.overtaken as u64,
            ),
            none("positions that grew", it.positions_grown),
            at_least(
                INSIDE_ESTIMATE,
                "share served inside the first estimate",
                it.inside_estimate,
            ),
            none(
                "shoppers left waiting after the sell-out",
                it.left_waiting as u64,
            ),
            at_most(
                STORM_GAIN,
                "storm: share served ÷ that of those who did as told",
                it.storm_served_ratio,
            ),
            at_most(
                STORM_GAIN,
                "storm: mean wait of those who did as told ÷ that of the storm",
                it.storm_wait_ratio,
            ),
            at_most(
                ORDERS_SLOWER,
                "p99 of orders in a flood of claims ÷ on an ordinary day",
                p99s.map(|(flood, ordinary)| flood / ordinary),
            ),
            at_most(
                0.0,
                "orders refused in a flood of claims",
                is_flooded.then_some(flood.all_refused() as f64),
            ),
            at_most(
                MEMORY_MIB,
                format!("MiB that a gateway grows by while {} wait", memory.waiting),
                (memory.others == 0).then_some(memory.grown_mib),
            ),
        ]
    }
}

impl Display for Figures {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (nominal, it) = (self.nominal_per_second, &self.treatment);
        writeln!(
            out,
            "The ceiling leaves room for {nominal:.0} claims/s\n\n{} crowds until the sell-out: {} came, {} queued, {} coupons unsold; lag of the generator {:.1} ms",
            it.crowds, it.shoppers, it.queued, self.coupons_unsold, it.lag_p99_ms
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
        let rows = self.orders.iter().map(|figures| {
            let (load, outcomes) = (figures.claims_load, &figures.outcomes);
            let (accepted, refused) = (outcomes.good, outcomes.all_refused());
            let (placed, reasons) = (accepted + refused, &outcomes.refused);
            let (p50, p99) = (told(outcomes.p50_ms), told(outcomes.p99_ms));
            format!("{load}|{placed}|{accepted}|{p50}|{p99}|{reasons:?}")
        });
        let orders = table("claims' load|placed|accepted|p50 ms|p99 ms|refused", rows);
        writeln!(out, "\nOrders beside claims\n{orders}")?;
        let memory = &self.memory;
        writeln!(
            out,
            "Memory: {} waiting (and {} answered otherwise) after {:.0} s; gateways {:.0?} MiB before, {:.0?} MiB after",
            memory.waiting, memory.others, memory.seconds, memory.before_mib, memory.after_mib
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{criteria::found, outcomes::Outcomes};

    fn figures(others: u64) -> Figures {
        let orders = [(0.0, 50.0), (0.7, 100.0), (10.0, 160.0)];
        Figures {
            nominal_per_second: 320.0,
            treatment: Treatment::of(&[]),
            coupons_unsold: 3,
            orders: orders.map(|(claims_load, p99_ms)| OrderFigures {
                claims_load,
                outcomes: Outcomes {
                    p99_ms: Some(p99_ms),
                    ..Outcomes::default()
                },
            }),
            memory: Memory {
                waiting: 1_000_000 - others,
                others,
                seconds: 50.0,
                before_mib: vec![30.0, 31.0],
                after_mib: vec![40.0, 51.0],
                grown_mib: 20.0,
            },
        }
    }

    #[test]
    fn orders_in_a_flood_are_held_against_those_of_an_ordinary_day() {
        let criteria = figures(0).criteria();
        assert_eq!(found(&criteria, "p99 of orders"), (Some(1.6), false));
    }

    #[test]
    fn nothing_is_proved_by_a_crowd_that_never_waited_or_did_not_all_join() {
        let (whole, partial) = (figures(0).criteria(), figures(1).criteria());
        assert_eq!(found(&whole, "positions that grew"), (None, false));
        assert_eq!(found(&whole, "orders refused"), (None, false));
        assert_eq!(found(&whole, "MiB"), (Some(20.0), true));
        assert_eq!(found(&partial, "MiB"), (None, false));
    }
}
