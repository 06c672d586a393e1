//! The names by which replicas find each other: one hosts file for all of them, written in place
//! and read anew at every lookup, as a headless Service's records are.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tidegate_local::stack::Service;

/// Each line has a place of its own and always the same length: to publish or withdraw a replica is
/// one small write, and whoever reads meanwhile finds every other line whole.
const LINE_BYTES: usize = 64;
/// Lines of the file, which all lie in one page of memory.
const PLACES: usize = 64;
/// The machine's own resolver cannot be reached from a namespace, and would be waited for.
const LOOKUP_ORDER: &str = "hosts: files\n";

/// The published replicas.
#[derive(Debug)]
pub struct Directory {
    folder: PathBuf,
    hosts: File,
}

impl Directory {
    pub fn make(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        fs::write(folder.join("nsswitch.conf"), LOOKUP_ORDER)?;
        let hosts = File::create(folder.join("hosts"))?;
        let directory = Self { folder, hosts };
        for place in 0..PLACES {
            directory.withdraw(place)?;
        }
        Ok(directory)
    }

    /// What stands in `/etc` for whoever looks names up here.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name under which all replicas of a service are found.
    pub fn name(service: Service) -> String {
        format!("{}.tidegate", service.name())
    }

    pub fn publish(&self, place: usize, service: Service, address: Ipv4Addr) -> Result<()> {
        self.write(place, &format!("{address} {}", Self::name(service)))
    }

    pub fn withdraw(&self, place: usize) -> Result<()> {
        self.write(place, "")
    }

    fn write(&self, place: usize, words: &str) -> Result<()> {
        let line = format!("{words:<width$}\n", width = LINE_BYTES - 1);
        let at = (place * LINE_BYTES) as u64;
        let written = self.hosts.write_all_at(line.as_bytes(), at);
        written.context("the hosts file cannot be written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_found_from_its_publication_to_its_withdrawal_and_others_all_the_while() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::make(folder.path().join("names")).unwrap();
        let found = || {
            let hosts = fs::read_to_string(directory.folder().join("hosts")).unwrap();
            assert_eq!(hosts.len(), PLACES * LINE_BYTES);
            hosts.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let publish = |place, service, last| {
            let address = Ipv4Addr::new(10, 77, 1, last);
            directory.publish(place, service, address).unwrap();
        };
        assert_eq!(found(), "");
        publish(3, Service::OrderIntake, 13);
        publish(1, Service::Quota, 111);
        let both = "10.77.1.111 quota.tidegate 10.77.1.13 order-intake.tidegate";
        assert_eq!(found(), both);
        directory.withdraw(1).unwrap();
        assert_eq!(found(), "10.77.1.13 order-intake.tidegate");
    }
}
