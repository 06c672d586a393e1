//! Issuance as a whole in this process, over mutual TLS: its own database, a quota, and clients of several identities.

mod calls;
mod certificates;
pub mod quota;
mod staff;
mod tokens;

use std::{
    fs,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tempfile::TempDir;
use tidegate_auth::{Identity, PeerRequirement, TlsIdentity, TokenSettings};
use tidegate_issuance::{build, config::Config, coupon_keys::CouponKeys};
use tidegate_pg::Database;
use tidegate_proto::issuance::v1::{
    coupon_admin_service_client::CouponAdminServiceClient,
    issuance_service_client::IssuanceServiceClient,
    lease_fence_service_client::LeaseFenceServiceClient,
};
use tidegate_rpc::{
    client::channel,
    server::{CallLayer, CallMetrics, CallPolicy, ConnectionLimits, Listener, serve},
};
use tidegate_runtime::{Host, HostSettings, Service};
use tidegate_telemetry::Registry;
use tidegate_types::{Lanes, ReplicaId};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Channel};

use crate::{database::TestDatabase, flaky_path::FlakyPath};
pub use calls::{claim_of, lane_of};
use quota::Quota;
pub use staff::{Staff, granted};
use tokens::TokenMint;

pub const LANES: u16 = 2;
/// A condition that is not met for so long never will be.
const PATIENCE: Duration = Duration::from_secs(20);

/// What outlives a restart of issuance.
pub struct Suite {
    pub database: TestDatabase,
    pub quota: Quota,
    quota_address: SocketAddr,
    tokens: TokenMint,
    token_settings: TokenSettings,
    folder: TempDir,
}

pub struct Issuance {
    address: SocketAddr,
    folder: std::path::PathBuf,
    finish: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ready: tokio::sync::watch::Receiver<bool>,
    host: Host,
}

impl Suite {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates::make(folder.path());
        let (tokens, token_settings) = TokenMint::make(folder.path());
        let (quota, quota_address) = Quota::start(tls(folder.path(), Identity::Quota)).await;
        let suite = Self {
            database: TestDatabase::create().await.unwrap(),
            quota,
            quota_address,
            tokens,
            token_settings,
            folder,
        };
        suite.write_keys(1, &[1]);
        suite
    }

    fn keys_file(&self) -> PathBuf {
        self.folder.path().join("coupon-keys.json")
    }

    /// Changes the keys of coupons; each of them is a byte, repeated.
    pub fn write_keys(&self, active: u8, keys: &[u8]) {
        let keys = keys.iter().map(|key| {
            let secret = BASE64_STANDARD.encode([*key; 32]);
            (key.to_string(), serde_json::Value::String(secret))
        });
        let keys: serde_json::Map<_, _> = keys.collect();
        let json = serde_json::json!({ "active": active, "keys": keys });
        self.write_keys_file(&json.to_string());
    }

    pub fn write_keys_file(&self, text: &str) {
        // As Kubernetes does: never half of it.
        let new = self.folder.path().join("new-keys");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.keys_file()).unwrap();
    }

    /// Starts issuance, and waits until it can serve.
    pub async fn issuance(&self) -> Issuance {
        let database = self.database.open().unwrap();
        self.issuance_with(database, self.quota_address).await
    }

    /// The same over a path of its own to the database.
    pub async fn issuance_over(&self, path: &FlakyPath) -> Issuance {
        let database = path.open(&self.database).unwrap();
        self.issuance_with(database, self.quota_address).await
    }

    /// The same with a quota that does not answer.
    pub async fn issuance_without_quota(&self) -> Issuance {
        let database = self.database.open().unwrap();
        self.issuance_with(database, ([127, 0, 0, 1], 1).into())
            .await
    }

    async fn issuance_with(&self, database: Database, quota: SocketAddr) -> Issuance {
        let config = Config {
            database,
            migrate_on_start: true,
            lanes: Lanes::new(LANES).unwrap(),
            quota_addresses: vec![quota.to_string()],
            tokens: self.token_settings.clone(),
            coupon_keys: Arc::new(CouponKeys::load(self.keys_file()).unwrap()),
            queue_capacity: 1_000,
            max_batch: 100,
            read_connections: 8,
            max_in_flight: 100,
        };
        let host = Host::prepare(
            Identity::Issuance,
            settings(&self.folder),
            PeerRequirement::Certificate,
            CancellationToken::new(),
        );
        let (service, host) = build(config, host.unwrap()).await.unwrap();
        let mut issuance = listen(service, host, self.folder.path()).await;
        issuance.ready.wait_for(|ready| *ready).await.unwrap();
        issuance
    }
}

/// A suite, and an issuance of it that serves.
pub async fn serving() -> (Suite, Issuance) {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    (suite, issuance)
}

impl Issuance {
    pub fn channel(&self, identity: Identity) -> Channel {
        let tls = tls(&self.folder, identity);
        channel(&self.address.to_string(), Identity::Issuance, tls)
    }

    pub fn issuance(&self, identity: Identity) -> IssuanceServiceClient<Channel> {
        IssuanceServiceClient::new(self.channel(identity))
    }

    pub fn fence(&self, identity: Identity) -> LeaseFenceServiceClient<Channel> {
        LeaseFenceServiceClient::new(self.channel(identity))
    }

    pub fn coupon_admin(&self, identity: Identity) -> CouponAdminServiceClient<Channel> {
        CouponAdminServiceClient::new(self.channel(identity))
    }

    /// The value of a metric; 0 if it has none yet.
    pub fn metric(&self, name: &str) -> u64 {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.host.registry).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Ends as a process that is asked to: gives back what it holds.
    pub async fn stop(mut self) {
        self.host.stop.cancel();
        if let Some(finish) = self.finish.take() {
            finish.await;
        }
    }
}

/// Waits until a condition is met.
pub async fn eventually<T>(what: &str, mut met: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(seen) = met().await {
            return seen;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: not in {PATIENCE:?}");
}

async fn listen(service: Service, host: Host, folder: &std::path::Path) -> Issuance {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address();
    let policy = CallPolicy {
        access: service.access,
        max_in_flight: service.max_in_flight,
        tracing: host.tracing.clone(),
        metrics: CallMetrics::register(&mut Registry::default()),
    };
    tokio::spawn(serve(
        listener,
        Arc::clone(&host.tls),
        CallLayer::new(policy),
        (service.routes)(Routes::default()),
        CancellationToken::new(),
    ));
    Issuance {
        address,
        folder: folder.to_owned(),
        finish: Some(service.finish),
        ready: service.ready,
        host,
    }
}

fn tls(folder: &std::path::Path, identity: Identity) -> Arc<TlsIdentity> {
    let files = certificates::files(folder, identity);
    Arc::new(TlsIdentity::load(&files, PeerRequirement::Certificate).unwrap())
}

fn settings(folder: &TempDir) -> HostSettings {
    HostSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        replica: ReplicaId::parse("issuance-0").unwrap(),
        tls: certificates::files(folder.path(), Identity::Issuance),
        otlp_endpoint: None,
        trace_sample_ratio: 0.0,
        log_filter: "info".to_owned(),
        lame_duck: Duration::ZERO,
        drain: Duration::from_secs(10),
        connections: ConnectionLimits::default(),
    }
}
