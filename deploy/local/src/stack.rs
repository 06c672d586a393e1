//! The whole suite as processes of one machine: PostgreSQL and every replica of the four services.
//!
//! A [`Stack`] is prepared first, so that whoever holds it can end it at any moment of its start, and then brought up. Tests stop, kill,
//! pause and restart its parts by name: `quota-0`, `issuance-0`, `issuance-1`, `order-intake-0`, `gateway-0`, `gateway-1`.
//! Dropping it leaves no process behind.

mod connections;
mod environment;
mod options;
mod ports;
mod replica;

use std::{fs, net::SocketAddr, process::ExitStatus};

use anyhow::{Context, Result, anyhow};
use futures_util::future::{join_all, try_join_all};
use rustix::process::Signal;
use time::OffsetDateTime;
use tonic::transport::Channel;

use crate::{
    credentials::{Credentials, Identity},
    postgres::{Postgres, PostgresOptions, folder_of_choice},
    processes::give_way,
    records::Records,
};

pub use crate::service::Service;
pub use connections::connections_of;
pub use options::StackOptions;
use ports::Ports;
pub use replica::{Place, Replica};

#[derive(Debug)]
pub struct Stack {
    options: StackOptions,
    credentials: Credentials,
    // Dropped in this order: services before the database they use, and last the lock on the data folder.
    replicas: Vec<Replica>,
    _ports: Ports,
    postgres: Postgres,
    records: Records,
}

impl Stack {
    pub async fn start(options: StackOptions) -> Result<Self> {
        let mut stack = Self::prepare(options).await?;
        stack.bring_up().await?;
        Ok(stack)
    }

    /// Takes the data folder, stops what a killed launcher left running in it, makes credentials and the database's files, and chooses
    /// ports. No process runs yet.
    pub async fn prepare(mut options: StackOptions) -> Result<Self> {
        options.data = folder_of_choice(&options.data)?;
        let records = Records::take(&options.data)?;
        records.stop_leftovers(options.say).await?;
        if options.reset {
            records.remove_all_else()?;
        }
        let folder = options.data.join("credentials");
        let credentials = Credentials::load_or_make(&folder, OffsetDateTime::now_utc())?;
        let (replicas, ports) = replica::lay_out(&options)?;
        let postgres = PostgresOptions {
            fsync_off: options.fsync_off,
            max_connections: connections::max_connections(&options),
            reset: options.reset,
            database_prefix: options.database_prefix.clone(),
            ..PostgresOptions::new(options.data.join("postgres"))
        };
        let postgres = Postgres::prepare(postgres, &options.say).await?;
        Ok(Self {
            options,
            credentials,
            replicas,
            _ports: ports,
            postgres,
            records,
        })
    }

    /// Starts PostgreSQL and then the services, each after those it calls, and waits until every replica is ready.
    pub async fn bring_up(&mut self) -> Result<()> {
        (self.options.say)(&self.postgres.describe());
        let started = self.postgres.start().await;
        self.record()?;
        started?;
        for service in Service::START_ORDER {
            for place in 0..self.replicas.len() {
                if self.replicas[place].service() == service {
                    let environment = self.environment_of(&self.replicas[place]);
                    self.replicas[place].spawn(&environment)?;
                    // Recorded one by one: a launcher killed right here leaves nothing unknown.
                    self.record()?;
                }
            }
            let replicas = self.replicas.iter_mut();
            let begun = replicas.filter(|replica| replica.service() == service);
            try_join_all(begun.map(Replica::wait_until_ready)).await?;
            let (name, addresses) = (service.name(), join(&self.addresses(service)));
            (self.options.say)(&format!("{name} is ready on {addresses}."));
        }
        Ok(())
    }

    /// Stops everything in order: services before those they call, PostgreSQL last. Safe to call twice, and on a stack half started.
    pub async fn shutdown(&mut self) -> Result<()> {
        let mut trouble = None;
        for service in Service::START_ORDER.into_iter().rev() {
            let replicas = self
                .replicas
                .iter_mut()
                .filter(|replica| replica.service() == service && replica.process_id().is_some());
            for result in join_all(replicas.map(Replica::terminate)).await {
                trouble = trouble.or(result.err());
            }
        }
        trouble = trouble.or(self.postgres.stop().await.err());
        self.record()?;
        trouble.map_or(Ok(()), Err)
    }

    pub async fn shutdown_and_remove(mut self) -> Result<()> {
        self.shutdown().await?;
        self.postgres.remove_data().await?;
        fs::remove_dir_all(&self.options.data)
            .with_context(|| format!("{} cannot be removed", self.options.data.display()))
    }

    /// Kills a replica as a crash would: SIGKILL.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        self.find(name)?.kill().await?;
        self.record()
    }

    /// Holds a replica still, as a machine that hangs would: SIGSTOP.
    pub fn pause(&mut self, name: &str) -> Result<()> {
        self.find(name)?.signal(Signal::STOP)
    }

    pub fn resume(&mut self, name: &str) -> Result<()> {
        self.find(name)?.signal(Signal::CONT)
    }

    /// Asks a replica to drain and does not wait for its end.
    pub fn ask_to_end(&mut self, name: &str) -> Result<()> {
        self.find(name)?.signal(Signal::TERM)
    }

    pub async fn wait_for_exit(&mut self, name: &str) -> Result<ExitStatus> {
        let status = self.find(name)?.wait().await;
        self.record()?;
        status
    }

    pub async fn terminate(&mut self, name: &str) -> Result<ExitStatus> {
        let status = self.find(name)?.terminate().await;
        self.record()?;
        status
    }

    /// Starts a replica on its old ports and waits until it is ready. One that runs is terminated first.
    pub async fn restart(&mut self, name: &str) -> Result<()> {
        if self.find(name)?.process_id().is_some() {
            self.terminate(name).await?;
        }
        self.start_replica(name)?;
        self.find(name)?.wait_until_ready().await
    }

    pub fn start_replica(&mut self, name: &str) -> Result<()> {
        let environment = self.environment_of(self.replica(name)?);
        self.find(name)?.spawn(&environment)?;
        self.record()
    }

    /// Sets a variable for a replica's next start; none takes it away.
    pub fn set_variable(&mut self, name: &str, variable: &str, value: Option<&str>) -> Result<()> {
        self.find(name)?.set_variable(variable, value);
        Ok(())
    }

    /// Lets a replica run somewhere else from its next start on.
    pub fn place(&mut self, name: &str, place: Place) -> Result<()> {
        self.find(name)?.place(place);
        Ok(())
    }

    pub fn replica(&self, name: &str) -> Result<&Replica> {
        let mut replicas = self.replicas.iter();
        let found = replicas.find(|replica| replica.name() == name);
        found.ok_or_else(|| self.no_such(name))
    }

    fn find(&mut self, name: &str) -> Result<&mut Replica> {
        let missing = self.no_such(name);
        let mut replicas = self.replicas.iter_mut();
        let found = replicas.find(|replica| replica.name() == name);
        found.ok_or(missing)
    }

    fn no_such(&self, name: &str) -> anyhow::Error {
        anyhow!(
            "There is no replica named {name}: there are {}.",
            join(&self.replicas.iter().map(Replica::name).collect::<Vec<_>>())
        )
    }

    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// The gRPC addresses of a service's replicas, in order.
    pub fn addresses(&self, service: Service) -> Vec<SocketAddr> {
        let replicas = self.replicas.iter();
        let of_service = replicas.filter(|replica| replica.service() == service);
        of_service.map(Replica::grpc_address).collect()
    }

    /// A connection to a replica, with the certificate of `client` or with none.
    pub fn channel(&self, client: Option<Identity>, name: &str) -> Result<Channel> {
        let replica = self.replica(name)?;
        self.credentials
            .channel(client, replica.service().identity(), replica.grpc_address())
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// The database server, to stop, kill and start again.
    pub fn postgres_mut(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    /// The URL with which a service reaches its database; none for the gateway, which has none.
    pub fn database_url(&self, service: Service) -> Option<String> {
        let has_one = Service::WITH_DATABASE.contains(&service);
        has_one.then(|| self.postgres.database_url(service))
    }

    pub fn options(&self) -> &StackOptions {
        &self.options
    }

    /// Lets all of it give way to this process, so that a crowd that is made here comes as it would from machines of its own.
    pub fn give_way(&self) {
        let replicas = self.replicas.iter().map(Replica::process_id);
        let processes = replicas.chain([self.postgres.process_id()]);
        processes.flatten().for_each(give_way);
    }

    fn record(&self) -> Result<()> {
        let postgres = self.postgres.process_id().zip(self.postgres.command_mark());
        let mark =
            |replica: &Replica| Some((replica.process_id()?, replica.command_mark().to_owned()));
        let replicas = self.replicas.iter().filter_map(mark);
        self.records.write(replicas.chain(postgres))
    }
}

fn join(parts: &[impl ToString]) -> String {
    let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
    parts.join(", ")
}
