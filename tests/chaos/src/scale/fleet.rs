//! The suite's processes, each in a network namespace of its own, started, published, drained and cut off one by one.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use anyhow::{Context, Result};
use tidegate_local::stack::{Place, Service, Stack, StackOptions};
use tonic::transport::Channel;

use super::{directory::Directory, network::Network};
use crate::{
    edges::{postgres, through},
    proxy::Proxy,
};

/// All replicas have the same ports, and only their addresses differ.
const GRPC_PORT: u16 = 7_000;
const ADMIN_PORT: u16 = 9_000;
/// Enough that each of four replicas comes first for two at least, whichever network is drawn; each costs every replica of issuance a connection, and of order-intake two.
const LANES: u16 = 32;
/// From a withdrawal until a replica takes no more calls. Callers look names up every two seconds, and have done so by then.
const LAME_DUCK_MS: u32 = 2_500;
const DRAIN_MS: u64 = 5_000;
/// Less than the time for which a replica is cut off, so that its leases are taken back meanwhile.
const LEASE_TTL_MS: u32 = 5_000;
/// Replicas of each service but issuance, whose number changes.
pub const REPLICAS: usize = 2;

/// How many replicas of a service run before its restart begins. `most_issuance` is what issuance is scaled up to.
fn first_fleet(service: Service, most_issuance: usize) -> usize {
    match service {
        Service::Issuance => most_issuance,
        Service::Quota | Service::OrderIntake | Service::Gateway => REPLICAS,
    }
}

/// How many replicas of a service run one after the other and at once: each is started once, as a cluster's pods are.
fn lives(service: Service, most_issuance: usize) -> usize {
    first_fleet(service, most_issuance) + REPLICAS
}

/// All replicas there were, are and will be.
#[derive(Debug)]
pub struct Fleet {
    /// Their processes and the database.
    pub stack: Stack,
    waiting: BTreeMap<Service, Vec<String>>,
    published: BTreeMap<Service, Vec<String>>,
    places: Vec<String>,
    directory: Directory,
    _to_postgres: Proxy,
    // Dropped last: its namespaces must be empty by then.
    network: Network,
}

impl Fleet {
    /// Prepares a place for every replica and starts the database. No replica runs yet. With a folder of old binaries, those that a restart replaces run from there.
    ///
    /// # Errors
    /// The network cannot be made; PostgreSQL does not start; a service's binary is missing.
    pub async fn lay(
        data: &Path,
        most_issuance: usize,
        old_binaries: Option<&Path>,
        say: fn(&str),
    ) -> Result<Self> {
        // First, since it ends what an earlier run left behind.
        let mut network = Network::build()?;
        let mut stack = Stack::prepare(options(data, most_issuance, say)?).await?;
        stack.postgres_mut().start().await?;
        let directory = Directory::make(data.canonicalize()?.join("names"))?;
        let to_postgres = Proxy::start_at(network.host(), postgres(&stack)?).await?;
        let replicas = stack.replicas().iter();
        let all: Vec<(Service, String)> = replicas
            .map(|replica| (replica.service(), replica.name().to_owned()))
            .collect();
        let mut waiting: BTreeMap<Service, Vec<String>> = BTreeMap::new();
        let mut places = Vec::new();
        for (service, name) in all {
            let number = waiting.get(&service).map_or(0, Vec::len);
            let binaries = old_binaries.filter(|_| number < first_fleet(service, most_issuance));
            let address = network.add(&name, directory.folder())?;
            let address = IpAddr::from(address);
            let place = Place {
                grpc_address: SocketAddr::new(address, GRPC_PORT),
                admin_address: SocketAddr::new(address, ADMIN_PORT),
                entrance: Network::entrance(&name, binaries),
            };
            stack.place(&name, place)?;
            set_variables(&mut stack, service, &name, to_postgres.address())?;
            waiting.entry(service).or_default().push(name.clone());
            places.push(name);
        }
        Ok(Self {
            stack,
            waiting,
            published: BTreeMap::new(),
            places,
            directory,
            _to_postgres: to_postgres,
            network,
        })
    }

    /// Starts the next replica of a service, waits until it is ready, and publishes it.
    ///
    /// # Errors
    /// It does not come up; none is left.
    pub async fn grow(&mut self, service: Service) -> Result<String> {
        let waiting = self.waiting.entry(service).or_default();
        let name = (!waiting.is_empty()).then(|| waiting.remove(0));
        let name = name.with_context(|| format!("No replica of {} is left.", service.name()))?;
        self.stack.restart(&name).await?;
        let IpAddr::V4(address) = self.stack.replica(&name)?.grpc_address().ip() else {
            anyhow::bail!("{name} has no address of version 4.");
        };
        self.directory
            .publish(self.place(&name)?, service, address)?;
        self.published
            .entry(service)
            .or_default()
            .push(name.clone());
        Ok(name)
    }

    /// Withdraws a replica and asks it to end; it drains by itself.
    ///
    /// # Errors
    /// It does not run.
    pub fn shrink(&mut self, name: &str) -> Result<()> {
        self.directory.withdraw(self.place(name)?)?;
        for published in self.published.values_mut() {
            published.retain(|other| other != name);
        }
        self.stack.ask_to_end(name)
    }

    /// The published replicas of a service, the oldest first.
    pub fn published(&self, service: Service) -> Vec<String> {
        self.published.get(&service).cloned().unwrap_or_default()
    }

    /// The newest published replica of a service.
    ///
    /// # Errors
    /// There is none.
    pub fn newest(&self, service: Service) -> Result<String> {
        let newest = self.published(service).pop();
        newest.with_context(|| format!("No replica of {} is published.", service.name()))
    }

    /// The ways to the published gateways.
    ///
    /// # Errors
    /// The credentials cannot be read.
    pub fn gateways(&self) -> Result<Vec<Channel>> {
        let gateways = self.published(Service::Gateway).into_iter();
        gateways
            .map(|name| self.stack.channel(None, &name))
            .collect()
    }

    /// Cuts a replica off from everybody, the database included.
    ///
    /// # Errors
    /// There is no such replica.
    pub fn cut(&self, name: &str) -> Result<()> {
        self.network.cut(name)
    }

    /// Connects a replica again.
    ///
    /// # Errors
    /// There is no such replica.
    pub fn mend(&self, name: &str) -> Result<()> {
        self.network.mend(name)
    }

    fn place(&self, name: &str) -> Result<usize> {
        let mut places = self.places.iter();
        let place = places.position(|known| known == name);
        place.with_context(|| format!("There is no place for {name}."))
    }
}

fn options(data: &Path, most_issuance: usize, say: fn(&str)) -> Result<StackOptions> {
    let lives = |service| u16::try_from(lives(service, most_issuance));
    let mut options = StackOptions::new(data.join("stack"));
    options.reset = true;
    options.quota_replicas = lives(Service::Quota)?;
    options.issuance_replicas = lives(Service::Issuance)?;
    options.order_intake_replicas = lives(Service::OrderIntake)?;
    options.gateway_replicas = lives(Service::Gateway)?;
    options.lanes = LANES;
    options.drain_ms = DRAIN_MS;
    options.say = say;
    Ok(options)
}

/// The stack's settings are for replicas that share this machine's addresses.
fn set_variables(
    stack: &mut Stack,
    service: Service,
    name: &str,
    to_postgres: SocketAddr,
) -> Result<()> {
    for callee in Service::START_ORDER {
        let variable = callee.name().to_uppercase().replace('-', "_");
        let variable = format!("TIDEGATE_{variable}_ADDRESSES");
        let address = format!("{}:{GRPC_PORT}", Directory::name(callee));
        stack.set_variable(name, &variable, Some(&address))?;
    }
    if let Some(url) = stack.database_url(service) {
        // Only this machine is on the bridge; to ask for TLS first would cost each connection a way there and back.
        let url = through(&url, &to_postgres.to_string())? + "?sslmode=disable";
        stack.set_variable(name, "TIDEGATE_DATABASE_URL", Some(&url))?;
    }
    if service == Service::Quota {
        let ttl = LEASE_TTL_MS.to_string();
        stack.set_variable(name, "TIDEGATE_LEASE_TTL_MS", Some(&ttl))?;
    }
    let lame_duck = LAME_DUCK_MS.to_string();
    stack.set_variable(name, "TIDEGATE_LAME_DUCK_MS", Some(&lame_duck))?;
    // The collector listens where no namespace reaches it.
    stack.set_variable(name, "TIDEGATE_OTLP_ENDPOINT", None)
}
