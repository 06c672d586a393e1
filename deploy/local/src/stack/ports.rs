//! Chooses ports: in a row from a base, or free ones.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};
use rand::Rng;

/// Free ports are looked for below the range that outgoing connections are given, so that none of those takes one before its owner starts.
const FREE_PORTS: std::ops::Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 200;

/// Gives out addresses on 127.0.0.1.
pub(super) struct Ports {
    next: Option<u16>,
    given: Vec<u16>,
}

impl Ports {
    pub(super) fn new(base: Option<u16>) -> Self {
        Self {
            next: base,
            given: Vec::new(),
        }
    }

    /// The next address. `user` says what for, should the port be taken.
    pub(super) fn take(&mut self, user: &str) -> Result<SocketAddr> {
        let port = match self.next {
            Some(port) => {
                if !is_free(port) {
                    bail!(
                        "Port {port}, meant for {user}, is taken: stop what listens on it or choose another --port."
                    );
                }
                self.next = Some(port.checked_add(1).with_context(|| {
                    format!("There is no port after {port}: choose a lower --port.")
                })?);
                port
            }
            None => self.search()?,
        };
        self.given.push(port);
        Ok(address(port))
    }

    fn search(&self) -> Result<u16> {
        let mut random = rand::rng();
        (0..ATTEMPTS)
            .map(|_| random.random_range(FREE_PORTS))
            .find(|&port| !self.given.contains(&port) && is_free(port))
            .with_context(|| {
                format!(
                    "No free port between {} and {} was found: choose one with --port.",
                    FREE_PORTS.start, FREE_PORTS.end
                )
            })
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(address(port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_what_wanted_it() {
        let taken = TcpListener::bind(address(0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refusal = Ports::new(Some(port))
            .take("the gRPC of quota-0")
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains(&port.to_string())
                && refusal.contains("quota-0")
                && refusal.contains("--port"),
            "{refusal}"
        );
    }

    #[test]
    fn free_ports_are_given_once() {
        let mut ports = Ports::new(None);
        let first = ports.take("a").unwrap();
        assert_ne!(first, ports.take("b").unwrap());
    }
}
