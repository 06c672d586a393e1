//! One round: a suite of its own, campaigns, shoppers, faults, and the check when all is over.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tidegate_client::Staff;
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
    report::{CampaignReport, RoundReport},
    staff::audit,
    suite::Suite,
    tally::Tally,
    workload::{
        Crowd, Habits, Scene, ask_again_after_never, halt_and_resume, repeat_late, sell_out,
    },
};

/// Who has no final answer when everything has been whole for so long, has been left alone.
const PATIENCE: Duration = Duration::from_secs(45);
/// A mutation may leave claims undecided for ever; that is not what it is to be caught by.
const PATIENCE_WITH_A_MUTATION: Duration = Duration::from_secs(3);
/// How long orders get to be decided, and the suite's own audit to be made.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// How long faults go on, unless the first of each kind take longer.
    pub faults_last: Duration,
    /// The promise that the services break on purpose.
    pub mutation: Option<Mutation>,
    /// The one kind of fault that is done; all, if none.
    pub only: Option<Kind>,
}

/// Plays a round in a folder, which is removed if nothing was found.
pub async fn play(terms: Terms, folder: &Path, say: fn(&str)) -> Result<RoundReport> {
    let mut suite = Suite::start(folder, terms.mutation, say).await?;
    let habits = Habits::of(terms.mutation);
    let campaigns = campaigns::of_round(terms.faults_last, habits.stock_per_second);
    let scene = Scene::set(&suite.stack, campaigns, habits, terms.seed).await?;
    let metrics = Arc::new(Metrics::of(&suite.stack));
    let inflicting = Arc::new(Inflicting::default());
    let mut report = tokio::select! {
        played = act(terms, &mut suite, &scene, &inflicting) => played?,
        () = metrics.watch() => RoundReport::default(),
        () = progress(&scene.tally, &inflicting, say) => RoundReport::default(),
    };
    metrics.read().await;
    report.fence_refusals = metrics.total(FENCE_REFUSALS);
    report.connection_losses = metrics.total(CONNECTION_LOSSES);
    let is_sold_out = terms.mutation.is_none();
    settle_up(&suite.stack, &scene.staff, &scene, &mut report, is_sold_out).await?;
    if report.findings.none() || terms.mutation.is_some() {
        suite.stack.shutdown_and_remove().await?;
        fs::remove_dir_all(folder)
            .with_context(|| format!("{} cannot be removed", folder.display()))?;
    } else {
        suite.stack.shutdown().await?;
        say(&format!(
            "Something was found: logs and databases are kept in {}.",
            folder.display()
        ));
    }
    Ok(report)
}

/// Faults while shoppers come, and then peace until the last of them has left.
async fn act(
    terms: Terms,
    suite: &mut Suite,
    scene: &Arc<Scene>,
    inflicting: &Inflicting,
) -> Result<RoundReport> {
    let repertoire = Repertoire {
        replicas: suite
            .stack
            .replicas()
            .iter()
            .map(|replica| replica.name().to_owned())
            .collect(),
        edges: suite.edges.all().cloned().collect(),
        clocks: suite.clocks.can_jump(),
    };
    let mut plan = Plan::new(terms.seed, repertoire, terms.mutation, terms.only);
    let patience = match terms.mutation {
        None => PATIENCE,
        Some(_) => PATIENCE_WITH_A_MUTATION,
    };
    let began = Instant::now();
    let crowd = Crowd::come(scene.clone());
    let (over, is_over) = watch::channel(false);
    let halts = halt_and_resume(scene, is_over);
    let faults = async {
        let inflicted = inflicting
            .inflict(suite, &mut plan, scene, terms.faults_last)
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
    crowd.leave().await?;
    if terms.mutation.is_none() {
        inflicting.say_now("selling out what is left");
        scene.give_up_after(patience);
        sell_out(scene).await;
    }
    inflicting.say_now("sending old requests again");
    scene.give_up_after(patience);
    repeat_late(scene).await;
    if terms.mutation.is_none() {
        ask_again_after_never(scene).await;
    }
    Ok(RoundReport {
        seed: terms.seed,
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
        let example = slot.to_string();
        findings.add(&slot.store_id, Count::StoresOverCapacity, 1, example);
    }
    for (place, campaign) in scene.begun() {
        let id = &campaign.terms.id;
        let audit = audit(staff, id, SETTLE_LIMIT).await?;
        for difference in &audit.differences {
            let example = format!("the suite's own audit: {}", difference.description);
            findings.add(id, Count::LedgerImbalance, 1, example);
        }
        let prefix = ClaimKey::shopper_prefix(place);
        let facts = books.read(campaign.campaign_number, &prefix).await?;
        let subject = Subject {
            campaign,
            place,
            is_sold_out,
        };
        findings.absorb(check(subject, &facts, &scene.ledger.told()));
        report.leases_reclaimed += facts.reclaimed();
        report.campaigns.push(CampaignReport {
            campaign_id: id.clone(),
            stock: campaign.terms.tiers.iter().map(|(_, stock)| stock).sum(),
            issued: facts.coupons.len() as u64,
            told: scene
                .ledger
                .told()
                .coupons
                .keys()
                .filter(|claim| claim.campaign == place)
                .count() as u64,
            orders: facts.orders.len() as u64,
        });
    }
    findings.absorb(std::mem::take(&mut scene.ledger.told().findings));
    report.findings = findings;
    report.counts = scene.tally.counts().clone();
    Ok(())
}

async fn progress(tally: &Tally, inflicting: &Inflicting, say: fn(&str)) {
    let began = Instant::now();
    loop {
        sleep(PROGRESS_INTERVAL).await;
        say(&format!(
            "{:>4} s  {}  {}",
            began.elapsed().as_secs(),
            tally,
            inflicting.now()
        ));
    }
}
