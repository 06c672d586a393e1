//! Chooses ports: in a row from a base, or free ones.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::{Context, Result, bail, ensure};
use rand::Rng;

/// Free ports are looked for below the range that outgoing connections are given, so that none of those takes one before its owner starts.
const FREE_PORTS: std::ops::Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 200;

/// Where stacks tell each other which ports they have chosen, below the system's folder for temporary files.
const RESERVATIONS: &str = "tidegate-ports";

/// Gives out addresses on 127.0.0.1, and keeps other stacks from choosing the same for as long as it lives: between its choice and its owner's start, and while its owner is dead, a port looks free.
#[derive(Debug, Default)]
pub(super) struct Ports {
    next: Option<u16>,
    given: Vec<u16>,
    /// Locked until they are closed.
    reservations: Vec<File>,
}

impl Ports {
    pub(super) fn new(base: Option<u16>) -> Self {
        Self {
            next: base,
            ..Self::default()
        }
    }

    /// The next address. `user` says what for, should the port be taken.
    pub(super) fn take(&mut self, user: &str) -> Result<SocketAddr> {
        let port = match self.next {
            Some(port) => {
                ensure!(
                    is_free(port),
                    "Port {port}, meant for {user}, is taken: stop what listens on it or choose another --port."
                );
                let last = || format!("There is no port after {port}: choose a lower --port.");
                self.next = Some(port.checked_add(1).with_context(last)?);
                port
            }
            None => self.search()?,
        };
        self.given.push(port);
        Ok(address(port))
    }

    fn search(&mut self) -> Result<u16> {
        let mut random = rand::rng();
        for _ in 0..ATTEMPTS {
            let port = random.random_range(FREE_PORTS);
            if !self.given.contains(&port)
                && let Some(reservation) = reserve(port)
                && is_free(port)
            {
                self.reservations.push(reservation);
                return Ok(port);
            }
        }
        bail!(
            "No free port between {} and {} was found: choose one with --port.",
            FREE_PORTS.start,
            FREE_PORTS.end
        )
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// `None` if another stack has it, or if that cannot be known.
fn reserve(port: u16) -> Option<File> {
    let folder = std::env::temp_dir().join(RESERVATIONS);
    fs::create_dir_all(&folder).ok()?;
    let file = File::create(folder.join(port.to_string())).ok()?;
    file.try_lock().ok()?;
    Some(file)
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
        let refusal = Ports::new(Some(port)).take("the gRPC of quota-0");
        let refusal = refusal.unwrap_err().to_string();
        for part in [&*port.to_string(), "quota-0", "--port"] {
            assert!(refusal.contains(part), "{part} is missing in {refusal}");
        }
    }

    #[test]
    fn free_ports_are_given_once() {
        let mut ports = Ports::new(None);
        let first = ports.take("a").unwrap();
        assert_ne!(first, ports.take("b").unwrap());
    }

    #[test]
    fn a_port_is_another_stack_s_until_that_ends() {
        let mut ports = Ports::new(None);
        let port = ports.take("a").unwrap().port();
        assert!(is_free(port) && reserve(port).is_none());
        drop(ports);
        assert!(reserve(port).is_some());
    }
}
