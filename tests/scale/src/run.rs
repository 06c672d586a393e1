//! A run, from the first namespace to the report.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Result, bail, ensure};
use tidegate_chaos::{
    campaigns::{DRAINED_STOCK, drained, terms},
    report::RoundReport,
    round::{PATIENCE, progress, put_away, settle_up},
    workload::{Crowd, Habits, Scene, see_out},
};
use tidegate_client::{CampaignTerms, Staff, eventually};
use tidegate_local::stack::Service;
use tokio::time::Instant;

use crate::{
    fleet::{Fleet, REPLICAS},
    impossible_because,
    report::Report,
    steps::{Acted, CUT, Director, settled_step},
    timeline::Timeline,
};

/// Of a hundred shoppers, who claim of the tiered campaign and of the one with one coupon a
/// shopper. The others claim of small ones that are drained one after the other.
const WHO_CLAIM: (u32, u32) = (30, 50);
/// Few, since all of them book at one store, whose row every lane would wait for.
const WHO_ORDER: u32 = 25;
/// Coupons that a shopper of the tiered campaign asks for, on average.
const TIERED_CLAIMS: u64 = 2;
/// What all rolling restarts together take, so that there is stock for it.
const RESTARTS: Duration = Duration::from_secs(45);
/// Steps that wait until the load has spread, and watch it then.
const SETTLED_STEPS: u32 = 3;
/// Before the first step the suite has to be at work.
const FIRST_COUPONS: u64 = 50;
const WARM_UP_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Settings {
    /// What shoppers do follows from it.
    pub seed: u64,
    pub step: Duration,
    /// What issuance is scaled up to, from one.
    pub most_issuance: usize,
    pub arrivals_per_second: u64,
    pub data: PathBuf,
    pub say: fn(&str),
}

/// Scales, restarts and cuts off, and then holds the databases against what shoppers were told.
pub async fn run(settings: &Settings) -> Result<Report> {
    if let Some(reason) = impossible_because() {
        bail!(reason);
    }
    ensure!(
        settings.most_issuance > REPLICAS,
        "Issuance is scaled down to {REPLICAS}: scale it up to more than that."
    );
    let (began, say) = (Instant::now(), settings.say);
    let folder = settings.data.join("run");
    let mut fleet = Fleet::lay(&folder, settings.most_issuance, say).await?;
    let scene = open(&mut fleet, settings).await?;
    let timeline = Timeline::begin(scene.tally.clone());
    for name in fleet.published(Service::Issuance) {
        timeline.joined(&name, fleet.stack.replica(&name)?.admin_address());
    }
    let acted = tokio::select! {
        acted = act(&mut fleet, &scene, &timeline, settings) => acted?,
        never = timeline.watch() => match never {},
        never = progress(&scene.tally, String::new, say) => match never {},
    };
    let mut round = RoundReport {
        seed: settings.seed,
        ..RoundReport::default()
    };
    let (quota, orders) = (
        fleet.newest(Service::Quota)?,
        fleet.newest(Service::OrderIntake)?,
    );
    let staff = Staff::who_call(&fleet.stack, &quota, &orders)?;
    settle_up(&fleet.stack, &staff, &scene, &mut round, true).await?;
    round.took_seconds = began.elapsed().as_secs_f64();
    let report = Report {
        acted,
        samples: timeline.samples(),
        round,
    };
    put_away(fleet.stack, &folder, report.broken().is_empty(), say).await?;
    Ok(report)
}

/// The first replicas of each service, and campaigns.
async fn open(fleet: &mut Fleet, settings: &Settings) -> Result<Arc<Scene>> {
    for service in Service::START_ORDER {
        let is_issuance = service == Service::Issuance;
        let replicas = if is_issuance { 1 } else { REPLICAS };
        for _ in 0..replicas {
            let name = fleet.grow(service).await?;
            let address = fleet.stack.replica(&name)?.grpc_address();
            (settings.say)(&format!("{name} is ready on {address}."));
        }
    }
    let lasts = settings.step + settled_step(settings.step) * SETTLED_STEPS + RESTARTS + CUT;
    let campaigns = campaigns(settings.arrivals_per_second * lasts.as_secs());
    let habits = Habits {
        arrivals_per_second: settings.arrivals_per_second,
        // The campaigns' stock is set here and not by it.
        stock_per_second: 0,
        who_claim: WHO_CLAIM,
        who_order: WHO_ORDER,
    };
    let scene = Scene::set(&fleet.stack, campaigns, habits, settings.seed).await?;
    scene.door.lead_to(fleet.gateways()?);
    Ok(scene)
}

/// Campaigns whose stock lasts a little longer than the steps, in the order that the workload
/// expects.
fn campaigns(shoppers: u64) -> Vec<CampaignTerms> {
    let who = |of_hundred: u32| shoppers * u64::from(of_hundred) / 100;
    let (tiered, steady) = (who(WHO_CLAIM.0) * TIERED_CLAIMS, who(WHO_CLAIM.1));
    let gold = tiered / 5;
    let mut all = vec![
        terms("tiered", vec![("gold", gold), ("tea", tiered - gold)], 3),
        terms("steady", vec![("tea", steady)], 1),
        // Nobody comes for it while the suite is scaled.
        terms("callers", vec![("tea", 1)], 1),
    ];
    let others = who(100 - WHO_CLAIM.0 - WHO_CLAIM.1);
    all.extend(drained(others / DRAINED_STOCK + 1));
    all
}

/// All steps while shoppers come, and then peace until the last of them has left.
async fn act(
    fleet: &mut Fleet,
    scene: &Arc<Scene>,
    timeline: &Timeline,
    settings: &Settings,
) -> Result<Acted> {
    let crowd = Crowd::come(scene.clone());
    warm_up(scene).await?;
    let director = Director {
        fleet,
        scene,
        timeline,
        settings,
        acted: Acted::default(),
    };
    let acted = director.act().await;
    let seen_out = see_out(scene, crowd, PATIENCE, true, settings.say).await;
    let acted = acted?;
    seen_out.map(|()| acted)
}

async fn warm_up(scene: &Scene) -> Result<()> {
    let is_at_work = async || {
        ensure!(
            scene.tally.counts().issued >= FIRST_COUPONS,
            "Hardly a coupon was issued in {WARM_UP_LIMIT:?}: the suite does not work."
        );
        Ok(())
    };
    eventually(WARM_UP_LIMIT, is_at_work).await
}
