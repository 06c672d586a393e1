//! Two backends at one gateway: what one gets beside another that floods it.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tidegate_client::{Caller, claim_of, framed};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    closed_loop::REQUEST_ID,
    criteria::{Bound, Criterion, verdicts},
    machine::Machine,
    quantile::quantile_ms,
    results,
    shoppers::{
        arrivals::{Arrivals, Stretch},
        claim_answer::ClaimAnswer,
    },
    stage::Stage,
    table::{Table, told},
    tell,
};

const CAMPAIGN_ID: &str = "backends";
const STOCK: (u64, u64) = (50_000_000, 1_000_000);
/// Places for claims at the gateway: as many as there can be if claims are to make their deadline
/// when all are taken.
const PLACES: u32 = 180;
/// What one backend asks for: a fifth of what can be served.
const QUIET_PER_SECOND: f64 = 30.0;
/// How much more the other one does.
const FLOOD_FACTOR: f64 = 10.0;
/// The flood comes so long before anything is counted.
const LEAD: Duration = Duration::from_secs(3);
const KEPT: f64 = 0.95;

#[derive(Debug, Args)]
pub struct Options {
    /// How long each stretch is measured.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Figures {
    stretch: &'static str,
    backend: &'static str,
    claims: usize,
    coupons_per_second: f64,
    refused: BTreeMap<String, u64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    /// What the ceiling leaves room for.
    nominal_per_second: f64,
    places: u32,
    figures: Vec<Figures>,
    criteria: Vec<Criterion>,
}

/// Measures one backend alone, beside the flood, and alone again, and reports it in `folder`.
pub async fn run(options: &Options, folder: &Path, threads: &Handle) -> Result<()> {
    let mut stage = Stage::open(&folder.join("stack"), 1).await?;
    let places = PLACES.to_string();
    // Without a waiting room the places for claims are all that stands between a flood and
    // issuance.
    stage.set_gateways("TIDEGATE_MAX_CLAIMS", Some(&places))?;
    stage.set_waiting_room(false).await?;
    stage.campaign(CAMPAIGN_ID, STOCK).await?;
    let length = Duration::from_secs(options.seconds);
    let mut figures = Vec::new();
    for (stretch, is_flooded) in [("alone", false), ("flooded", true), ("alone again", false)] {
        tell(&format!("Measuring the quiet backend {stretch}."));
        let begins = Instant::now() + LEAD;
        let backend = |subject| Backend::connect(&stage, threads, subject, stretch);
        let quiet = backend("quiet").await?;
        let asking = quiet.ask(begins, length, QUIET_PER_SECOND);
        if is_flooded {
            let flood = backend("flood").await?;
            let per_second = FLOOD_FACTOR * QUIET_PER_SECOND;
            let flooding = flood.ask(begins - LEAD, LEAD + length, per_second);
            let (quiet, flood) = tokio::join!(asking, flooding);
            figures.extend([quiet?, flood?]);
        } else {
            figures.push(asking.await?);
        }
    }
    stage.close().await?;
    let report = Report::new(figures);
    results::write(folder, "backends", &report, &report.to_string())
}

struct Backend {
    caller: Arc<Caller>,
    threads: Handle,
    subject: &'static str,
    stretch: &'static str,
}

impl Backend {
    async fn connect(
        stage: &Stage,
        threads: &Handle,
        subject: &'static str,
        stretch: &'static str,
    ) -> Result<Self> {
        Ok(Self {
            caller: stage.caller_of(subject, threads).await?,
            threads: threads.clone(),
            subject,
            stretch,
        })
    }

    /// Claims for new shoppers at moments that no answer changes, each of them once.
    async fn ask(&self, begins: Instant, length: Duration, per_second: f64) -> Result<Figures> {
        let mut claims = JoinSet::new();
        let arrivals = Arrivals::new(vec![Stretch { length, per_second }], 5);
        for (number, at) in arrivals.enumerate() {
            let due = begins + at;
            sleep_until(due).await;
            let shopper = format!("{}-{}-{number}", self.subject, self.stretch).replace(' ', "-");
            let body = framed(&claim_of(CAMPAIGN_ID, &shopper, REQUEST_ID));
            let caller = Arc::clone(&self.caller);
            let claim = async move {
                let answer = caller.call(body).await;
                (ClaimAnswer::read(answer, CAMPAIGN_ID), due.elapsed())
            };
            claims.spawn_on(claim, &self.threads);
        }
        let answers = claims.join_all().await;
        Ok(Figures::new(self, length, &answers))
    }
}

impl Figures {
    fn new(backend: &Backend, length: Duration, answers: &[(ClaimAnswer, Duration)]) -> Self {
        let (mut took, mut refused) = (Vec::new(), BTreeMap::new());
        for (answer, time) in answers {
            let other = match answer {
                ClaimAnswer::Coupon(_) => {
                    took.push(*time);
                    continue;
                }
                ClaimAnswer::Queued(_) => "QUEUED".to_owned(),
                ClaimAnswer::Failed(failure) => failure.clone().reason(),
            };
            *refused.entry(other).or_default() += 1;
        }
        Self {
            stretch: backend.stretch,
            backend: backend.subject,
            claims: answers.len(),
            coupons_per_second: took.len() as f64 / length.as_secs_f64(),
            refused,
            p50_ms: quantile_ms(&took, 0.5),
            p99_ms: quantile_ms(&took, 0.99),
        }
    }
}

impl Report {
    fn new(figures: Vec<Figures>) -> Self {
        let got = |flooded: bool| {
            let of_quiet = figures.iter().filter(move |figures| {
                figures.backend == "quiet" && (figures.stretch == "flooded") == flooded
            });
            let rates: Vec<_> = of_quiet.map(|figures| figures.coupons_per_second).collect();
            rates.iter().sum::<f64>() / rates.len() as f64
        };
        let kept = got(true) / got(false);
        let criterion = Criterion::new(
            "coupons of the quiet backend: beside the flood ÷ alone",
            Bound::AtLeast(KEPT),
            kept.is_finite().then_some(kept),
        );
        Self {
            machine: Machine::this(),
            nominal_per_second: Stage::nominal_per_second(),
            places: PLACES,
            criteria: vec![criterion],
            figures,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (machine, nominal, places) = (&self.machine, self.nominal_per_second, self.places);
        writeln!(
            out,
            "{machine}; the ceiling leaves room for {nominal:.0} claims/s, and the gateway has {places} places for claims\n"
        )?;
        let heading = "stretch|backend|claims|coupons/s|p50 ms|p99 ms|refused";
        let mut table = Table::new(heading);
        for figures in &self.figures {
            let (stretch, backend, claims) = (figures.stretch, figures.backend, figures.claims);
            let (p50, p99) = (told(figures.p50_ms), told(figures.p99_ms));
            let (rate, refused) = (figures.coupons_per_second, &figures.refused);
            table.row(format!(
                "{stretch}|{backend}|{claims}|{rate:.1}|{p50}|{p99}|{refused:?}"
            ));
        }
        write!(out, "{table}\n{}", verdicts(&self.criteria))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(stretch: &'static str, backend: &'static str, coupons_per_second: f64) -> Figures {
        Figures {
            stretch,
            backend,
            claims: 800,
            coupons_per_second,
            refused: BTreeMap::from([("QUEUE_FULL".to_owned(), 7)]),
            p50_ms: Some(50.0),
            p99_ms: None,
        }
    }

    #[test]
    fn the_flooded_stretch_is_held_against_the_mean_of_those_around_it() {
        let report = Report::new(vec![
            figures("alone", "quiet", 41.0),
            figures("flooded", "quiet", 38.0),
            figures("flooded", "flood", 100.0),
            figures("alone again", "quiet", 39.0),
        ]);
        let [criterion] = &report.criteria[..] else {
            panic!("{:?}", report.criteria)
        };
        assert_eq!((criterion.figure, criterion.is_met), (Some(0.95), true));
        assert!(report.to_string().contains("\"QUEUE_FULL\": 7"));
    }

    #[test]
    fn nothing_is_proved_where_the_backend_got_nothing_alone() {
        let report = Report::new(vec![figures("flooded", "quiet", 0.0)]);
        assert!(!report.criteria[0].is_met);
    }
}
