//! One run from start to end: the stack, the day, and an orderly end at whatever moment it is asked for.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use rand::Rng;
use rustix::process::Signal;
use tidegate_client::Staff;
use tidegate_ctl::Contexts;
use tidegate_local::{
    credentials::{Scope, Token},
    stack::{Service, Stack},
    way_in,
};
use tidegate_replay::{campaign, collector::Collector};

use crate::{
    arguments::Arguments,
    by_hand,
    console::{print, tell},
    day,
    stop::StopSignals,
};

/// Coupons for a person who calls by hand: the replay's own are gone by then.
const BY_HAND_STOCK: (u64, u64) = (800, 200);
const STAFF_CALL_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every audited promise holds, or none was to be audited.
    Holds,
    /// One does not, or claims are not accounted for.
    Broken,
    /// Asked to stop before the audit.
    Interrupted,
}

pub async fn run(arguments: Arguments) -> Result<Verdict> {
    let mut stop = StopSignals::listen(&[Signal::INT, Signal::TERM])?;
    let collector = Collector::start().await?;
    let mut stack = tokio::select! {
        stack = Stack::prepare(arguments.stack(&collector)) => stack?,
        _ = stop.next() => return Ok(Verdict::Interrupted),
    };
    let verdict = tokio::select! {
        verdict = serve(&mut stack, &collector, &arguments) => verdict,
        _ = stop.next() => Ok(Verdict::Interrupted),
    };
    if !arguments.exit && matches!(verdict, Ok(Verdict::Holds | Verdict::Broken)) {
        tell("\nThe stack stays up: Ctrl-C stops it.");
        stop.next().await;
    }
    tell("Stopping the services and PostgreSQL; Ctrl-C again kills them.");
    let stopped = tokio::select! {
        stopped = stack.shutdown() => stopped,
        // Dropping the stack kills what still runs.
        _ = stop.next() => return Ok(Verdict::Interrupted),
    };
    if arguments.no_keep {
        stack.shutdown_and_remove().await?;
    }
    let verdict = verdict?;
    stopped?;
    Ok(verdict)
}

async fn serve(stack: &mut Stack, collector: &Collector, arguments: &Arguments) -> Result<Verdict> {
    stack.bring_up().await?;
    let is_current = write_context(stack, collector).await?;
    let run_id = run_id();
    let staff = Staff::of(stack)?.within(STAFF_CALL_LIMIT);
    let by_hand_campaign = format!("{run_id}-by-hand");
    let now = SystemTime::now();
    campaign::create(&staff, &by_hand_campaign, BY_HAND_STOCK, now).await?;
    let (first, second) = campaign::stock(arguments.orders);
    let orders_per_slot = campaign::orders_per_slot(first + second, arguments.duration());
    campaign::make_stores(&staff, orders_per_slot).await?;
    let holds =
        arguments.no_replay || day::replay(stack, collector, arguments, &staff, &run_id).await?;
    // A stack that stops now takes no calls by hand.
    if !arguments.exit {
        print_way_in(stack, &by_hand_campaign)?;
        print(&by_hand::first_commands(is_current));
    }
    Ok(match holds {
        true => Verdict::Holds,
        false => Verdict::Broken,
    })
}

/// Writes the context with which `tidegatectl` finds this stack; true if it is the current one.
async fn write_context(stack: &Stack, collector: &Collector) -> Result<bool> {
    let context = way_in::context(stack, Some(collector.serve_http().await?))?;
    let named = std::env::var_os("TIDEGATE_CONFIG").map(PathBuf::from);
    let Some(file) = named.or_else(Contexts::usual_file) else {
        tell("There is no home folder to write a context for tidegatectl into.");
        return Ok(false);
    };
    let is_current = way_in::write(context, &file)?;
    tell(&format!(
        "tidegatectl finds this stack by the context `{}` in {}.",
        way_in::CONTEXT,
        file.display()
    ));
    Ok(is_current)
}

fn print_way_in(stack: &Stack, campaign_id: &str) -> Result<()> {
    print(&by_hand::endpoints(stack));
    let gateways = stack.addresses(Service::Gateway);
    let Some(gateway) = gateways.first() else {
        return Ok(());
    };
    let credentials = stack.credentials();
    let token = credentials.sign(&Token::new("by-hand", &Scope::CHATBOT))?;
    let (gateway, ca_file) = (gateway.to_string(), credentials.ca_file());
    let [buf, python] = by_hand::claims(&gateway, &ca_file, &token, campaign_id);
    print(&format!(
        "A token for a day, as a chatbot's backend\n  {token}\n"
    ));
    print(&format!("A claim by hand\n{buf}\n\nor\n{python}"));
    Ok(())
}

/// A new name for each run, so that a kept database is never asked for an old campaign.
fn run_id() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    format!("day-{seconds:x}-{:04x}", rand::rng().random::<u16>())
}
