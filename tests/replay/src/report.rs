//! What is left when a replay is over: a table, three pictures, a file for machines.

pub mod plot;
pub mod slots;
mod table;
pub mod waterfall;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    audit::{Audit, BookedStore},
    collector::{Span, TraceId},
    measures::{
        ClaimCounts, Detours, OrderCounts, Picture, Quantiles, QueueCounts, Second, WaitTimes,
    },
};

pub use table::table;
use waterfall::Waterfall;

#[derive(Debug, Clone, Serialize)]
pub struct Latencies {
    /// Of claims that never waited in the queue.
    pub claim: Quantiles,
    pub order: Quantiles,
    /// How late first claims were sent: what the run itself adds to the others.
    pub sending: Quantiles,
}

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
    /// Sends beyond the first of a claim or order.
    pub retries: u64,
    /// Answers that callers lost on purpose.
    pub answers_lost: u64,
    pub gateways: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub run: RunFacts,
    pub claims: ClaimCounts,
    /// How those of them ended that had to wait.
    pub queue: QueueCounts,
    /// How long those waited who did as told and were served.
    pub wait_ms: WaitTimes,
    pub orders: OrderCounts,
    pub detours: Detours,
    pub busiest_stores: Vec<BookedStore>,
    /// From the scheduled send to the final answer.
    pub latency_ms: Latencies,
    pub audit: Audit,
    pub trace: Trace,
    pub seconds: Vec<Second>,
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
            trace_id: format!("{:032x}", u128::from_be_bytes(trace_id)),
            // The shopper is not a service.
            services: spans
                .iter()
                .map(|span| span.service.clone())
                .filter(|service| service != "shopper")
                .collect(),
            spans: spans.len(),
        });
        Self {
            run: RunFacts {
                retries: picture.retries,
                answers_lost: picture.answers_lost,
                ..run
            },
            claims: picture.claims,
            queue: picture.queue,
            wait_ms: picture.wait,
            orders: picture.orders,
            detours: picture.detours,
            busiest_stores,
            latency_ms: Latencies {
                claim: picture.claim_latency,
                order: picture.order_latency,
                sending: picture.lateness,
            },
            audit,
            trace: trace.unwrap_or_default(),
            seconds: picture.seconds,
        }
    }

    /// Whether so many claims were sent late that the latencies are the sender's and not the suite's.
    pub fn is_late(&self) -> bool {
        self.latency_ms.sending.p99 > MAX_LATENESS_MS
    }

    /// Whether all claims and waits are accounted for and every audited promise holds.
    pub fn holds(&self) -> bool {
        let all_ended =
            self.claims.offered == self.claims.ended() && self.queue.queued == self.queue.ended();
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
        write(&files[0], &plot::draw(&self.seconds, opening, &subtitle))?;
        write(&files[1], &slots::draw(&self.busiest_stores, &subtitle))?;
        if let Some(waterfall) = waterfall {
            let subtitle = format!("trace {}", self.trace.trace_id);
            files.push(folder.join("shopper.svg"));
            write(&files[2], &waterfall.svg(&subtitle))?;
        }
        Ok(files)
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}
