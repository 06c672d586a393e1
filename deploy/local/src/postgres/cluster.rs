//! The data folder of a server of our own: made by initdb, configured, and reached over a socket only we can enter.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnectOptions;

use super::{
    account::{self, Account},
    binaries::{self, Binaries},
    databases,
};
use crate::processes;

/// Settings that fit a small machine, each with its reason.
const SETTINGS: &str = include_str!("../../postgres/tidegate.conf");
const SUPERUSER: &str = "postgres";
/// Names the socket file; nothing listens on this TCP port.
const SOCKET_PORT: u16 = 5432;
/// The kernel's limit on the path of a Unix socket, on the stricter of Linux and macOS, less the file's own name.
const SOCKET_FOLDER_LIMIT: usize = 103 - "/.s.PGSQL.5432.lock".len();

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub max_connections: u32,
    pub fsync_off: bool,
    /// Whoever can enter the folder of the socket needs no password.
    pub trust: bool,
}

#[derive(Debug)]
pub(super) struct Cluster {
    account: Option<Account>,
    home: PathBuf,
    binaries: Binaries,
    sockets: PathBuf,
    settings: Settings,
    superuser_password: String,
}

pub(super) fn data_folder(home: &Path) -> PathBuf {
    home.join("data")
}

impl Cluster {
    /// Makes the cluster if there is none and writes its settings anew.
    pub(super) async fn prepare(
        account: Option<Account>,
        home: PathBuf,
        binaries: Binaries,
        settings: Settings,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        binaries::check_data_version(&data_folder(&home), &binaries)?;
        fs::create_dir_all(&home).with_context(|| format!("{} cannot be made", home.display()))?;
        let password_file = home.join("superuser.password");
        let superuser_password = databases::password_in(&password_file)?;
        let sockets = socket_folder(&home)?;
        let cluster = Self {
            account,
            home,
            binaries,
            sockets,
            settings,
            superuser_password,
        };
        if !cluster.data().join("PG_VERSION").exists() {
            say(&format!(
                "Making a PostgreSQL {} database in {}.",
                cluster.binaries.major,
                cluster.data().display()
            ));
            cluster.initdb(&password_file).await?;
        }
        cluster.write_settings()?;
        Ok(cluster)
    }

    async fn initdb(&self, password_file: &Path) -> Result<()> {
        // An initdb that was cut short leaves a folder that the next one refuses.
        let _ = fs::remove_dir_all(self.data());
        account::private_folder(self.account.as_ref(), &self.data())?;
        account::hand_over(self.account.as_ref(), password_file)?;
        let authentication = match self.settings.trust {
            true => "trust",
            false => "scram-sha-256",
        };
        let program = self.binaries.program("initdb");
        let output = self
            .command("initdb")
            .arg("--pgdata")
            .arg(self.data())
            .args(["--username", SUPERUSER, "--data-checksums"])
            .args(["--encoding=UTF8", "--locale=C"])
            .arg(format!("--auth={authentication}"))
            .arg(format!("--pwfile={}", password_file.display()))
            .stdin(Stdio::null())
            .output()
            .await
            .with_context(|| format!("{} cannot be run", program.display()))?;
        if !output.status.success() {
            // The version file is what makes a folder count as a cluster; initdb writes it early.
            let _ = fs::remove_dir_all(self.data());
            bail!(
                "PostgreSQL could not make its data folder {}: {}",
                self.data().display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    fn write_settings(&self) -> Result<()> {
        let file = self.data().join("tidegate.conf");
        fs::write(&file, SETTINGS)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        account::hand_over(self.account.as_ref(), &file)?;
        let main = self.data().join("postgresql.conf");
        let settings = fs::read_to_string(&main)
            .with_context(|| format!("{} cannot be read", main.display()))?;
        let include = "include 'tidegate.conf'";
        if !settings.lines().any(|line| line == include) {
            fs::write(&main, format!("{settings}\n{include}\n"))
                .with_context(|| format!("{} cannot be written", main.display()))?;
        }
        account::private_folder(self.account.as_ref(), &self.sockets)
    }

    /// A program of PostgreSQL's, as the server's account.
    pub(super) fn command(&self, program: &str) -> tokio::process::Command {
        let program = self.binaries.program(program);
        account::command(self.account.as_ref(), &program, &self.home)
    }

    /// The server in the foreground, not yet started.
    pub(super) fn server_command(&self) -> Result<tokio::process::Command> {
        let log = processes::open_log(&self.log())?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let mut settings = vec![
            format!("port={SOCKET_PORT}"),
            format!("unix_socket_directories={}", self.sockets.display()),
            "listen_addresses=".to_owned(),
            format!("max_connections={}", self.settings.max_connections),
        ];
        settings.extend(self.settings.fsync_off.then(|| "fsync=off".to_owned()));
        for setting in settings {
            command.args(["-c", &setting]);
        }
        // A group of its own, so that Ctrl-C reaches the launcher only and the services stop first.
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        Ok(command)
    }

    pub(super) fn superuser_url(&self) -> String {
        databases::url_at(&self.superuser(), SUPERUSER, &self.superuser_password)
    }

    pub(super) fn superuser(&self) -> PgConnectOptions {
        PgConnectOptions::new()
            .socket(&self.sockets)
            .port(SOCKET_PORT)
            .username(SUPERUSER)
            .password(&self.superuser_password)
            .database(SUPERUSER)
    }

    pub(super) fn data(&self) -> PathBuf {
        data_folder(&self.home)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.home.join("postgres.log")
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "PostgreSQL {} from {}, data in {}",
            self.binaries.major,
            self.binaries.folder.display(),
            self.data().display()
        )
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }
}

/// Removes what a stopped server leaves: its data, its log, its socket and its passwords.
pub(super) fn remove(home: &Path) -> Result<()> {
    for folder in [socket_folder(home)?, home.to_owned()] {
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
    }
    Ok(())
}

/// A folder for the socket: in `home` if the path is short enough for the kernel, else one of this machine's own folder.
fn socket_folder(home: &Path) -> Result<PathBuf> {
    let near = home.join("run");
    if near.as_os_str().len() <= SOCKET_FOLDER_LIMIT {
        return Ok(near);
    }
    Ok(account::machine_folder()?.join(format!("run-{}", account::hash(home))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_never_gets_a_path_that_the_kernel_refuses() {
        assert_eq!(
            socket_folder(Path::new("/srv/tidegate")).unwrap(),
            Path::new("/srv/tidegate/run")
        );
        let deep = socket_folder(Path::new(&format!("/srv/{}", "deep/".repeat(40)))).unwrap();
        assert!(deep.as_os_str().len() <= SOCKET_FOLDER_LIMIT, "{deep:?}");
    }
}
