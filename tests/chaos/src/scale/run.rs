//! A run, from the first namespace to the report.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tidegate_local::stack::Service;
use tokio::time::{Instant, sleep};

use super::{
    fleet::{Fleet, REPLICAS},
    impossible_because, load,
    report::Report,
    steps::{Acted, CUT, Director, settled_step},
    timeline::Timeline,
};
use crate::{
    report::RoundReport,
    round::settle_up,
    staff::Staff,
    workload::{Crowd, Scene, repeat_late, sell_out},
};

/// What all rolling restarts together take, so that there is stock for it.
const RESTARTS: Duration = Duration::from_secs(45);
/// Steps that wait until the load has spread, and watch it then.
const SETTLED_STEPS: u32 = 3;
/// Before the first step the suite has to be at work.
const FIRST_COUPONS: u64 = 50;
const WARM_UP_LIMIT: Duration = Duration::from_secs(30);
/// Who has no final answer when everything has been whole for so long, has been left alone.
const PATIENCE: Duration = Duration::from_secs(45);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(100);

/// How a run is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What shoppers do follows from it.
    pub seed: u64,
    /// How long a step lasts at least.
    pub step: Duration,
    /// What issuance is scaled up to, from one.
    pub most_issuance: usize,
    /// Shoppers that come each second.
    pub arrivals_per_second: u64,
    /// The folder with the binaries of an older version, which all replicas run that a restart replaces; none makes them all of one version.
    pub old_binaries: Option<PathBuf>,
    /// The folder for data, credentials and logs.
    pub data: PathBuf,
    /// Told of every step and of progress.
    pub say: fn(&str),
}

/// Scales, restarts and cuts off, and then holds the databases against what shoppers were told.
///
/// # Errors
/// This machine cannot; a replica does not come up: nothing is known then.
pub async fn run(settings: &Settings) -> Result<Report> {
    if let Some(reason) = impossible_because() {
        bail!(reason);
    }
    ensure!(
        settings.most_issuance > REPLICAS,
        "Issuance is scaled down to {REPLICAS}: scale it up to more than that."
    );
    let began = Instant::now();
    let folder = settings.data.join("scale");
    let old_binaries = settings.old_binaries.as_deref().map(complete).transpose()?;
    let mut fleet = Fleet::lay(
        &folder,
        settings.most_issuance,
        old_binaries.as_deref(),
        settings.say,
    )
    .await?;
    let scene = open(&mut fleet, settings).await?;
    let timeline = Timeline::begin(scene.tally.clone());
    for name in fleet.published(Service::Issuance) {
        timeline.joined(&name, fleet.stack.replica(&name)?.admin_address(), 1);
    }
    let acted = tokio::select! {
        acted = act(&mut fleet, &scene, &timeline, settings) => acted?,
        never = timeline.watch() => match never {},
        () = progress(&scene, settings.say) => Acted::default(),
    };
    let mut round = RoundReport {
        seed: settings.seed,
        ..RoundReport::default()
    };
    let staff = Staff::who_call(
        &fleet.stack,
        &fleet.newest(Service::Quota)?,
        &fleet.newest(Service::OrderIntake)?,
    )?;
    settle_up(&fleet.stack, &staff, &scene, &mut round, true).await?;
    round.took_seconds = began.elapsed().as_secs_f64();
    let report = Report {
        acted,
        samples: timeline.samples(),
        round,
    };
    put_away(fleet, &folder, report.broken().is_empty(), settings.say).await?;
    Ok(report)
}

/// The folder as an absolute path, if it has every service.
fn complete(folder: &Path) -> Result<PathBuf> {
    for service in Service::START_ORDER {
        let binary = folder.join(service.binary());
        ensure!(
            binary.is_file(),
            "{} is missing: the folder of old binaries must have all four services.",
            binary.display()
        );
    }
    Ok(folder.canonicalize()?)
}

/// The first replicas of each service, and campaigns.
async fn open(fleet: &mut Fleet, settings: &Settings) -> Result<Arc<Scene>> {
    for service in Service::START_ORDER {
        let replicas = match service {
            Service::Issuance => 1,
            Service::Quota | Service::OrderIntake | Service::Gateway => REPLICAS,
        };
        for _ in 0..replicas {
            let name = fleet.grow(service).await?;
            let address = fleet.stack.replica(&name)?.grpc_address();
            (settings.say)(&format!("{name} is ready on {address}."));
        }
    }
    let arrivals = settings.arrivals_per_second;
    let lasts = settings.step + settled_step(settings.step) * SETTLED_STEPS + RESTARTS + CUT;
    let campaigns = load::campaigns(arrivals, lasts.as_secs());
    let habits = load::habits(arrivals);
    let scene = Scene::set(&fleet.stack, campaigns, habits, settings.seed).await?;
    scene.door.lead_to(fleet.gateways()?);
    Ok(scene)
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
        step: settings.step,
        most_issuance: settings.most_issuance,
        say: settings.say,
        acted: Acted::default(),
    };
    let acted = director.act().await;
    scene.give_up_after(PATIENCE);
    crowd.leave().await?;
    let acted = acted?;
    (settings.say)("All steps are done; selling out what is left, and sending old requests again.");
    scene.give_up_after(PATIENCE);
    sell_out(scene).await;
    scene.give_up_after(PATIENCE);
    repeat_late(scene).await;
    Ok(acted)
}

async fn warm_up(scene: &Scene) -> Result<()> {
    let began = Instant::now();
    let issued = || {
        scene
            .tally
            .issued
            .load(std::sync::atomic::Ordering::Relaxed)
    };
    while issued() < FIRST_COUPONS {
        ensure!(
            began.elapsed() < WARM_UP_LIMIT,
            "Only {} coupons were issued in {} s: the suite does not work.",
            issued(),
            WARM_UP_LIMIT.as_secs()
        );
        sleep(POLL).await;
    }
    Ok(())
}

/// Ends everything. The folder of a run that found something is kept, with all logs and databases.
async fn put_away(mut fleet: Fleet, folder: &Path, is_fine: bool, say: fn(&str)) -> Result<()> {
    if !is_fine {
        say(&format!(
            "Something was found: logs and databases are kept in {}.",
            folder.display()
        ));
        return fleet.stack.shutdown().await;
    }
    fleet.stack.shutdown_and_remove().await?;
    fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))
}

async fn progress(scene: &Scene, say: fn(&str)) {
    let began = Instant::now();
    loop {
        sleep(PROGRESS_INTERVAL).await;
        say(&format!(
            "{:>4} s  {}",
            began.elapsed().as_secs(),
            scene.tally
        ));
    }
}
