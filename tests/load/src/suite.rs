//! The suite as it is delivered, with nothing turned off, and what every measurement needs of it.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};
use tidegate_client::{Bearer, Caller, CampaignTerms, Staff, store_of};
use tidegate_local::{
    credentials::{Credentials, Scope},
    stack::{Service, Stack, StackOptions},
};
use tidegate_proto::order_intake::v1::Store;
use tidegate_replay::collector::Collector;
use tokio::runtime::Handle;

use crate::{
    processor_time::{Part, Whose},
    tell,
};

/// The backend that all shoppers come through.
pub const SUBJECT: &str = "load";
pub const STORES: u32 = 500;
const AREAS: u32 = 20;
const COUPONS_KEPT: &str = include_str!("../queries/coupons_kept.sql");
const DAY: Duration = Duration::from_secs(24 * 3_600);
const SLOT_MINUTES: u32 = 1;
/// The longest a call to the suite may take.
pub const STAFF_CALL_LIMIT: Duration = Duration::from_secs(10);

/// Options for a stack on empty databases, with one of everything. Spans are sent, as in production.
pub fn options(folder: &Path, collector: &Collector) -> StackOptions {
    StackOptions {
        reset: true,
        issuance_replicas: 1,
        gateway_replicas: 1,
        otlp_endpoint: Some(collector.endpoint()),
        say: tell,
        ..StackOptions::new(folder)
    }
}

pub fn staff(stack: &Stack) -> Result<Staff> {
    Ok(Staff::of(stack)?.within(STAFF_CALL_LIMIT))
}

/// A campaign that is open for a day, with so many coupons of either tier.
pub fn terms(campaign_id: &str, (first, second): (u64, u64)) -> CampaignTerms {
    CampaignTerms {
        tiers: vec![("milk-tea-25", first), ("milk-tea-15", second)],
        open_for: DAY,
        validity: 17 * DAY,
        ..CampaignTerms::open(campaign_id, 0)
    }
}

pub async fn put_stores(staff: &Staff, orders_per_slot: u32) -> Result<()> {
    let store = |number| Store {
        area: format!("area-{:02}", number % AREAS),
        slot_minutes: Some(SLOT_MINUTES),
        ..store_of(store_id(number), orders_per_slot)
    };
    staff.put_stores((0..STORES).map(store).collect()).await?;
    Ok(())
}

pub fn store_id(number: u32) -> String {
    format!("store-{:04}", number + 1)
}

/// Connections to all gateways for a crowd that lives on `threads`.
pub async fn caller(
    stack: &Stack,
    subject: &str,
    connections: usize,
    threads: &Handle,
) -> Result<Arc<Caller>> {
    let gateways = stack.addresses(Service::Gateway);
    let connections = connections.max(gateways.len());
    caller_at(
        &gateways,
        stack.credentials(),
        subject,
        connections,
        threads,
    )
    .await
}

/// The same to addresses that answer as gateways do.
pub async fn caller_at(
    gateways: &[SocketAddr],
    credentials: &Credentials,
    subject: &str,
    connections: usize,
    threads: &Handle,
) -> Result<Arc<Caller>> {
    let bearer = Bearer::sign(credentials, subject, &Scope::CHATBOT)?;
    let credentials = Some(credentials);
    let caller = Caller::connect(gateways, connections, credentials, &bearer, threads, tell);
    Ok(Arc::new(caller.await?))
}

pub fn names(stack: &Stack, service: Service) -> Vec<String> {
    let replicas = stack.replicas().iter();
    let of_service = replicas.filter(|replica| replica.service() == service);
    of_service
        .map(|replica| replica.name().to_owned())
        .collect()
}

pub fn process(stack: &Stack, name: &str) -> Result<u32> {
    let process = stack.replica(name)?.process_id();
    process.with_context(|| format!("{name} does not run"))
}

/// Every process of a stack, and this one.
pub fn parts(stack: &Stack) -> Result<Vec<Part>> {
    let mut parts = Part::of_this_process().to_vec();
    for replica in stack.replicas() {
        let name = replica.name();
        parts.push(Part::new(name, Whose::Process(process(stack, name)?)));
    }
    // A server that is not ours may be on another machine; its time is then among the others'.
    if let Some(process) = stack.postgres().process_id() {
        parts.push(Part::new("postgres", Whose::Family(process)));
    }
    Ok(parts)
}

pub async fn database(stack: &Stack, service: Service) -> Result<PgConnection> {
    let url = stack.database_url(service);
    let url = url.with_context(|| format!("{} has no database", service.name()))?;
    Ok(PgConnection::connect(&url).await?)
}

/// The coupons of a campaign that are in the database, to be held against those that shoppers were
/// given.
pub async fn coupons_kept(stack: &Stack, campaign_number: u32) -> Result<u64> {
    let mut connection = database(stack, Service::Issuance).await?;
    let kept: i64 = sqlx::query_scalar(COUPONS_KEPT)
        .bind(i64::from(campaign_number))
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(u64::try_from(kept)?)
}

/// A figure of a replica's memory as Linux tells it, by its name in `/proc/*/status`.
pub fn memory_mib(stack: &Stack, name: &str, figure: &str) -> Result<f64> {
    let file = format!("/proc/{}/status", process(stack, name)?);
    let status = fs::read_to_string(&file).context("memory is measured on Linux only")?;
    mib(&status, figure).with_context(|| format!("{file} is not as expected"))
}

fn mib(status: &str, figure: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_mib() {
        let status = "Name:\tgateway\nVmPeak:\t  99999 kB\nVmRSS:\t   65536 kB\nThreads:\t3\n";
        assert_eq!(mib(status, "VmRSS:"), Some(64.0));
        assert_eq!(mib("Name:\tgateway\n", "VmRSS:"), None);
    }
}
