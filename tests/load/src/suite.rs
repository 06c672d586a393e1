//! A running suite, and what every measurement needs of it.

pub mod slowed;

use std::{
    fmt::{self, Display, Formatter},
    fs::File,
    io::BufReader,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use procfs_core::{FromBufRead, process::Status};
use serde::Serialize;
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
    arguments::Timing,
    closed_loop::ClosedLoop,
    processor_time::{Part, Whose},
    tell,
};

/// The backend that all shoppers come through, unless it is about backends.
pub const SUBJECT: &str = "load";
const STORES: u32 = 500;
const AREAS: u32 = 20;
const COUPONS_KEPT: &str = include_str!("../queries/coupons_kept.sql");
const DAY: Duration = Duration::from_secs(24 * 3_600);
const SLOT_MINUTES: u32 = 1;
/// Few connections with many streams are cheapest; but each carries 2,000 streams at most, and a
/// door without a waiting room keeps a flood's calls for seconds.
pub const CONNECTIONS: usize = 12;
/// Of a crowd whose calls go over streams: two to each of two gateways.
pub const STREAMS: usize = 4;
/// The longest a call to the suite may take.
const STAFF_CALL_LIMIT: Duration = Duration::from_secs(10);

/// Where a run lives and leaves its results, and what its shoppers live on.
#[derive(Debug, Clone)]
pub struct Site {
    pub folder: PathBuf,
    pub threads: Handle,
}

/// The suite on empty databases, nothing turned off. Spans are sent, as in production.
pub struct Suite {
    pub stack: Stack,
    pub staff: Staff,
    pub threads: Handle,
    _collector: Collector,
}

/// What shoppers were given, and what the database has.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Coupons {
    pub told: u64,
    pub kept: u64,
}

impl Display for Coupons {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self { told, kept } = self;
        write!(out, "{told} coupons given, {kept} in the database")
    }
}

impl Suite {
    /// Starts one of everything with one lane, or what `change` makes of that.
    pub async fn start(
        site: &Site,
        change: impl FnOnce(StackOptions) -> StackOptions,
    ) -> Result<Self> {
        let collector = Collector::start().await?;
        let options = StackOptions {
            reset: true,
            lanes: 1,
            issuance_replicas: 1,
            gateway_replicas: 1,
            otlp_endpoint: Some(collector.endpoint()),
            say: tell,
            ..StackOptions::new(site.folder.join("stack"))
        };
        let stack = Stack::start(change(options)).await?;
        Ok(Self {
            staff: Staff::of(&stack)?.within(STAFF_CALL_LIMIT),
            stack,
            threads: site.threads.clone(),
            _collector: collector,
        })
    }

    /// Makes a campaign that is open for a day from now on, with so many coupons of either tier,
    /// and waits until every gateway knows it. Its number.
    pub async fn campaign(&self, id: &str, (first, second): (u64, u64)) -> Result<u32> {
        let terms = CampaignTerms {
            tiers: vec![("milk-tea-25", first), ("milk-tea-15", second)],
            open_for: DAY,
            validity: 17 * DAY,
            ..CampaignTerms::open(id, 0)
        };
        Ok(self.staff.open(terms).await?.campaign_number)
    }

    pub async fn put_stores(&self, orders_per_slot: u32) -> Result<()> {
        let store = |number| Store {
            area: format!("area-{:02}", number % AREAS),
            slot_minutes: Some(SLOT_MINUTES),
            ..store_of(store_id(number), orders_per_slot)
        };
        let stores = (0..STORES).map(store).collect();
        self.staff.put_stores(stores).await?;
        Ok(())
    }

    /// Connections to all gateways for a crowd.
    pub async fn caller(&self) -> Result<Arc<Caller>> {
        self.caller_of(SUBJECT, CONNECTIONS).await
    }

    /// The same with few connections, each of which carries its calls over one stream.
    pub async fn caller_over_streams(&self) -> Result<Arc<Caller>> {
        let gateways = self.stack.addresses(Service::Gateway);
        let (credentials, threads) = (self.stack.credentials(), &self.threads);
        let streams = STREAMS.max(gateways.len());
        let caller = connect(&gateways, credentials, SUBJECT, streams, threads);
        Ok(Arc::new(caller.await?.over_streams()))
    }

    /// So many, with a token of this subject.
    pub async fn caller_of(&self, subject: &str, connections: usize) -> Result<Arc<Caller>> {
        let gateways = self.stack.addresses(Service::Gateway);
        let connections = connections.max(gateways.len());
        let credentials = self.stack.credentials();
        let caller = connect(&gateways, credentials, subject, connections, &self.threads);
        Ok(Arc::new(caller.await?))
    }

    pub fn names(&self, service: Service) -> Vec<String> {
        let replicas = self.stack.replicas().iter();
        let of_service = replicas.filter(|replica| replica.service() == service);
        let names = of_service.map(|replica| replica.name().to_owned());
        names.collect()
    }

    /// Every process of the suite, and this one.
    pub fn parts(&self) -> Result<Vec<Part>> {
        let mut parts = Part::of_this_process().to_vec();
        for replica in self.stack.replicas() {
            let name = replica.name();
            parts.push(Part::new(name, Whose::Process(self.process(name)?)));
        }
        // A server that is not ours may be on another machine; its time is then among the others'.
        if let Some(process) = self.stack.postgres().process_id() {
            parts.push(Part::new("postgres", Whose::Family(process)));
        }
        Ok(parts)
    }

    /// Shoppers who come at a time, and all processes that serve them.
    pub fn closed_loop(&self, shoppers: u32, timing: Timing) -> Result<ClosedLoop> {
        Ok(ClosedLoop {
            threads: self.threads.clone(),
            shoppers,
            timing,
            parts: self.parts()?,
        })
    }

    pub async fn database(&self, service: Service) -> Result<PgConnection> {
        let url = self.stack.database_url(service);
        let url = url.with_context(|| format!("{} has no database", service.name()))?;
        Ok(PgConnection::connect(&url).await?)
    }

    /// Holds the coupons that shoppers were given against those in the database. Fails if any is
    /// missing.
    pub async fn coupons(&self, campaign_number: u32, told: u64) -> Result<Coupons> {
        let mut connection = self.database(Service::Issuance).await?;
        let kept: i64 = sqlx::query_scalar(COUPONS_KEPT)
            .bind(i64::from(campaign_number))
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        let kept = u64::try_from(kept)?;
        ensure!(
            kept >= told,
            "Shoppers were given {told} coupons and the database has {kept}: what is measured is not durable."
        );
        Ok(Coupons { told, kept })
    }

    /// A figure of a replica's memory as Linux tells it.
    pub fn memory_mib(&self, name: &str, figure: fn(&Status) -> Option<u64>) -> Result<f64> {
        let file = format!("/proc/{}/status", self.process(name)?);
        let status = File::open(&file).context("memory is measured on Linux only")?;
        let status = Status::from_buf_read(BufReader::new(status))?;
        let kib = figure(&status).with_context(|| format!("{file} tells nothing of it"))?;
        Ok(kib as f64 / 1_024.0)
    }

    fn process(&self, name: &str) -> Result<u32> {
        let process = self.stack.replica(name)?.process_id();
        process.with_context(|| format!("{name} does not run"))
    }

    /// Stops everything and removes its files.
    pub async fn close(self) -> Result<()> {
        self.stack.shutdown_and_remove().await
    }
}

/// The id of a store; numbers beyond the last begin anew.
pub fn store_id(number: u32) -> String {
    format!("store-{:04}", number % STORES + 1)
}

/// Connections to what answers as gateways do.
pub async fn connect(
    gateways: &[SocketAddr],
    credentials: &Credentials,
    subject: &str,
    connections: usize,
    threads: &Handle,
) -> Result<Caller> {
    let bearer = Bearer::sign(credentials, subject, &Scope::CHATBOT)?;
    let credentials = Some(credentials);
    Caller::connect(gateways, connections, credentials, &bearer, threads, tell).await
}
