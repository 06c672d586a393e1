//! Replays the day on a stack that is up, audits what came of it, and reports.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use rand::Rng;
use tidegate_client::{Bearer, Caller, Fulfilment, Staff};
use tidegate_ctl::waterfall::{self, Waterfall};
use tidegate_local::{
    credentials::{Identity, Scope},
    stack::{Service, Stack},
};
use tidegate_replay::{
    audit::{Audit, BookedStore, Books, Subject},
    campaign::{self, LIMIT_PER_SHOPPER},
    collector::{self, Collector, Span, TraceId},
    crowd::{
        curve::Curve,
        habits::WATCHES_SHARE,
        schedule::{Crowd, Schedule},
    },
    door::Door,
    fulfilment::{listen, wait_until_heard},
    ledger::Ledger,
    live,
    measures::{Measures, Picture, TracedShopper},
    report::{Report, RunFacts, table},
    shoppers::{self, Scene, finals},
};
use tokio::{
    runtime::Handle,
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
/// Each carries the calls of thousands over one stream.
const CONNECTIONS_PER_GATEWAY: usize = 2;
/// Of those who follow their places, on connections of their own.
const STREAMS_PER_CONNECTION: f64 = 1_000.0;
const BUSIEST_STORES: i64 = 3;
/// How long the services get to send the spans of a finished trace.
const TRACE_LIMIT: Duration = Duration::from_secs(20);
const TRACE_POLL: Duration = Duration::from_millis(500);

/// Replays, audits and reports; true if all claims are accounted for and every audited promise holds.
pub async fn replay(
    stack: &Stack,
    collector: &Collector,
    arguments: &Arguments,
    staff: &Staff,
    run_id: &str,
) -> Result<bool> {
    let seed = arguments.seed;
    let seed = seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let (first, second) = campaign::stock(arguments.orders);
    let stock = first + second;
    let opens_at = opens_at(arguments);
    let campaign = campaign::create(staff, run_id, (first, second), opens_at).await?;
    let door = door(stack, arguments.orders).await?;
    staff.wait_until_known(run_id).await?;
    let opening = gathering(arguments);
    let (started, started_at) = wait_for_the_crowd(opens_at, opening).await;
    let scene = Arc::new(Scene {
        door,
        ledger: Ledger::new(run_id),
        measures: Measures::new()?,
        collector: collector.clone(),
        campaign_id: run_id.to_owned(),
        started,
        opening,
    });
    let mut listening = JoinSet::new();
    listening.spawn(listen(Fulfilment::of(stack)?, scene.clone()));
    stack.give_way();
    let took = let_them_come(&scene, arguments, stock, seed).await?;
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
    let (audit, busiest_stores) = audited(stack, staff, &scene, &subject, listening).await?;

    let trace = best_trace(collector, &scene.measures.picture()).await;
    let gateways = stack.addresses(Service::Gateway);
    let run = RunFacts {
        campaign_id: run_id.to_owned(),
        stock,
        planned_orders: arguments.orders,
        minutes: arguments.minutes,
        early_share: arguments.early_share,
        opening_second: opening.as_secs_f64(),
        seed,
        took_seconds: took.as_secs_f64(),
        gateways: gateways.iter().map(ToString::to_string).collect(),
    };
    let picture = scene.measures.picture();
    let of_trace = trace.as_ref().map(|(id, spans)| (*id, spans.as_slice()));
    let report = Report::new(run, picture, audit, busiest_stores, of_trace);
    let folder = stack.options().data.join("reports").join(run_id);
    publish(&report, trace, &folder, arguments.json.as_ref())?;
    Ok(report.holds())
}

/// What the books say, once all orders are decided and fulfilment has heard of them.
async fn audited(
    stack: &Stack,
    staff: &Staff,
    scene: &Scene,
    subject: &Subject,
    mut listening: JoinSet<()>,
) -> Result<(Audit, Vec<BookedStore>)> {
    let mut books = Books::open(stack).await?;
    books.wait_until_decided(subject).await?;
    wait_until_heard(scene, &books.paid_orders(subject).await?).await;
    listening.shutdown().await;
    let told = scene.ledger.told();
    let mut audit = books.audit(subject, &scene.ledger, &told).await?;
    let differences = campaign::differences(staff, &scene.campaign_id).await?;
    let own_audit = "wrong_by_the_services_own_audit";
    audit.never_oversold.add(own_audit, differences);
    Ok((audit, books.busiest_stores(subject, BUSIEST_STORES).await?))
}

/// Sends every shopper of the day, and shows how it goes; says how long it took.
async fn let_them_come(
    scene: &Arc<Scene>,
    arguments: &Arguments,
    stock: u64,
    seed: u64,
) -> Result<Duration> {
    let (opening, day) = (scene.opening, arguments.duration());
    let crowd = Crowd {
        shoppers: arguments.orders,
        early_share: arguments.early_share,
        opening,
        day,
    };
    let schedule = Schedule::new(seed, Curve::qwen_day()?, crowd);
    let (orders, minutes) = (arguments.orders, arguments.minutes);
    tell(&format!(
        "Replaying the Qwen day of 2026-02-06 in {minutes} minutes: about {orders} shoppers for {stock} coupons, seed {seed}. {}",
        opening_in_words(opening)
    ));
    tokio::select! {
        () = shoppers::run(scene.clone(), schedule) => (),
        () = live::show(scene, stock, opening + day) => (),
    }
    Ok(scene.started.elapsed())
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
    match arguments.early_share > 0.0 {
        true => GATHERING,
        false => Duration::ZERO,
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
    match opening.as_secs() {
        0 => "The campaign is open.".to_owned(),
        seconds => format!("The campaign opens {seconds} s from now; the first are there already."),
    }
}

async fn door(stack: &Stack, shoppers: u32) -> Result<Door> {
    let credentials = stack.credentials();
    let bearer = Bearer::sign(credentials, "chatbot", &Scope::CHATBOT)?;
    let gateways = stack.addresses(Service::Gateway);
    let (count, threads) = (CONNECTIONS_PER_GATEWAY * gateways.len(), Handle::current());
    let caller = Caller::connect(&gateways, count, Some(credentials), &bearer, &threads, tell);
    let streams = f64::from(shoppers) * WATCHES_SHARE / STREAMS_PER_CONNECTION;
    let names = stack.replicas().iter();
    let names = names.filter(|replica| replica.service() == Service::Gateway);
    let names = names.cycle().take((streams as usize).max(gateways.len()));
    let of_streams = names.map(|gateway| stack.channel(Some(Identity::Chatbot), gateway.name()));
    let caller = caller.await?.over_streams();
    Door::new(caller, of_streams.collect::<Result<_>>()?, bearer)
}

/// The trace that touches most services, waiting a while for one that touches all; of somebody who waited in the queue if there is one.
async fn best_trace(collector: &Collector, picture: &Picture) -> Option<(TraceId, Vec<Span>)> {
    let some_waited = picture.traced.iter().any(|shopper| shopper.has_waited);
    let of_a_kind = |shopper: &&TracedShopper| shopper.has_waited == some_waited;
    let candidates: Vec<_> = picture.traced.iter().filter(of_a_kind).collect();
    let services = |spans: &[Span]| {
        let has_span = |service: &&Service| spans.iter().any(|span| span.service == service.name());
        Service::START_ORDER.iter().filter(has_span).count()
    };
    let began = Instant::now();
    loop {
        let spans_of = |shopper: &&TracedShopper| collector.trace(shopper.trace_id);
        let traces = candidates
            .iter()
            .map(|shopper| (shopper.trace_id, spans_of(shopper)));
        let best = traces.max_by_key(|(_, spans)| (services(spans), spans.len()));
        let touches_all = |(_, spans): &(_, Vec<_>)| services(spans) == Service::START_ORDER.len();
        let complete = best.as_ref().is_some_and(touches_all);
        if complete || candidates.is_empty() || began.elapsed() > TRACE_LIMIT {
            return best;
        }
        sleep(TRACE_POLL).await;
    }
}

fn publish(
    report: &Report,
    trace: Option<(TraceId, Vec<Span>)>,
    folder: &Path,
    json: Option<&PathBuf>,
) -> Result<()> {
    print(&table(report));
    let waterfall = trace.map(|(_, spans)| {
        let spans = waterfall::spans(&collector::json(&spans));
        Waterfall::new(&report.trace.trace_id, &spans)
    });
    if let Some(waterfall) = &waterfall {
        let (trace_id, drawn) = (&report.trace.trace_id, waterfall.text());
        print(&format!("One shopper, trace {trace_id}\n{drawn}"));
    }
    let mut files = report.draw(folder, waterfall.as_ref())?;
    let report_file = folder.join("report.json");
    for file in [&report_file].into_iter().chain(json) {
        report.write_json(file)?;
        files.push(file.clone());
    }
    let lines = files.iter().map(|file| format!("\n  {}", file.display()));
    let list: String = lines.collect();
    print(&format!("Written{list}"));
    Ok(())
}
