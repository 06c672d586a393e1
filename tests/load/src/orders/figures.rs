//! What was measured.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use serde::Serialize;

use super::{ceiling::BATCH, database_work::Done, errands::Errand};
use crate::{
    outcomes::Measured,
    report::{table, told},
};

#[derive(Debug, Serialize)]
pub struct Point {
    pub errand: Errand,
    /// At a time, in a closed loop.
    pub shoppers: u32,
    /// The share of the peak that came at random moments.
    pub load: Option<f64>,
    #[serde(flatten)]
    pub measured: Measured,
    pub database: Done,
}

#[derive(Debug, Serialize)]
pub struct Figures {
    pub lanes: u16,
    /// Bare inserts.
    pub ceiling_per_second: f64,
    pub points: Vec<Point>,
}

impl Point {
    fn who(&self) -> String {
        match self.load {
            Some(load) => format!("at {load} of the peak"),
            None => format!("{} at a time", self.shoppers),
        }
    }

    fn row(&self) -> String {
        let Measured {
            outcomes,
            processor,
        } = &self.measured;
        let (errand, who, rate) = (self.errand, self.who(), outcomes.per_second);
        let (p50, p99) = (told(outcomes.p50_ms), told(outcomes.p99_ms));
        // Of what serves.
        let us = 1e6 * processor.suite_seconds() / outcomes.good.max(1) as f64;
        let (rows, wal) = (
            self.database.rows_written_each,
            self.database.wal_bytes_each,
        );
        let busy = processor.busy;
        format!("{errand}|{who}|{rate:.0}|{p50}|{p99}|{us:.0}|{busy:.2}|{rows:.1}|{wal:.0}|")
    }
}

impl Display for Figures {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} lane(s)", self.lanes)?;
        writeln!(
            out,
            "Bare inserts of an order's rows, {BATCH} a commit: {:.0} orders/s",
            self.ceiling_per_second
        )?;
        let heading = "||/s|p50 ms|p99 ms|us each|busy|rows|WAL bytes|";
        let rows = self.points.iter().map(Point::row);
        writeln!(out, "{}", table(heading, rows))?;
        for point in &self.points {
            let Measured {
                outcomes,
                processor,
            } = &point.measured;
            let list = |figures: &BTreeMap<String, f64>| {
                let figures = figures.iter().map(|(name, it)| format!("{name} {it:.0}"));
                figures.collect::<Vec<_>>().join(", ")
            };
            writeln!(out, "{} {}", point.errand, point.who())?;
            writeln!(out, "  us each: {}", list(&processor.us_each))?;
            let commits = list(&point.database.commits_per_second);
            writeln!(out, "  commits/s: {commits}")?;
            if !outcomes.refused.is_empty() {
                writeln!(out, "  others: {:?}", outcomes.refused)?;
            }
        }
        Ok(())
    }
}
