//! What is left when a replay is over: a table, three pictures, a file for machines.

mod plot;
mod slots;
mod table;
mod waterfall;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;
use tidegate_ctl::waterfall::Waterfall;

use crate::{
    audit::{Audit, BookedStore},
    collector::{Span, TraceId, hex},
    measures::Picture,
};

pub use table::table;

/// Sent later than this, a claim says nothing of how fast it was answered.
const MAX_LATENESS_MS: f64 = 200.0;

#[derive(Debug, Clone, Default, Serialize)]
pub struct Trace {
    /// Empty if no traced shopper got coupon and order.
    pub trace_id: String,
    /// The services its spans come from.
    pub services: BTreeSet<String>,
    /// How many spans, those of linked traces included.
    pub spans: usize,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct RunFacts {
    pub campaign_id: String,
    pub stock: u64,
    pub planned_orders: u32,
    pub minutes: f64,
    /// The share of arrivals before the opening.
    pub early_share: f64,
    /// When the campaign opened, in seconds since the replay began.
    pub opening_second: f64,
    pub seed: u64,
    /// How long the replay took, last shopper included.
    pub took_seconds: f64,
    pub gateways: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub run: RunFacts,
    #[serde(flatten)]
    pub picture: Picture,
    pub busiest_stores: Vec<BookedStore>,
    pub audit: Audit,
    pub trace: Trace,
}

impl Report {
    pub fn new(
        run: RunFacts,
        picture: Picture,
        audit: Audit,
        busiest_stores: Vec<BookedStore>,
        trace: Option<(TraceId, &[Span])>,
    ) -> Self {
        let trace = trace.map(|(trace_id, spans)| Trace {
            trace_id: hex(&trace_id),
            // The shopper is not a service.
            services: spans
                .iter()
                .map(|span| span.service.clone())
                .filter(|service| service != "shopper")
                .collect(),
            spans: spans.len(),
        });
        Self {
            run,
            picture,
            busiest_stores,
            audit,
            trace: trace.unwrap_or_default(),
        }
    }

    /// Whether so many claims were sent late that the latencies are the sender's and not the suite's.
    pub fn is_late(&self) -> bool {
        self.picture.latency_ms.sending.p99 > MAX_LATENESS_MS
    }

    /// Whether all claims and waits are accounted for and every audited promise holds.
    pub fn holds(&self) -> bool {
        let Picture { claims, queue, .. } = &self.picture;
        let all_ended = claims.offered == claims.ended() && queue.queued == queue.ended();
        all_ended && self.audit.holds()
    }

    pub fn write_json(&self, file: &Path) -> Result<()> {
        write(file, &(serde_json::to_string_pretty(self)? + "\n"))
    }

    /// Draws the pictures into a folder and says where they are.
    pub fn draw(&self, folder: &Path, waterfall: Option<&Waterfall>) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let subtitle = format!(
            "{} shoppers, {} coupons, the Qwen day in {} minutes",
            self.run.planned_orders, self.run.stock, self.run.minutes
        );
        let mut files = vec![folder.join("claims.svg"), folder.join("slots.svg")];
        let opening = self.run.opening_second;
        write(
            &files[0],
            &plot::draw(&self.picture.seconds, opening, &subtitle),
        )?;
        write(&files[1], &slots::draw(&self.busiest_stores, &subtitle))?;
        if let Some(waterfall) = waterfall {
            let subtitle = format!("trace {}", self.trace.trace_id);
            files.push(folder.join("shopper.svg"));
            write(&files[2], &waterfall::draw(waterfall, &subtitle))?;
        }
        Ok(files)
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}
