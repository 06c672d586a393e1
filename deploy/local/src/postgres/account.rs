//! Who runs the server. PostgreSQL refuses root, so as root it runs as `postgres` or else `nobody`, and its folders belong to that user.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// A user other than our own that runs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// The user to run the server as: none, which is ourselves, unless we are root.
    ///
    /// # Errors
    /// We are root and the machine knows none of the users.
    pub fn for_server() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")
            .context("/etc/passwd cannot be read: start as a user other than root")?;
        match ACCOUNTS.iter().find_map(|name| find_user(&users, name)) {
            Some(account) => Ok(Some(account)),
            None => bail!(
                "PostgreSQL refuses to run as root and there is no user named {}: make one, or start as a user other than root.",
                ACCOUNTS.join(" or ")
            ),
        }
    }
}

fn find_user(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let _password = fields.next()?;
        // macOS writes nobody's number as -2: the cast gives the number that the kernel means by it.
        let mut number = || Some(fields.next()?.parse::<i64>().ok()? as u32);
        Some(Account {
            name: name.to_owned(),
            uid: number()?,
            gid: number()?,
        })
    })
}

pub(super) fn command(
    account: Option<&Account>,
    program: &Path,
    folder: &Path,
) -> tokio::process::Command {
    let mut command = std::process::Command::new(program);
    command.current_dir(folder);
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    command
}

/// Makes a folder that only the server's user may enter.
pub(super) fn private_folder(account: Option<&Account>, folder: &Path) -> Result<()> {
    tidegate_ctl::private_folder(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("{} is not ours to change", folder.display()))?;
    hand_over(account, folder)
}

pub(super) fn hand_over(account: Option<&Account>, path: &Path) -> Result<()> {
    let Some(Account { name, uid, gid }) = account else {
        return Ok(());
    };
    chown(path, Some(*uid), Some(*gid))
        .with_context(|| format!("{} cannot be given to the user {name}", path.display()))
}

/// Where the server's folders can be: `wanted`, or, if the server's user cannot get there, a folder under /var/tmp.
pub(super) fn reachable_home(
    account: Option<&Account>,
    wanted: &Path,
    say: &dyn Fn(&str),
) -> Result<PathBuf> {
    let wanted = folder_of_choice(wanted)?;
    let account = match account {
        Some(account) if !can_enter(account, &wanted) => account,
        _ => return Ok(wanted),
    };
    let home = machine_folder()?.join(hash(&wanted));
    fs::create_dir_all(&home).with_context(|| format!("{} cannot be made", home.display()))?;
    say(&format!(
        "PostgreSQL runs as the user {}, who cannot enter {}: its data is in {}.",
        account.name,
        wanted.display(),
        home.display()
    ));
    Ok(home)
}

/// Makes the folder that a person chose, and gives its whole path.
pub(crate) fn folder_of_choice(folder: &Path) -> Result<PathBuf> {
    let name = folder.display();
    fs::create_dir_all(folder)
        .with_context(|| format!("{name} cannot be made: choose another folder with --data"))?;
    let whole = folder.canonicalize();
    whole.with_context(|| format!("{name} cannot be read"))
}

pub(super) fn hash(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn can_enter(account: &Account, folder: &Path) -> bool {
    std::process::Command::new("/bin/sh")
        .args(["-c", "test -x \"$1\"", "sh"])
        .arg(folder)
        .current_dir("/")
        .uid(account.uid)
        .gid(account.gid)
        .status()
        .is_ok_and(|status| status.success())
}

/// The folder outside any home directory that belongs to us alone: for data that another user must reach, and for a fetched PostgreSQL.
///
/// # Errors
/// Somebody else made the folder first.
pub(super) fn machine_folder() -> Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let folder = PathBuf::from(format!("/var/tmp/tidegate-{user}"));
    let name = folder.display();
    if !folder.exists() {
        let made = fs::DirBuilder::new().mode(0o755).create(&folder);
        made.with_context(|| format!("{name} cannot be made"))?;
    }
    let facts = fs::symlink_metadata(&folder);
    let facts = facts.with_context(|| format!("{name} cannot be read"))?;
    // Anybody can make folders in /var/tmp; running what somebody else put there would be running their code.
    if !facts.is_dir() || facts.uid() != user || facts.mode() & 0o022 != 0 {
        bail!("{name} does not belong to us alone: remove it and start again.");
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "postgresql:x:7:7::/:/bin/sh\npostgres:x:101:104:PostgreSQL:/var/lib:/bin/bash\nnobody:*:-2:-2::/:/usr/bin/false\n";
        let postgres = Account {
            name: "postgres".into(),
            uid: 101,
            gid: 104,
        };
        assert_eq!(find_user(users, "postgres"), Some(postgres));
        let nobody = find_user(users, "nobody").unwrap();
        assert_eq!(nobody.uid, u32::MAX - 1);
        assert_eq!(find_user(users, "sql"), None);
    }
}
