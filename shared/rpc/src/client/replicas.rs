use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tidegate_auth::{Identity, TlsIdentity};
use tokio::{net::lookup_host, task::JoinHandle, time::interval};
use tonic::transport::Channel;

use super::channel;

/// How often names are resolved again.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(2);
const MIN_EJECTION: Duration = Duration::from_millis(500);
const MAX_EJECTION: Duration = Duration::from_secs(8);
/// The most replicas of one service that are called.
const MAX_REPLICAS: usize = 256;

/// One running copy of a service.
pub struct Replica {
    address: String,
    channel: Channel,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures_in_row: u32,
    ejected_until: Option<Instant>,
}

impl Replica {
    fn new(address: String, channel: Channel) -> Self {
        Self {
            address,
            channel,
            health: Mutex::default(),
        }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The way to it.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// It answered, be it with a refusal.
    pub fn answered(&self) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health.failures_in_row > 0 {
            tracing::info!(replica = self.address, "a replica answers again");
            *health = Health::default();
        }
    }

    /// It could not be reached, or broke off. Others come first for a while, the longer the more often this happens in a row.
    pub fn failed(&self, now: Instant) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let ejection = MIN_EJECTION
            .saturating_mul(1 << health.failures_in_row.min(8))
            .min(MAX_EJECTION);
        if health.failures_in_row == 0 {
            tracing::warn!(
                replica = self.address,
                "a replica does not answer; others are asked first until it does"
            );
        }
        health.failures_in_row = health.failures_in_row.saturating_add(1);
        health.ejected_until = Some(now + ejection);
    }

    fn is_ejected(&self, now: Instant) -> bool {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.ejected_until.is_some_and(|until| now < until)
    }
}

/// The replicas of one service, found by name and kept up to date.
#[derive(Clone)]
pub struct Replicas(Arc<Shared>);

struct Shared {
    addresses: Vec<String>,
    server: Identity,
    tls: Arc<TlsIdentity>,
    current: ArcSwap<Vec<Arc<Replica>>>,
    turn: AtomicU64,
}

impl Replicas {
    /// Starts with what `addresses` (`host:port`, names or numbers) stand for now. The returned task resolves them again until it is aborted; a name that cannot be resolved keeps the replicas it had.
    pub async fn find(
        addresses: Vec<String>,
        server: Identity,
        tls: Arc<TlsIdentity>,
    ) -> (Self, JoinHandle<()>) {
        let shared = Shared {
            addresses,
            server,
            tls,
            current: ArcSwap::default(),
            turn: AtomicU64::new(0),
        };
        let replicas = Self(Arc::new(shared));
        replicas.resolve().await;
        let refreshing = replicas.clone();
        let task = tokio::spawn(async move {
            let mut ticks = interval(RESOLVE_INTERVAL);
            loop {
                ticks.tick().await;
                refreshing.resolve().await;
            }
        });
        (replicas, task)
    }

    async fn resolve(&self) {
        let mut found = Vec::new();
        for name in &self.0.addresses {
            match lookup_host(name).await {
                Ok(addresses) => found.extend(addresses.map(|address| address.to_string())),
                Err(error) => {
                    tracing::warn!(name, %error, "a name cannot be resolved; the replicas known so far stay in use");
                    return;
                }
            }
        }
        found.sort();
        found.dedup();
        found.truncate(MAX_REPLICAS);
        let current = self.0.current.load();
        if current
            .iter()
            .map(|replica| replica.address())
            .eq(found.iter().map(String::as_str))
        {
            return;
        }
        let mut known: HashMap<_, _> = current
            .iter()
            .map(|replica| (replica.address.clone(), Arc::clone(replica)))
            .collect();
        let next: Vec<_> = found
            .into_iter()
            .map(|address| {
                known.remove(&address).unwrap_or_else(|| {
                    let channel = channel(&address, self.0.server, Arc::clone(&self.0.tls));
                    Arc::new(Replica::new(address, channel))
                })
            })
            .collect();
        tracing::info!(service = %self.0.server, replicas = next.len(), "the replicas of a service were found");
        self.0.current.store(Arc::new(next));
    }

    /// The replicas in the order in which to ask them for `key`: always the same one first as long as it answers, and each key its own order, so that load spreads and only the keys of a lost replica move.
    pub fn for_key(&self, key: u64, now: Instant) -> Vec<Arc<Replica>> {
        let mut replicas = self.0.current.load().to_vec();
        replicas.sort_by_cached_key(|replica| {
            (
                replica.is_ejected(now),
                std::cmp::Reverse(weight(key, &replica.address)),
            )
        });
        replicas
    }

    /// The replicas in turn, those that answer first; for calls that any of them serves alike.
    pub fn in_turn(&self, now: Instant) -> Vec<Arc<Replica>> {
        self.for_key(self.0.turn.fetch_add(1, Ordering::Relaxed), now)
    }
}

/// Rendezvous weight: the same on every gateway, so that a lane's claims meet in one replica.
fn weight(key: u64, address: &str) -> u64 {
    let mixed = address.bytes().fold(
        key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xcbf2_9ce4_8422_2325,
        |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3),
    );
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(key: u64, addresses: &[&str]) -> String {
        (*addresses
            .iter()
            .max_by_key(|address| weight(key, address))
            .unwrap())
        .to_owned()
    }

    #[test]
    fn only_the_keys_of_a_lost_replica_move() {
        let (all, fewer) = (["a:1", "b:1", "c:1"], ["a:1", "c:1"]);
        for key in 0..1_000 {
            let before = best(key, &all);
            if before != "b:1" {
                assert_eq!(best(key, &fewer), before);
            }
        }
    }

    #[test]
    fn keys_spread_over_replicas() {
        let addresses = ["10.0.0.1:7000", "10.0.0.2:7000"];
        let first = (0..1_000)
            .filter(|key| best(*key, &addresses) == addresses[0])
            .count();
        assert!((400..600).contains(&first), "{first}");
    }

    #[tokio::test]
    async fn a_replica_that_fails_is_asked_last_for_a_while_and_longer_each_time() {
        let channel = Channel::from_static("http://127.0.0.1:1").connect_lazy();
        let replica = Replica::new("a:1".into(), channel);
        let now = Instant::now();
        replica.failed(now);
        assert!(replica.is_ejected(now) && !replica.is_ejected(now + MIN_EJECTION));
        replica.failed(now);
        assert!(replica.is_ejected(now + MIN_EJECTION));
        replica.answered();
        assert!(!replica.is_ejected(now));
    }
}
