//! What was measured, as a table for people and as data.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use serde::Serialize;

use super::{
    ceiling::Ceiling,
    database_work::{DatabaseWork, Done},
    errands::Errand,
};
use crate::{
    closed_loop::Stretch,
    machine::Machine,
    processor_time::{ProcessorTime, Spent},
    quantile::quantile_ms,
    table::{Table, told},
};

/// The processes that serve; the others only measure.
const MEASURES: [&str; 2] = ["load generator", "trace collector"];

#[derive(Debug, Serialize)]
pub struct Point {
    pub errand: Errand,
    /// At a time, in a closed loop.
    pub shoppers: u32,
    /// The share of the peak that came at random moments.
    pub load: Option<f64>,
    pub per_second: f64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Ends that were not as they should be, by reason.
    pub others: BTreeMap<String, u64>,
    /// Processor time of what serves, for each.
    pub us_each: f64,
    pub processor: Spent,
    pub database: Done,
}

#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    lanes: u16,
    ceiling: Ceiling,
    points: Vec<Point>,
}

impl Point {
    pub fn new(
        errand: Errand,
        shoppers: u32,
        stretch: Stretch<(DatabaseWork, ProcessorTime)>,
    ) -> Self {
        let count = stretch.ends.good.len() as u64;
        let (database_before, processor_before) = stretch.before;
        let (database_after, processor_after) = stretch.after;
        let processor = processor_after.since(&processor_before, count);
        Self {
            errand,
            shoppers,
            load: None,
            per_second: count as f64 / stretch.seconds,
            p50_ms: quantile_ms(&stretch.ends.good, 0.5),
            p99_ms: quantile_ms(&stretch.ends.good, 0.99),
            others: stretch.ends.bad,
            us_each: processor
                .us_each
                .iter()
                .filter(|(part, _)| !MEASURES.contains(&part.as_str()))
                .map(|(_, us)| us)
                .sum(),
            processor,
            database: database_after.since(&database_before, stretch.seconds, count),
        }
    }

    pub fn below_the_peak(load: f64, stretch: Stretch<(DatabaseWork, ProcessorTime)>) -> Self {
        Self {
            load: Some(load),
            ..Self::new(Errand::Order, 0, stretch)
        }
    }

    fn who(&self) -> String {
        match self.load {
            Some(load) => format!("at {load} of the peak"),
            None => format!("{} at a time", self.shoppers),
        }
    }
}

impl Report {
    pub fn new(machine: Machine, lanes: u16, ceiling: Ceiling, points: Vec<Point>) -> Self {
        Self {
            machine,
            lanes,
            ceiling,
            points,
        }
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}; {} lane(s)", self.machine, self.lanes)?;
        writeln!(
            out,
            "Bare inserts of an order's rows, {} a commit: {:.0} orders/s",
            self.ceiling.batch, self.ceiling.orders_per_second
        )?;
        let heading = "||/s|p50 ms|p99 ms|us each|busy|rows|WAL bytes|";
        let mut table = Table::new(heading);
        for point in &self.points {
            let (errand, who, rate, us) =
                (point.errand, point.who(), point.per_second, point.us_each);
            let (p50, p99) = (told(point.p50_ms), told(point.p99_ms));
            let (busy, rows) = (point.processor.busy, point.database.rows_written_each);
            let wal = point.database.wal_bytes_each;
            table.row(format!(
                "{errand}|{who}|{rate:.0}|{p50}|{p99}|{us:.0}|{busy:.2}|{rows:.1}|{wal:.0}|"
            ));
        }
        writeln!(out, "{table}")?;
        for point in &self.points {
            writeln!(out, "{} {}", point.errand, point.who())?;
            let parts: Vec<_> = (point.processor.us_each.iter())
                .map(|(part, us)| format!("{part} {us:.0}"))
                .collect();
            writeln!(out, "  us each: {}", parts.join(", "))?;
            let commits: Vec<_> = (point.database.commits_per_second.iter())
                .map(|(name, commits)| format!("{name} {commits:.0}"))
                .collect();
            writeln!(out, "  commits/s: {}", commits.join(", "))?;
            if !point.others.is_empty() {
                writeln!(out, "  others: {:?}", point.others)?;
            }
        }
        Ok(())
    }
}
