//! The names by which replicas find each other: one hosts file for all of them, written in place and read anew at every lookup.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tidegate_local::stack::Service;

/// Each replica's line has a place of its own and always the same length: to publish it or withdraw it is one small write, and whoever reads meanwhile finds every other line whole.
const LINE_BYTES: usize = 64;
/// Lines of the file, which all lie in one page of memory.
pub const PLACES: usize = 64;
/// Only the hosts file is asked. The machine's own resolver cannot be reached from here, and would be waited for.
const LOOKUP_ORDER: &str = "hosts: files\n";

/// The published replicas, as a cluster's headless Services have them.
#[derive(Debug)]
pub struct Directory {
    folder: PathBuf,
    hosts: File,
}

impl Directory {
    /// An empty directory in a folder.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn make(folder: PathBuf) -> Result<Self> {
        let unwritable = || format!("{} cannot be written", folder.display());
        fs::create_dir_all(&folder).with_context(unwritable)?;
        fs::write(folder.join("nsswitch.conf"), LOOKUP_ORDER).with_context(unwritable)?;
        let hosts = File::create(folder.join("hosts")).with_context(unwritable)?;
        let directory = Self { folder, hosts };
        for place in 0..PLACES {
            directory.write(place, "")?;
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

    /// From now on a lookup of the service finds this address too.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn publish(&self, place: usize, service: Service, address: Ipv4Addr) -> Result<()> {
        self.write(place, &format!("{address} {}", Self::name(service)))
    }

    /// No lookup finds what was published at this place any more.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn withdraw(&self, place: usize) -> Result<()> {
        self.write(place, "")
    }

    fn write(&self, place: usize, words: &str) -> Result<()> {
        let line = format!("{words:<width$}\n", width = LINE_BYTES - 1);
        let at = (place * LINE_BYTES) as u64;
        self.hosts
            .write_all_at(line.as_bytes(), at)
            .context("the hosts file cannot be written")
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
            let lines = hosts.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let address = |last| Ipv4Addr::new(10, 77, 1, last);
        assert!(found().is_empty());
        directory
            .publish(3, Service::OrderIntake, address(13))
            .unwrap();
        directory.publish(1, Service::Quota, address(111)).unwrap();
        assert_eq!(
            found(),
            [
                "10.77.1.111 quota.tidegate",
                "10.77.1.13 order-intake.tidegate"
            ]
        );
        directory.withdraw(1).unwrap();
        assert_eq!(found(), ["10.77.1.13 order-intake.tidegate"]);
    }
}
