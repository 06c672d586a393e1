//! A run: as many rounds as its time holds. Each has a suite of its own, campaigns, shoppers, faults,
//! and the check when all is over.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use tidegate_client::{Staff, eventually, replicas};
use tidegate_local::stack::Stack;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    campaigns,
    checker::{Books, Subject, check},
    faults::{Inflicting, Kind, Plan, Repertoire},
    findings::{Count, Findings},
    ledger::ClaimKey,
    metrics::{CONNECTION_LOSSES, FENCE_REFUSALS, Metrics},
    mutation::Mutation,
    report::{CampaignReport, Report, RoundReport},
    suite::Suite,
    tally::Tally,
    workload::{Crowd, Habits, Scene, halt_and_resume, see_out},
};

/// Who has no final answer when everything has been whole for so long, has been left alone.
pub const PATIENCE: Duration = Duration::from_secs(45);
/// A mutation may leave claims undecided for ever; that is not what it is to be caught by.
const PATIENCE_WITH_A_MUTATION: Duration = Duration::from_secs(3);
/// How long orders get to be decided, and the suite's own audit to be made.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// The longest that faults go on in one round; what is in memory and in the databases stays small,
/// and a finding can be repeated soon.
const ROUND_LIMIT: Duration = Duration::from_secs(5 * 60);
/// A mutation is only shown few faults, since its round ends when it is caught and begins anew when
/// it is not.
const MUTATION_ROUND: Duration = Duration::from_secs(4);

#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything that is drawn follows from it; the second round's is one more, and so on.
    pub seed: u64,
    /// How long faults go on, over all rounds.
    pub faults_last: Duration,
    /// The promise that the services break on purpose.
    pub mutation: Option<Mutation>,
    /// The one kind of fault that is done; all, if none.
    pub only: Option<Kind>,
    pub data: PathBuf,
    pub say: fn(&str),
}

/// Plays all rounds. With a mutation it ends when that is caught.
pub async fn run(settings: &Settings) -> Result<Report> {
    let mut report = Report::new(settings.seed, settings.mutation);
    let mut left = settings.faults_last;
    let longest = settings.mutation.map_or(ROUND_LIMIT, |_| MUTATION_ROUND);
    for number in 0.. {
        let seed = settings.seed.wrapping_add(number);
        let faults_last = left.min(longest);
        left -= faults_last;
        (settings.say)(&format!("Round {}, seed {seed}.", number + 1));
        let of_round = Settings {
            seed,
            faults_last,
            data: settings.data.join(format!("round-{seed}")),
            ..settings.clone()
        };
        let round = play(&of_round).await?;
        report.rounds.push(round);
        let is_caught = settings.mutation.is_some() && report.holds();
        if left.is_zero() || is_caught {
            break;
        }
    }
    Ok(report)
}

/// Plays a round in its folder, which is removed if nothing was found.
async fn play(settings: &Settings) -> Result<RoundReport> {
    let (mutation, folder, say) = (settings.mutation, &settings.data, settings.say);
    let mut suite = Suite::start(folder, mutation, say).await?;
    let habits = Habits::of(mutation);
    let campaigns = campaigns::of_round(settings.faults_last, habits.stock_per_second);
    let scene = Scene::set(&suite.stack, campaigns, habits, settings.seed).await?;
    let metrics = Metrics::of(&suite.stack);
    let inflicting = Inflicting::default();
    let mut report = tokio::select! {
        played = act(settings, &mut suite, &scene, &inflicting) => played?,
        never = metrics.watch() => match never {},
        never = progress(&scene.tally, || inflicting.now(), say) => match never {},
    };
    metrics.read().await;
    report.fence_refusals = metrics.total(FENCE_REFUSALS);
    report.connection_losses = metrics.total(CONNECTION_LOSSES);
    let (stack, is_sold_out) = (&suite.stack, mutation.is_none());
    settle_up(stack, &scene.staff, &scene, &mut report, is_sold_out).await?;
    let is_done = report.findings.none() || mutation.is_some();
    put_away(suite.stack, folder, is_done, say).await?;
    Ok(report)
}

/// Ends a stack, and removes the folder with all of it if there is nothing to look into.
pub async fn put_away(mut stack: Stack, folder: &Path, is_done: bool, say: fn(&str)) -> Result<()> {
    let name = folder.display();
    if is_done {
        stack.shutdown_and_remove().await?;
        return fs::remove_dir_all(folder).with_context(|| format!("{name} cannot be removed"));
    }
    stack.shutdown().await?;
    say(&format!(
        "Something was found: logs and databases are kept in {name}."
    ));
    Ok(())
}

/// Faults while shoppers come, and then peace until the last of them has left.
async fn act(
    settings: &Settings,
    suite: &mut Suite,
    scene: &Arc<Scene>,
    inflicting: &Inflicting,
) -> Result<RoundReport> {
    let repertoire = Repertoire {
        replicas: replicas(&suite.stack)
            .into_iter()
            .map(|(_, name)| name)
            .collect(),
        edges: suite.edges.all().cloned().collect(),
    };
    let mut plan = Plan::new(settings, repertoire);
    let patience = match settings.mutation {
        None => PATIENCE,
        Some(_) => PATIENCE_WITH_A_MUTATION,
    };
    let began = Instant::now();
    let crowd = Crowd::come(scene.clone());
    let (over, is_over) = watch::channel(false);
    let halts = halt_and_resume(scene, is_over);
    let faults = async {
        let inflicted = inflicting
            .inflict(suite, &mut plan, scene, settings.faults_last)
            .await;
        let healed = suite.heal().await;
        // Also after an error, so that nobody waits for a suite that is gone.
        scene.give_up_after(patience);
        over.send_replace(true);
        healed.and(inflicted)
    };
    let (faults, ()) = tokio::join!(faults, halts);
    let faults = faults?;
    let faults_took = began.elapsed();
    let is_sold_out = settings.mutation.is_none();
    let say = |words: &str| inflicting.say_now(words);
    see_out(scene, crowd, patience, is_sold_out, say).await?;
    Ok(RoundReport {
        seed: settings.seed,
        faults,
        faults_took_seconds: faults_took.as_secs_f64(),
        took_seconds: began.elapsed().as_secs_f64(),
        ..RoundReport::default()
    })
}

/// Reads the books and counts; these staff ask for the suite's own audit.
pub async fn settle_up(
    stack: &Stack,
    staff: &Staff,
    scene: &Scene,
    report: &mut RoundReport,
    is_sold_out: bool,
) -> Result<()> {
    let mut books = Books::open(stack).await?;
    books.wait_for_orders(SETTLE_LIMIT).await?;
    let mut findings = Findings::default();
    for slot in books.wrong_slots().await? {
        let count = Count::StoresOverCapacity;
        findings.add(&slot.store_id, count, 1, slot.to_string());
    }
    for (place, campaign) in scene.begun() {
        let id = &campaign.terms.id;
        let audit = eventually(SETTLE_LIMIT, || staff.audit(id)).await;
        let audit = audit.context("quota did not audit a campaign")?;
        for difference in &audit.differences {
            let example = format!("the suite's own audit: {}", difference.description);
            findings.add(id, Count::LedgerImbalance, 1, example);
        }
        let prefix = ClaimKey::shopper_prefix(place);
        let facts = books.read(campaign.campaign_number, &prefix).await?;
        let told = scene.ledger.told();
        findings.absorb(check(Subject {
            campaign,
            place,
            is_sold_out,
            facts: &facts,
            told: &told,
        }));
        report.leases_reclaimed += facts.reclaimed();
        let told = told.coupons.keys().filter(|claim| claim.campaign == place);
        report.campaigns.push(CampaignReport {
            campaign_id: id.clone(),
            stock: campaign.stock(),
            issued: facts.coupons.len() as u64,
            told: told.count() as u64,
            orders: facts.orders.len() as u64,
        });
    }
    findings.absorb(std::mem::take(&mut scene.ledger.told().findings));
    report.findings = findings;
    report.counts = scene.tally.counts().clone();
    Ok(())
}

/// Tells every few seconds what passes, and what is done to the suite meanwhile.
pub async fn progress(tally: &Tally, now: impl Fn() -> String, say: fn(&str)) -> Infallible {
    let began = Instant::now();
    loop {
        sleep(PROGRESS_INTERVAL).await;
        let (seconds, now) = (began.elapsed().as_secs(), now());
        say(format!("{seconds:>4} s  {tally}  {now}").trim_end());
    }
}
