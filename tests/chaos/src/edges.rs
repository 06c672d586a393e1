//! The ways between the processes of a stack, each through a proxy of its own.

use std::{fmt, path::PathBuf};

use anyhow::{Context, Result};
use tidegate_client::replicas;
use tidegate_local::stack::{Service, Stack};

use crate::proxy::{Proxy, Target, Weather};

pub const POSTGRES: &str = "postgres";

/// Who calls whom, by the names of replicas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    pub from: String,
    /// The callee: a replica, or [`POSTGRES`].
    pub to: String,
}

impl fmt::Display for Edge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} to {}", self.from, self.to)
    }
}

#[derive(Debug)]
pub struct Edges(Vec<(Edge, Proxy)>);

impl Edges {
    /// Puts a proxy on every edge of a stack that is prepared and not yet up, and tells the
    /// replicas to call those.
    pub async fn lay(stack: &mut Stack) -> Result<Self> {
        let mut edges = Self(Vec::new());
        for (service, from) in replicas(stack) {
            for callee in callees(service) {
                let mut addresses = Vec::new();
                for (_, to) in replicas(stack).iter().filter(|it| it.0 == *callee) {
                    let target = Target::Tcp(stack.replica(to)?.grpc_address());
                    addresses.push(edges.add(&from, to, target).await?);
                }
                let addresses = addresses.join(",");
                stack.set_variable(&from, &addresses_of(*callee), Some(&addresses))?;
            }
            if let Some(url) = stack.database_url(service) {
                let address = edges.add(&from, POSTGRES, postgres(stack)?).await?;
                let url = through(&url, &address)?;
                stack.set_variable(&from, "TIDEGATE_DATABASE_URL", Some(&url))?;
            }
        }
        Ok(edges)
    }

    async fn add(&mut self, from: &str, to: &str, target: Target) -> Result<String> {
        let proxy = Proxy::start(target).await?;
        let address = proxy.address().to_string();
        let (from, to) = (from.to_owned(), to.to_owned());
        self.0.push((Edge { from, to }, proxy));
        Ok(address)
    }

    /// Every edge, in an order that does not change.
    pub fn all(&self) -> impl Iterator<Item = &Edge> {
        self.0.iter().map(|(edge, _)| edge)
    }

    /// Changes the weather on some edges and leaves the others.
    pub fn set(&self, edges: &[Edge], weather: Weather) {
        for (edge, proxy) in &self.0 {
            if edges.contains(edge) {
                proxy.set(weather);
            }
        }
    }

    pub fn heal(&self) {
        for (_, proxy) in &self.0 {
            proxy.set(Weather::FAIR);
        }
    }
}

fn callees(service: Service) -> &'static [Service] {
    match service {
        Service::Quota => &[Service::Issuance],
        Service::Issuance => &[Service::Quota],
        Service::OrderIntake => &[Service::Issuance],
        Service::Gateway => &[Service::Quota, Service::Issuance, Service::OrderIntake],
    }
}

/// The variable that tells where a service is to be found.
pub fn addresses_of(callee: Service) -> String {
    let name = callee.name().to_uppercase().replace('-', "_");
    format!("TIDEGATE_{name}_ADDRESSES")
}

/// Where the database server listens.
pub fn postgres(stack: &Stack) -> Result<Target> {
    let superuser = stack.postgres().superuser();
    let folder: &PathBuf = superuser
        .get_socket()
        .context("PostgreSQL listens on no socket of its own")?;
    let file = format!(".s.PGSQL.{}", superuser.get_port());
    Ok(Target::Unix(folder.join(file)))
}

/// The same role, password and database at another address.
pub fn through(url: &str, address: &str) -> Result<String> {
    let malformed = "the database's URL is not written as expected";
    let (role, rest) = url.split_once('@').context(malformed)?;
    let (_, path) = rest.split_once('/').context(malformed)?;
    let database = path.split('?').next().unwrap_or(path);
    Ok(format!("{role}@{address}/{database}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_role_and_database_and_loses_the_socket() {
        let url = "postgres://role:secret@localhost:5432/name?host=%2Frun%2Fhere";
        assert_eq!(
            through(url, "127.0.0.1:9").unwrap(),
            "postgres://role:secret@127.0.0.1:9/name"
        );
    }
}
