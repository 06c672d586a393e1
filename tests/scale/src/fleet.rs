//! The suite's processes, each in a network namespace of its own, started, published, drained and
//! cut off one by one.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use anyhow::{Context, Result, bail};
use tidegate_chaos::{
    edges::{addresses_of, postgres, through},
    proxy::Proxy,
};
use tidegate_client::{Gateway, replicas};
use tidegate_local::stack::{Place, Service, Stack, StackOptions};

use crate::{directory::Directory, network::Network};

/// All replicas have the same ports, and only their addresses differ.
const GRPC_PORT: u16 = 7_000;
const ADMIN_PORT: u16 = 9_000;
/// Enough that each of four replicas comes first for two at least, whichever network is drawn.
const LANES: u16 = 32;
/// From a withdrawal until a replica takes no more calls. Callers look names up every two seconds,
/// and have done so by then.
const LAME_DUCK_MS: &str = "2500";
const DRAIN_MS: u64 = 5_000;
/// Less than the time for which a replica is cut off, so that its leases are taken back meanwhile.
const LEASE_TTL_MS: &str = "5000";
/// Replicas of each service but issuance, whose number changes.
pub const REPLICAS: usize = 2;

/// How many replicas of a service run before its restart begins.
fn first_fleet(service: Service, most_issuance: usize) -> usize {
    match service {
        Service::Issuance => most_issuance,
        Service::Quota | Service::OrderIntake | Service::Gateway => REPLICAS,
    }
}

/// All replicas there were, are and will be. Each is started once, as a cluster's pods are.
#[derive(Debug)]
pub struct Fleet {
    pub stack: Stack,
    waiting: BTreeMap<Service, Vec<String>>,
    published: BTreeMap<Service, Vec<String>>,
    directory: Directory,
    _to_postgres: Proxy,
    // Dropped last: its namespaces must be empty by then.
    network: Network,
}

impl Fleet {
    /// Prepares a place for every replica and starts the database. No replica runs yet.
    pub async fn lay(data: &Path, most_issuance: usize, say: fn(&str)) -> Result<Self> {
        // First, since it ends what an earlier run left behind.
        let mut network = Network::build()?;
        let mut stack = Stack::prepare(options(data, most_issuance, say)?).await?;
        stack.postgres_mut().start().await?;
        let directory = Directory::make(data.canonicalize()?.join("names"))?;
        let to_postgres = Proxy::start_at(network.host(), postgres(&stack)?).await?;
        let mut waiting = BTreeMap::<_, Vec<_>>::new();
        for (service, name) in replicas(&stack) {
            let address = IpAddr::from(network.add(&name, directory.folder())?);
            let place = Place {
                grpc_address: SocketAddr::new(address, GRPC_PORT),
                admin_address: SocketAddr::new(address, ADMIN_PORT),
                entrance: Network::entrance(&name),
            };
            stack.place(&name, place)?;
            set_variables(&mut stack, service, &name, to_postgres.address())?;
            waiting.entry(service).or_default().push(name);
        }
        Ok(Self {
            stack,
            waiting,
            published: BTreeMap::new(),
            directory,
            _to_postgres: to_postgres,
            network,
        })
    }

    /// Starts the next replica of a service, waits until it is ready, and publishes it.
    pub async fn grow(&mut self, service: Service) -> Result<String> {
        let waiting = self.waiting.entry(service).or_default();
        let name = (!waiting.is_empty()).then(|| waiting.remove(0));
        let name = name.with_context(|| format!("No replica of {} is left.", service.name()))?;
        self.stack.restart(&name).await?;
        let IpAddr::V4(address) = self.stack.replica(&name)?.grpc_address().ip() else {
            bail!("{name} has no address of version 4.");
        };
        self.directory
            .publish(self.network.place(&name)?, service, address)?;
        let published = self.published.entry(service).or_default();
        published.push(name.clone());
        Ok(name)
    }

    /// Withdraws a replica and asks it to end; it drains by itself.
    pub fn shrink(&mut self, name: &str) -> Result<()> {
        self.directory.withdraw(self.network.place(name)?)?;
        for published in self.published.values_mut() {
            published.retain(|other| other != name);
        }
        self.stack.ask_to_end(name)
    }

    /// The published replicas of a service, the oldest first.
    pub fn published(&self, service: Service) -> Vec<String> {
        self.published.get(&service).cloned().unwrap_or_default()
    }

    pub fn newest(&self, service: Service) -> Result<String> {
        let newest = self.published(service).pop();
        newest.with_context(|| format!("No replica of {} is published.", service.name()))
    }

    pub fn gateways(&self) -> Result<Vec<Gateway>> {
        let gateways = self.published(Service::Gateway).into_iter();
        gateways
            .map(|name| Gateway::of(&self.stack, &name))
            .collect()
    }

    /// Cuts a replica off from everybody, the database included.
    pub fn cut(&self, name: &str) -> Result<()> {
        self.network.set_link(name, "down")
    }

    pub fn mend(&self, name: &str) -> Result<()> {
        self.network.set_link(name, "up")
    }
}

fn options(data: &Path, most_issuance: usize, say: fn(&str)) -> Result<StackOptions> {
    let lives = |service| u16::try_from(first_fleet(service, most_issuance) + REPLICAS);
    Ok(StackOptions {
        reset: true,
        quota_replicas: lives(Service::Quota)?,
        issuance_replicas: lives(Service::Issuance)?,
        order_intake_replicas: lives(Service::OrderIntake)?,
        gateway_replicas: lives(Service::Gateway)?,
        lanes: LANES,
        drain_ms: DRAIN_MS,
        say,
        ..StackOptions::new(data.join("stack"))
    })
}

/// The stack's settings are for replicas that share this machine's addresses.
fn set_variables(
    stack: &mut Stack,
    service: Service,
    name: &str,
    to_postgres: SocketAddr,
) -> Result<()> {
    for callee in Service::START_ORDER {
        let address = format!("{}:{GRPC_PORT}", Directory::name(callee));
        stack.set_variable(name, &addresses_of(callee), Some(&address))?;
    }
    if let Some(url) = stack.database_url(service) {
        // Only this machine is on the bridge; to ask for TLS first would cost each connection a way
        // there and back.
        let url = through(&url, &to_postgres.to_string())? + "?sslmode=disable";
        stack.set_variable(name, "TIDEGATE_DATABASE_URL", Some(&url))?;
    }
    if service == Service::Quota {
        stack.set_variable(name, "TIDEGATE_LEASE_TTL_MS", Some(LEASE_TTL_MS))?;
    }
    stack.set_variable(name, "TIDEGATE_LAME_DUCK_MS", Some(LAME_DUCK_MS))?;
    // The collector listens where no namespace reaches it.
    stack.set_variable(name, "TIDEGATE_OTLP_ENDPOINT", None)
}
