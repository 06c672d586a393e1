//! One network namespace for each replica, all on one bridge with this machine. Linux's own, made
//! and removed with `ip`.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use rand::{Rng, seq::index};

/// What the names of the namespaces and of the bridge begin with.
const PREFIX: &str = "tgscale";
/// What the names of links on the bridge begin with; the kernel allows 15 letters.
const LINK_PREFIX: &str = "tgs";
/// Held while a network stands: whoever takes it knows that all there still is was left behind.
const LOCK: &str = "/run/tidegate-scale.lock";
/// Where `ip netns exec` finds what is to stand in `/etc` of a namespace.
const NAMESPACE_FILES: &str = "/etc/netns";
/// The networks that one is drawn of: 10.77.0.0/24 to 10.77.255.0/24.
const NETWORKS: usize = 256;
const HOST: u8 = 1;
/// The last part of the first replica's address.
const FIRST: u8 = 10;

/// Why this machine cannot have such a network, in one sentence; none if it can.
pub fn impossible_because() -> Option<String> {
    let error = try_out().err()?;
    Some(format!(
        "Replicas cannot have addresses of their own here, which takes root on Linux and `ip` (package iproute2): {error:#}."
    ))
}

/// Makes one of each kind of thing, and removes them.
fn try_out() -> Result<()> {
    let mark = rand::rng().random_range(0..100_000);
    let namespace = format!("{PREFIX}-try-{mark}");
    let (link, bridge) = (
        format!("{LINK_PREFIX}t{mark}"),
        format!("{LINK_PREFIX}b{mark}"),
    );
    let tried = all([
        format!("netns add {namespace}"),
        format!("netns exec {namespace} ip link set lo up"),
        format!("link add {bridge} type bridge"),
        format!("link add {link} type veth peer name eth0 netns {namespace}"),
    ]);
    for remains in [
        format!("link del {link}"),
        format!("link del {bridge}"),
        format!("netns del {namespace}"),
    ] {
        // What could not be made cannot be removed either.
        let _ = ip(&remains);
    }
    tried
}

/// The bridge and the namespaces on it, which are removed when this is dropped.
#[derive(Debug)]
pub struct Network {
    third: u8,
    names: Vec<String>,
    _lock: File,
}

impl Network {
    /// Removes what an earlier run left behind, processes included, and makes a bridge with a free
    /// network.
    pub fn build() -> Result<Self> {
        let lock = File::create(LOCK).with_context(|| format!("{LOCK} cannot be written"))?;
        if lock.try_lock().is_err() {
            bail!("Another run has its network on this machine: wait for its end.");
        }
        remove_all();
        let network = Self {
            third: free_network()?,
            names: Vec::new(),
            _lock: lock,
        };
        all([
            format!("link add {PREFIX} type bridge"),
            format!("addr add {}/24 dev {PREFIX}", network.host()),
            format!("link set {PREFIX} up"),
        ])?;
        Ok(network)
    }

    pub fn host(&self) -> Ipv4Addr {
        self.address(HOST)
    }

    /// Makes a namespace of that name, in which `etc` stands in `/etc`. Answers with its address.
    pub fn add(&mut self, name: &str, etc: &Path) -> Result<Ipv4Addr> {
        let place = u8::try_from(self.names.len())?;
        let address = self.address(FIRST + place);
        let (namespace, link) = (namespace(name), format!("{LINK_PREFIX}{place}"));
        self.names.push(name.to_owned());
        fs::create_dir_all(NAMESPACE_FILES)?;
        symlink(etc, Path::new(NAMESPACE_FILES).join(&namespace))?;
        all([
            format!("netns add {namespace}"),
            format!("link add {link} type veth peer name eth0 netns {namespace}"),
            format!("link set {link} master {PREFIX} up"),
            format!("-n {namespace} addr add {address}/24 dev eth0"),
            format!("-n {namespace} link set lo up"),
            format!("-n {namespace} link set eth0 up"),
        ])?;
        Ok(address)
    }

    /// The words that run a command in a namespace. What follows them is the process's first
    /// argument, the program, and further arguments.
    pub fn entrance(name: &str) -> Vec<String> {
        let (within, run) = (namespace(name), r#"exec -a "$0" "$@""#);
        ["ip", "netns", "exec", &within, "bash", "-c", run]
            .map(str::to_owned)
            .to_vec()
    }

    /// Cuts a namespace off from everybody (`down`), or connects it again (`up`).
    pub fn set_link(&self, name: &str, state: &str) -> Result<()> {
        let place = self.place(name)?;
        ip(&format!("link set {LINK_PREFIX}{place} {state}")).map(drop)
    }

    /// How many namespaces were added before this one.
    pub fn place(&self, name: &str) -> Result<usize> {
        let place = self.names.iter().position(|known| known == name);
        place.with_context(|| format!("There is no namespace of {name}."))
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.third, last)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove_all();
    }
}

fn namespace(name: &str) -> String {
    format!("{PREFIX}-{name}")
}

fn free_network() -> Result<u8> {
    let taken = ip("-4 addr show")? + &ip("-4 route show table all")?;
    index::sample(&mut rand::rng(), NETWORKS, NETWORKS)
        .into_iter()
        .find(|third| !taken.contains(&format!("10.77.{third}.")))
        .and_then(|third| u8::try_from(third).ok())
        .context("Every network of 10.77.0.0/16 is in use on this machine.")
}

/// Removes every namespace, link and file of a network, and kills what runs in it. There may be any
/// part of it, so each is tried.
fn remove_all() {
    let namespaces = ip("netns list").unwrap_or_default();
    let names = namespaces.lines().filter_map(|line| line.split(' ').next());
    for namespace in names.filter(|name| name.starts_with(PREFIX)) {
        let running = ip(&format!("netns pids {namespace}")).unwrap_or_default();
        if !running.trim().is_empty() {
            let mut kill = Command::new("kill");
            let _ = kill.arg("-KILL").args(running.split_whitespace()).status();
        }
        let _ = ip(&format!("netns del {namespace}"));
    }
    for link in entries("/sys/class/net").filter(|link| link.starts_with(LINK_PREFIX)) {
        let _ = ip(&format!("link del {link}"));
    }
    for files in entries(NAMESPACE_FILES).filter(|name| name.starts_with(PREFIX)) {
        let _ = fs::remove_file(Path::new(NAMESPACE_FILES).join(files));
    }
    // Somebody else's namespaces keep the folder.
    let _ = fs::remove_dir(NAMESPACE_FILES);
}

fn entries(folder: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn all(commands: impl IntoIterator<Item = String>) -> Result<()> {
    let mut commands = commands.into_iter();
    commands.try_for_each(|words| ip(&words).map(drop))
}

fn ip(words: &str) -> Result<String> {
    let mut ip = Command::new("ip");
    let output = ip.args(words.split(' ')).stdin(Stdio::null()).output();
    let output = output.context("`ip` cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`ip {words}`: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
