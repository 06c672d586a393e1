//! Replays the day on a stack that is up, audits what came of it, and reports.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use rand::Rng;
use tidegate_local::{
    audit::{Books, Subject},
    collector::{Span, TraceId},
    credentials::{Identity, Scope, Token},
    live,
    replay::{
        self, Scene,
        campaign::{self, LIMIT_PER_SHOPPER, Staff},
        curve::Curve,
        door::Door,
        finals,
        fulfilment::{Fulfilment, wait_until_heard},
        ledger::Ledger,
        measures::{Measures, Picture},
        schedule::{Crowd, Schedule},
    },
    report::{Report, RunFacts, table, waterfall::Waterfall},
    stack::{Service, Stack},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    arguments::Arguments,
    console::{print, tell},
};

/// How long shoppers gather before the opening.
const GATHERING: Duration = Duration::from_secs(5);
/// How long the gateways get to hear of the campaign before that.
const SETTING_UP: Duration = Duration::from_secs(2);
/// One carries 2,000 calls at once; more wait unseen.
const CONNECTIONS_PER_GATEWAY: usize = 4;
/// How many stores the plot of slots shows.
const BUSIEST_STORES: i64 = 3;
/// How long the services get to send the spans of a finished story.
const STORY_LIMIT: Duration = Duration::from_secs(20);
const STORY_POLL: Duration = Duration::from_millis(500);

/// Replays, audits and reports; true if all claims are accounted for and every audited promise holds.
pub async fn replay(
    stack: &Stack,
    arguments: &Arguments,
    staff: &Staff,
    run_id: &str,
) -> Result<bool> {
    let tiers = campaign::stock(arguments.orders);
    let stock = tiers.0 + tiers.1;
    let opens_at = opens_at(arguments);
    let campaign = staff
        .create_campaign_that_opens(run_id, tiers, opens_at)
        .await?;
    let door = door(stack)?;
    campaign::wait_until_known(&door, run_id).await?;
    let seed = arguments
        .seed
        .unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let opening = gathering(arguments);
    let crowd = Crowd {
        shoppers: arguments.orders,
        early_share: arguments.early_share,
        opening,
        day: arguments.duration(),
    };
    let schedule = Schedule::new(seed, Curve::qwen_day()?, crowd);
    let (started, started_at) = wait_for_the_crowd(opens_at, opening).await;
    let scene = Arc::new(Scene {
        door,
        ledger: Ledger::new(run_id),
        measures: Measures::new()?,
        collector: stack.collector().clone(),
        campaign_id: run_id.to_owned(),
        started,
        opening,
    });
    stack.give_way();
    let (orders, minutes) = (arguments.orders, arguments.minutes);
    tell(&format!(
        "Replaying the Qwen day of 2026-02-06 in {minutes} minutes: about {orders} shoppers for {stock} coupons, seed {seed}. {}",
        opening_in_words(opening)
    ));
    let fulfilment = fulfilment(stack)?;
    scene.ledger.listen();
    let mut listening = JoinSet::new();
    listening.spawn(fulfilment.listen(scene.clone()));
    tokio::select! {
        () = replay::run(scene.clone(), schedule) => (),
        () = live::show(&scene, stock, opening + arguments.duration()) => (),
    }
    let took = scene.started.elapsed();

    tell("The last shopper has left. Those who were told never ask once more.");
    finals::ask_again(&scene).await;
    tell("Auditing.");
    let subject = Subject {
        campaign_number: i64::from(campaign.campaign_number),
        limit_per_shopper: i64::from(LIMIT_PER_SHOPPER),
        shopper_prefix: scene.ledger.shopper_prefix(),
        orders_per_slot: i64::from(campaign::orders_per_slot(stock, arguments.duration())),
        stock: i64::try_from(stock)?,
        started_at: started_at.into(),
        opening,
    };
    let mut books = Books::open(stack).await?;
    books.wait_until_decided(&subject).await?;
    wait_until_heard(&scene, &books.paid_orders(&subject).await?).await;
    listening.shutdown().await;
    let mut audit = books
        .audit(&subject, &scene.ledger, &scene.ledger.told())
        .await?;
    let busiest_stores = books.busiest_stores(&subject, BUSIEST_STORES).await?;
    let differences = staff.audit_campaign(run_id).await?;
    audit.never_oversold.add(
        "wrong_by_the_services_own_audit",
        i64::try_from(differences)?,
    );
    let picture = scene.measures.picture();
    let story = best_story(stack, &picture).await;
    let run = RunFacts {
        campaign_id: run_id.to_owned(),
        stock,
        planned_orders: orders,
        minutes,
        early_share: arguments.early_share,
        opening_second: opening.as_secs_f64(),
        seed,
        took_seconds: took.as_secs_f64(),
        retries: picture.retries,
        answers_lost: picture.answers_lost,
        gateways: stack
            .addresses(Service::Gateway)
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    let report = Report::new(
        run,
        picture,
        audit,
        busiest_stores,
        story
            .as_ref()
            .map(|(trace_id, spans)| (*trace_id, spans.as_slice())),
    );
    publish(
        &report,
        story,
        &stack.options().data.join("reports").join(run_id),
        arguments.json.as_ref(),
    )?;
    Ok(report.holds())
}

/// When the campaign opens: in a while if shoppers are to gather before it, else since a moment ago.
fn opens_at(arguments: &Arguments) -> SystemTime {
    let now = SystemTime::now();
    match gathering(arguments) {
        Duration::ZERO => now - Duration::from_secs(1),
        gathering => now + SETTING_UP + gathering,
    }
}

fn gathering(arguments: &Arguments) -> Duration {
    if arguments.early_share > 0.0 {
        GATHERING
    } else {
        Duration::ZERO
    }
}

/// Waits until the first shoppers come, and says when that is, by either clock. A start that is past already is the start all the same:
/// the opening is what the schedule goes by.
async fn wait_for_the_crowd(opens_at: SystemTime, opening: Duration) -> (Instant, SystemTime) {
    let (started, now) = (Instant::now(), SystemTime::now());
    if opening.is_zero() {
        return (started, now);
    }
    let started_at = opens_at - opening;
    match started_at.duration_since(now) {
        Ok(wait) => {
            sleep(wait).await;
            (started + wait, started_at)
        }
        Err(late) => {
            let started = started.checked_sub(late.duration()).unwrap_or(started);
            (started, started_at)
        }
    }
}

fn opening_in_words(opening: Duration) -> String {
    if opening.is_zero() {
        "The campaign is open.".to_owned()
    } else {
        let seconds = opening.as_secs();
        format!("The campaign opens {seconds} s from now; the first are there already.")
    }
}

fn door(stack: &Stack) -> Result<Door> {
    let gateways = stack
        .replicas()
        .iter()
        .filter(|replica| replica.service() == Service::Gateway);
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS_PER_GATEWAY {
        for gateway in gateways.clone() {
            channels.push(stack.channel(Some(Identity::Chatbot), gateway.name())?);
        }
    }
    Door::new(
        channels,
        &stack
            .credentials()
            .sign(&Token::new("chatbot", &Scope::CHATBOT))?,
    )
}

fn fulfilment(stack: &Stack) -> Result<Fulfilment> {
    let token = stack
        .credentials()
        .sign(&Token::new("fulfilment", &Scope::FULFILMENT))?;
    Fulfilment::new(
        stack.channel(Some(Identity::Staff), "order-intake-0")?,
        &token,
    )
}

/// The traced story that touches most services, waiting a while for one that touches all; of somebody who waited in the queue if there is one.
async fn best_story(stack: &Stack, picture: &Picture) -> Option<(TraceId, Vec<Span>)> {
    let some_waited = picture.stories.iter().any(|story| story.has_waited);
    let candidates: Vec<_> = picture
        .stories
        .iter()
        .filter(|story| story.has_waited == some_waited)
        .map(|story| story.trace_id)
        .collect();
    let services = |spans: &[Span]| {
        let names = spans.iter().map(|span| span.service.as_str());
        names
            .filter(|name| {
                Service::START_ORDER
                    .iter()
                    .any(|service| service.name() == *name)
            })
            .collect::<BTreeSet<_>>()
            .len()
    };
    let began = Instant::now();
    loop {
        let stories = candidates
            .iter()
            .map(|trace_id| (*trace_id, stack.collector().story(*trace_id)));
        let best = stories.max_by_key(|(_, spans)| (services(spans), spans.len()));
        let complete = best
            .as_ref()
            .is_some_and(|(_, spans)| services(spans) == Service::START_ORDER.len());
        if complete || candidates.is_empty() || began.elapsed() > STORY_LIMIT {
            return best;
        }
        sleep(STORY_POLL).await;
    }
}

fn publish(
    report: &Report,
    story: Option<(TraceId, Vec<Span>)>,
    folder: &Path,
    json: Option<&PathBuf>,
) -> Result<()> {
    print(&table(report));
    let waterfall = story.map(|(trace_id, spans)| Waterfall::new(trace_id, &spans));
    if let Some(waterfall) = &waterfall {
        print(&format!(
            "One shopper, trace {}\n{}",
            report.trace.trace_id,
            waterfall.text()
        ));
    }
    let mut files = report.draw(folder, waterfall.as_ref())?;
    for file in [Some(&folder.join("report.json")), json]
        .into_iter()
        .flatten()
    {
        report.write_json(file)?;
        files.push(file.clone());
    }
    let list: String = files
        .iter()
        .map(|file| format!("\n  {}", file.display()))
        .collect();
    print(&format!("Written{list}"));
    Ok(())
}
