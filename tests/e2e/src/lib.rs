//! The suite as its users meet it: real processes, a real PostgreSQL, real certificates and tokens.

mod books;
mod facts;

use std::{ops::Deref, path::PathBuf};

use anyhow::{Context as _, Result};
use tidegate_client::{Fulfilment, Gateway, Staff, metrics};
use tidegate_local::{
    credentials::Identity,
    stack::{Service, Stack, StackOptions},
};
use tidegate_replay::collector::Collector;
use tonic::transport::Channel;
use uuid::Uuid;

pub use books::{OrderBooks, SlotBooking};
pub use facts::Facts;

pub const GATEWAYS: [&str; 2] = ["gateway-0", "gateway-1"];
pub const ISSUANCES: [&str; 2] = ["issuance-0", "issuance-1"];

/// A running suite. What shoppers do without further words they do at its first gateway.
pub struct Suite {
    pub stack: Stack,
    /// The traces received so far.
    pub collector: Collector,
    first: Gateway,
}

impl Deref for Suite {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.first
    }
}

impl Suite {
    /// Starts a suite of its own for one test, in an empty folder.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| ()).await
    }

    /// The same, with other options.
    pub async fn start_with(change: impl FnOnce(&mut StackOptions)) -> Result<Self> {
        let mut options = Self::options();
        let collector = Collector::start().await?;
        options.otlp_endpoint = Some(collector.endpoint());
        change(&mut options);
        let stack = Stack::start(options).await?;
        let first = Gateway::of(&stack, GATEWAYS[0])?;
        Ok(Self {
            stack,
            collector,
            first,
        })
    }

    /// The same, with settings of one service.
    pub async fn start_set(service: Service, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(|options| {
            let settings = settings.iter();
            let settings = settings
                .map(|(name, value)| (service, (*name).to_owned(), Some((*value).to_owned())));
            options.variables.extend(settings);
        })
        .await
    }

    /// Options for a suite in a folder of its own: traced whole, started afresh.
    pub fn options() -> StackOptions {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/e2e")
            .join(Uuid::new_v4().to_string());
        let mut options = StackOptions::new(folder);
        options.drain_ms = 3_000;
        options
    }

    /// Brings back whatever a fact before this one has left paused or dead.
    pub async fn heal(&mut self) -> Result<()> {
        self.stack.postgres_mut().start().await?;
        let replicas = self.stack.replicas().iter();
        let names: Vec<_> = replicas.map(|replica| replica.name().to_owned()).collect();
        for name in names {
            if self.stack.replica(&name)?.process_id().is_none() {
                self.stack.restart(&name).await?;
            } else {
                self.stack.resume(&name)?;
            }
        }
        Ok(())
    }

    /// Ends the suite and removes its folder.
    pub async fn end(self) -> Result<()> {
        self.stack.shutdown_and_remove().await
    }

    pub fn staff(&self) -> Result<Staff> {
        Staff::of(&self.stack)
    }

    pub fn fulfilment(&self) -> Result<Fulfilment> {
        Fulfilment::of(&self.stack)
    }

    /// A gateway of one's choice, over a connection of its own.
    pub fn at(&self, gateway: &str) -> Result<Gateway> {
        Gateway::of(&self.stack, gateway)
    }

    /// A connection to any replica with the certificate of `identity`.
    pub fn inside(&self, identity: Identity, replica: &str) -> Result<Channel> {
        self.stack.channel(Some(identity), replica)
    }

    /// The URL of a service's database.
    pub fn database_of(&self, service: Service) -> Result<String> {
        let url = self.stack.database_url(service);
        url.with_context(|| format!("{} has no database", service.name()))
    }

    /// One number of a replica's metrics: the sum of all samples of that name whose labels hold
    /// `label`.
    pub async fn metric(&self, replica: &str, name: &str, label: &str) -> Result<f64> {
        let page = metrics::page(self.stack.replica(replica)?.admin_address()).await?;
        Ok(metrics::sum(&page, name, label).unwrap_or(0.0))
    }
}
