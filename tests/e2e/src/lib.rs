//! The suite as its users meet it: real processes, a real PostgreSQL, real certificates and tokens.

mod books;
mod facts;

use std::{ops::Deref, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, PgConnection};
use tidegate_client::{CampaignTerms, Fulfilment, Gateway, Staff, becomes, metrics};
use tidegate_local::{
    credentials::Identity,
    stack::{Service, Stack, StackOptions},
};
use tidegate_proto::{
    gateway::v1::PlaceOrderRequest,
    r#type::v1::{Order, OrderState},
};
use tidegate_replay::collector::Collector;
use tonic::transport::Channel;
use uuid::Uuid;

pub use facts::Facts;

pub const ISSUANCES: [&str; 2] = ["issuance-0", "issuance-1"];

/// A running suite. What shoppers do without further words they do at its first gateway.
pub struct Suite {
    pub stack: Stack,
    pub collector: Collector,
    pub staff: Staff,
    pub gateways: Vec<Gateway>,
}

impl Deref for Suite {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateways[0]
    }
}

impl Suite {
    /// Starts a suite of its own for one test, in an empty folder.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with(change: impl FnOnce(&mut StackOptions)) -> Result<Self> {
        let mut options = Self::options();
        let collector = Collector::start().await?;
        options.otlp_endpoint = Some(collector.endpoint());
        change(&mut options);
        let stack = Stack::start(options).await?;
        Ok(Self {
            staff: Staff::of(&stack)?,
            gateways: Gateway::all(&stack)?,
            stack,
            collector,
        })
    }

    pub async fn start_set(service: Service, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(|options| set(options, service, settings)).await
    }

    /// Options for a suite in a folder of its own: traced whole, started afresh.
    pub fn options() -> StackOptions {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/e2e")
            .join(Uuid::new_v4().to_string());
        StackOptions {
            drain_ms: 3_000,
            ..StackOptions::new(folder)
        }
    }

    pub async fn end(self) -> Result<()> {
        self.stack.shutdown_and_remove().await
    }

    /// Opens a campaign with one tier, and one coupon a shopper.
    pub async fn open(&self, campaign: &str, stock: u64) -> Result<()> {
        self.staff
            .open(CampaignTerms::open(campaign, stock))
            .await?;
        Ok(())
    }

    /// Waits until the order's coupon is given back.
    pub async fn released(&self, order: &Order) -> Result<()> {
        becomes(true, async || {
            Ok(self.read(order).await?.coupon_released_at.is_some())
        })
        .await
    }

    /// Places an order that has to be accepted.
    pub async fn accepted(&self, order: PlaceOrderRequest) -> Result<Order> {
        let order = self.place(order).await?;
        ensure!(order.state() == OrderState::Accepted, "{order:?}");
        Ok(order)
    }

    pub fn fulfilment(&self) -> Result<Fulfilment> {
        Fulfilment::of(&self.stack)
    }

    /// A connection to any replica with the certificate of `identity`.
    pub fn inside(&self, identity: Identity, replica: &str) -> Result<Channel> {
        self.stack.channel(Some(identity), replica)
    }

    pub async fn kill(&mut self, replicas: &[&str]) -> Result<()> {
        for replica in replicas {
            self.stack.kill(replica).await?;
        }
        Ok(())
    }

    pub async fn restart(&mut self, replicas: &[&str]) -> Result<()> {
        for replica in replicas {
            self.stack.restart(replica).await?;
        }
        Ok(())
    }

    pub fn pause(&mut self, replicas: &[&str]) -> Result<()> {
        let mut replicas = replicas.iter();
        replicas.try_for_each(|replica| self.stack.pause(replica))
    }

    pub fn resume(&mut self, replicas: &[&str]) -> Result<()> {
        let mut replicas = replicas.iter();
        replicas.try_for_each(|replica| self.stack.resume(replica))
    }

    /// A connection to a service's database, as that service.
    pub async fn database_of(&self, service: Service) -> Result<PgConnection> {
        let url = self.stack.database_url(service);
        let url = url.with_context(|| format!("{} has no database", service.name()))?;
        Ok(PgConnection::connect(&url).await?)
    }

    /// One number of a replica's metrics: the sum of all samples of that name whose labels hold
    /// `label`.
    pub async fn metric(&self, replica: &str, name: &str, label: &str) -> Result<f64> {
        let page = metrics::page(self.stack.replica(replica)?.admin_address()).await?;
        Ok(metrics::sum(&page, name, label).unwrap_or(0.0))
    }
}

pub fn set(options: &mut StackOptions, service: Service, settings: &[(&str, &str)]) {
    let settings = settings.iter();
    let settings =
        settings.map(|(name, value)| (service, (*name).to_owned(), Some((*value).to_owned())));
    options.variables.extend(settings);
}
