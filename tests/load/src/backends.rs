//! Two backends at one gateway: what one gets beside another that floods it.

use std::{
    fmt::{self, Display, Formatter},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tidegate_client::{claim_of, framed};
use tokio::time::Instant;

use crate::{
    closed_loop::REQUEST_ID,
    criteria::{Criterion, at_least},
    open_loop,
    outcomes::Outcomes,
    report::{self, table, told},
    shoppers::{arrivals::Arrivals, claim_answer::ClaimAnswer},
    suite::{CONNECTIONS, Site, Suite, slowed::nominal_per_second},
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
const SEED: u64 = 5;

#[derive(Debug, Args)]
pub struct Options {
    /// How long each stretch is measured.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
}

#[derive(Debug, Serialize)]
struct Point {
    stretch: &'static str,
    backend: &'static str,
    #[serde(flatten)]
    outcomes: Outcomes,
}

#[derive(Debug, Serialize)]
struct Figures {
    /// What the ceiling leaves room for.
    nominal_per_second: f64,
    places: u32,
    points: Vec<Point>,
}

/// Measures one backend alone, beside the flood, and alone again.
pub async fn run(options: &Options, site: &Site) -> Result<()> {
    let mut suite = Suite::slowed(site, 1).await?;
    let places = PLACES.to_string();
    // Without a waiting room the places for claims are all that stands between a flood and
    // issuance.
    suite.set_gateways("TIDEGATE_MAX_CLAIMS", Some(&places))?;
    suite.set_waiting_room(false).await?;
    suite.campaign(CAMPAIGN_ID, STOCK).await?;
    let length = Duration::from_secs(options.seconds);
    let mut points = Vec::new();
    for (stretch, is_flooded) in [("alone", false), ("flooded", true), ("alone again", false)] {
        tell(&format!("Measuring the quiet backend {stretch}."));
        let begins = Instant::now();
        let ask = |backend, per_second| ask(&suite, (stretch, backend), begins, length, per_second);
        let quiet = ask("quiet", QUIET_PER_SECOND);
        if is_flooded {
            let flood = ask("flood", FLOOD_FACTOR * QUIET_PER_SECOND);
            let (quiet, flood) = tokio::try_join!(quiet, flood)?;
            points.extend([quiet, flood]);
        } else {
            points.push(quiet.await?);
        }
    }
    suite.close().await?;
    let figures = Figures {
        nominal_per_second: nominal_per_second(),
        places: PLACES,
        points,
    };
    report::write(&site.folder, "backends", &figures, &[figures.criterion()])
}

/// Claims for new shoppers at moments that no answer changes, each of them once.
async fn ask(
    suite: &Suite,
    (stretch, backend): (&'static str, &'static str),
    begins: Instant,
    length: Duration,
    per_second: f64,
) -> Result<Point> {
    let caller = suite.caller_of(backend, CONNECTIONS).await?;
    let claim = move |number| {
        let shopper = format!("{backend}-{stretch}-{number}").replace(' ', "-");
        let body = framed(&claim_of(CAMPAIGN_ID, &shopper, REQUEST_ID));
        let caller = Arc::clone(&caller);
        Some(async move { ClaimAnswer::read(caller.call(body).await, CAMPAIGN_ID).new_coupon() })
    };
    let arrivals = Arrivals::steady(per_second, LEAD + length, SEED);
    let ends = open_loop::run(&suite.threads, begins, LEAD, arrivals, claim).await?;
    Ok(Point {
        stretch,
        backend,
        outcomes: ends.in_seconds(length.as_secs_f64()),
    })
}

impl Figures {
    fn criterion(&self) -> Criterion {
        let got = |flooded: bool| {
            let of_quiet = self.points.iter().filter(move |point| {
                point.backend == "quiet" && (point.stretch == "flooded") == flooded
            });
            let rates: Vec<_> = of_quiet.map(|point| point.outcomes.per_second).collect();
            rates.iter().sum::<f64>() / rates.len() as f64
        };
        let kept = got(true) / got(false);
        let what = "coupons of the quiet backend: beside the flood ÷ alone";
        at_least(KEPT, what, kept.is_finite().then_some(kept))
    }
}

impl Display for Figures {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (nominal, places) = (self.nominal_per_second, self.places);
        writeln!(
            out,
            "The ceiling leaves room for {nominal:.0} claims/s, and the gateway has {places} places for claims\n"
        )?;
        let heading = "stretch|backend|claims|coupons/s|p50 ms|p99 ms|refused";
        let rows = self.points.iter().map(|point| {
            let Point {
                stretch,
                backend,
                outcomes,
            } = point;
            let (claims, rate) = (outcomes.good + outcomes.all_refused(), outcomes.per_second);
            let (p50, p99) = (told(outcomes.p50_ms), told(outcomes.p99_ms));
            let refused = &outcomes.refused;
            format!("{stretch}|{backend}|{claims}|{rate:.1}|{p50}|{p99}|{refused:?}")
        });
        write!(out, "{}", table(heading, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rates: &[(&'static str, &'static str, f64)]) -> (Option<f64>, bool) {
        let points = rates.iter().map(|(stretch, backend, per_second)| Point {
            stretch,
            backend,
            outcomes: Outcomes {
                per_second: *per_second,
                ..Outcomes::default()
            },
        });
        let criterion = Figures {
            nominal_per_second: 160.0,
            places: PLACES,
            points: points.collect(),
        }
        .criterion();
        (criterion.figure, criterion.is_met)
    }

    #[test]
    fn the_flooded_stretch_is_held_against_the_mean_of_those_around_it() {
        let flooded = [("flooded", "quiet", 38.0), ("flooded", "flood", 100.0)];
        let around = [("alone", "quiet", 41.0), ("alone again", "quiet", 39.0)];
        assert_eq!(kept(&[flooded, around].concat()), (Some(0.95), true));
        // Nothing is proved where the backend got nothing alone.
        assert!(!kept(&flooded[..1]).1);
    }
}
