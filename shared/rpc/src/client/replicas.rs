use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tidegate_auth::{Identity, TlsIdentity};
use tokio::{net::lookup_host, time::interval};
use tonic::transport::Channel;

use super::{
    channel,
    connect::{TracedChannel, traced},
    health::{Change, Health, Standing, middle},
    retry_budget::RetryBudget,
};

/// How often names are resolved again.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(2);
/// How often the replicas' times are compared.
const JUDGE_INTERVAL: Duration = Duration::from_millis(250);
/// The most replicas of one service that are called.
const MAX_REPLICAS: usize = 256;

/// One running copy of a service.
pub(super) struct Replica {
    pub(super) address: String,
    pub(super) channel: TracedChannel,
    health: Mutex<Health>,
}

impl Replica {
    pub(super) fn new(address: String, channel: Channel) -> Self {
        Self {
            address,
            channel: traced(channel),
            health: Mutex::default(),
        }
    }

    /// It answered, be it with a refusal. If it did what was asked and `took` says something of its
    /// pace, a replica far slower than its peers comes last for a while.
    pub(super) fn answered(&self, took: Option<Duration>) {
        self.note(self.health().answered(took, Instant::now()));
    }

    /// It could not be reached, or broke off. Others come first for a while, until one call finds that it answers again; the longer the more often this happens in a row.
    pub(super) fn failed(&self, now: Instant) {
        self.note(self.health().failed(now));
    }

    fn note(&self, change: Change) {
        match change {
            Change::Nothing => {}
            Change::TrustedAgain => {
                tracing::info!(replica = self.address, "a replica answers again");
            }
            Change::Ejected => tracing::warn!(
                replica = self.address,
                "a replica does not answer; others are asked first until it does"
            ),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The replicas of one service, found by name and kept up to date. Cheap to clone.
#[derive(Clone, Default)]
pub struct Replicas(Arc<Shared>);

#[derive(Default)]
struct Shared {
    current: ArcSwap<Vec<Arc<Replica>>>,
    turn: AtomicU64,
    retries: RetryBudget,
}

impl Replicas {
    /// Starts with what `addresses` (`host:port`, names or numbers) stand for now. The returned future resolves them again for as long as it runs; a name that cannot be resolved keeps the replicas it had.
    pub async fn find(
        addresses: Vec<String>,
        server: Identity,
        tls: Arc<TlsIdentity>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let replicas = Self::default();
        let resolver = Resolver {
            addresses,
            server,
            tls,
            replicas: replicas.clone(),
        };
        resolver.resolve().await;
        (replicas, resolver.run())
    }

    #[cfg(test)]
    pub(super) fn of(replicas: Vec<Arc<Replica>>) -> Self {
        let found = Self::default();
        found.0.current.store(Arc::new(replicas));
        found
    }

    /// The replicas in the order in which to ask them for `key`: always the same one first as long as it answers, and each key its own order, so that load spreads and only the keys of a lost replica move.
    ///
    /// A replica whose ejection is over is first for one call, which tells whether it is so for the others again.
    pub(super) fn for_key(&self, key: u64, now: Instant) -> Vec<Arc<Replica>> {
        in_order(self.0.current.load().to_vec(), key, now)
    }

    /// The replicas in turn, those that answer first; for calls that any of them serves alike.
    pub(super) fn in_turn(&self, now: Instant) -> Vec<Arc<Replica>> {
        self.for_key(self.0.turn.fetch_add(1, Ordering::Relaxed), now)
    }

    pub(super) fn retries(&self) -> &RetryBudget {
        &self.0.retries
    }
}

/// Keeps the replicas up to date.
struct Resolver {
    addresses: Vec<String>,
    server: Identity,
    tls: Arc<TlsIdentity>,
    replicas: Replicas,
}

impl Resolver {
    async fn run(self) {
        let (mut resolve, mut judge) = (interval(RESOLVE_INTERVAL), interval(JUDGE_INTERVAL));
        let current = &self.replicas.0.current;
        loop {
            tokio::select! {
                _ = resolve.tick() => self.resolve().await,
                _ = judge.tick() => judge_paces(&current.load(), Instant::now()),
            }
        }
    }

    async fn resolve(&self) {
        let mut found = Vec::new();
        for name in &self.addresses {
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
        let current = self.replicas.0.current.load();
        if current.iter().map(|replica| &replica.address).eq(&found) {
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
                    let channel = channel(&address, self.server, Arc::clone(&self.tls));
                    Arc::new(Replica::new(address, channel))
                })
            })
            .collect();
        tracing::info!(service = %self.server, replicas = next.len(), "the replicas of a service were found");
        self.replicas.0.current.store(Arc::new(next));
    }
}

fn in_order(mut replicas: Vec<Arc<Replica>>, key: u64, now: Instant) -> Vec<Arc<Replica>> {
    replicas.sort_by_cached_key(|replica| Reverse(weight(key, &replica.address)));
    let probing = replicas
        .first()
        .is_some_and(|first| first.health().begin_probe(now));
    replicas[usize::from(probing)..]
        .sort_by_cached_key(|replica| replica.health().standing(now) != Standing::Trusted);
    replicas
}

/// Ejects replicas that are far slower than their peers. If most are slow, none is: there is nowhere better to go.
fn judge_paces(replicas: &[Arc<Replica>], now: Instant) {
    let paces: Vec<_> = replicas
        .iter()
        .map(|replica| replica.health().pace())
        .collect();
    for (place, replica) in replicas.iter().enumerate() {
        let peers = paces.iter().enumerate().filter(|(peer, _)| *peer != place);
        let Some(middle) = middle(peers.filter_map(|(_, pace)| *pace).collect()) else {
            continue;
        };
        if replica.health().judge(middle, now) == Change::Ejected {
            tracing::warn!(
                replica = replica.address,
                peers_seconds = middle,
                "a replica answers far more slowly than its peers; others are asked first until it is quick again"
            );
        }
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
    use super::super::health::MIN_EJECTION;
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

    fn three() -> Vec<Arc<Replica>> {
        let replica = |name: &str| {
            let channel = Channel::from_static("http://127.0.0.1:1").connect_lazy();
            Arc::new(Replica::new(name.to_owned(), channel))
        };
        ["a:1", "b:1", "c:1"].map(replica).into()
    }

    fn order(replicas: &[Arc<Replica>], now: Instant) -> Vec<String> {
        let order = in_order(replicas.to_vec(), 7, now).into_iter();
        order.map(|replica| replica.address.clone()).collect()
    }

    #[tokio::test]
    async fn a_replica_that_fails_is_asked_last_until_one_call_has_found_that_it_answers() {
        let (replicas, now) = (three(), Instant::now());
        let [first, second, third] = order(&replicas, now).try_into().unwrap();
        let failing = replicas.iter().find(|replica| replica.address == first);
        let failing = failing.unwrap();
        failing.failed(now);
        let without = [second.clone(), third.clone(), first.clone()];
        assert_eq!(order(&replicas, now), without);
        let later = now + MIN_EJECTION;
        let with = [first, second, third];
        assert_eq!(order(&replicas, later), with, "the probe");
        assert_eq!(order(&replicas, later), without, "the others meanwhile");
        failing.answered(None);
        assert_eq!(order(&replicas, later), with);
    }

    #[tokio::test]
    async fn a_slow_replica_is_asked_last_and_a_service_that_is_slow_as_a_whole_is_left_as_it_is() {
        let (replicas, now) = (three(), Instant::now());
        let before = order(&replicas, now);
        let pace = |slow: &dyn Fn(&str) -> bool| {
            for replica in &replicas {
                let took_ms = if slow(&replica.address) { 900 } else { 10 };
                (0..80).for_each(|_| replica.answered(Some(Duration::from_millis(took_ms))));
            }
            judge_paces(&replicas, now);
        };
        pace(&|_| true);
        assert_eq!(order(&replicas, now), before);
        pace(&|address| address == before[0]);
        assert_eq!(order(&replicas, now)[2], before[0]);
    }
}
