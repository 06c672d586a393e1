//! Issuance as a whole in this process, over mutual TLS: its own database, a quota, and clients of several identities.

mod calls;
pub mod quota;
mod staff;

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use tidegate_auth::Identity;
use tidegate_issuance::{build, config::Config, coupon_keys::CouponKeys, store::MIGRATIONS};
use tidegate_pg::Database;
use tidegate_proto::issuance::v1::{
    coupon_admin_service_client::CouponAdminServiceClient,
    issuance_service_client::IssuanceServiceClient,
    lease_fence_service_client::LeaseFenceServiceClient,
};
use tidegate_test_kit::{Credentials, Running, TestDatabase, metrics_page};
use tidegate_types::Lanes;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::{flaky_path::FlakyPath, lane::keys_json};
pub use calls::{claim_of, lane_of};
use quota::Quota;
pub use staff::{Staff, granted};

pub const LANES: u16 = 2;
/// How the ids of shoppers begin that [`Suite::fill`] gives coupons.
const FILLED: [&str; 3] = ["a-", "s-0-", "t-"];

/// What outlives a restart of issuance.
pub struct Suite {
    pub database: TestDatabase,
    pub quota: Quota,
    quota_address: SocketAddr,
    pub credentials: Arc<Credentials>,
}

pub struct Issuance(Running);

impl Suite {
    pub async fn start() -> Self {
        let credentials = Credentials::make();
        let (quota, quota_address) = Quota::start(&credentials).await;
        let suite = Self {
            database: TestDatabase::migrated(&MIGRATIONS).await,
            quota,
            quota_address,
            credentials,
        };
        suite.write_keys(1, &[1]);
        suite
    }

    fn keys_file(&self) -> PathBuf {
        self.credentials.folder().join("coupon-keys.json")
    }

    /// Changes the keys of coupons.
    pub fn write_keys(&self, active: u8, keys: &[u8]) {
        self.write_keys_file(&keys_json(active, keys));
    }

    pub fn write_keys_file(&self, text: &str) {
        // As Kubernetes does: never half of it.
        let new = self.credentials.folder().join("new-keys");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.keys_file()).unwrap();
    }

    /// Makes coupons that nobody claimed, so many in each lane, before, between and after the shoppers of the tests: those of [`filled`].
    pub async fn fill(&self, campaign_number: u32, coupons: u32) {
        let [before, between, after] = FILLED;
        let rows = format!(
            "INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
             SELECT lane, (ARRAY['{before}', '{between}', '{after}'])[1 + number % 3] || number, {campaign_number}, 1, 'r', 0, '00000000-0000-7000-8000-000000000001', 1, now(), now()
             FROM generate_series(0, {LANES} - 1) AS lane, generate_series(1, {coupons}) AS number"
        );
        self.database.execute(&rows).await;
    }

    /// Starts issuance, and waits until it can serve.
    pub async fn issuance(&self) -> Issuance {
        let database = self.database.open();
        self.start_issuance(database, self.quota_address).await
    }

    /// The same over a path of its own to the database.
    pub async fn issuance_over(&self, path: &FlakyPath) -> Issuance {
        let database = path.open(&self.database);
        self.start_issuance(database, self.quota_address).await
    }

    /// The same with a quota that does not answer.
    pub async fn issuance_without_quota(&self) -> Issuance {
        let nowhere = ([127, 0, 0, 1], 1).into();
        self.start_issuance(self.database.open(), nowhere).await
    }

    /// What follows on an issuance that stops, while quota does not answer.
    pub async fn restart_without_quota(&self, issuance: Issuance) -> Issuance {
        issuance.stop().await;
        self.issuance_without_quota().await
    }

    async fn start_issuance(&self, database: Database, quota: SocketAddr) -> Issuance {
        let config = Config {
            database,
            migrate_on_start: true,
            lanes: Lanes::new(LANES).unwrap(),
            quota_addresses: vec![quota.to_string()],
            tokens: self.credentials.token_settings(),
            coupon_keys: Arc::new(CouponKeys::load(self.keys_file()).unwrap()),
            queue_capacity: 1_000,
            max_batch: 100,
            read_connections: 8,
            max_in_flight: 100,
        };
        let build = |host| build(config, host);
        Issuance(Running::start(&self.credentials, Identity::Issuance, build).await)
    }
}

/// A suite, and an issuance of it that serves.
pub async fn serving() -> (Suite, Issuance) {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    (suite, issuance)
}

/// The shopper that [`Suite::fill`] gives a coupon of this number.
pub fn filled(number: u32) -> String {
    format!("{}{number}", FILLED[number as usize % FILLED.len()])
}

pub fn new_order() -> String {
    Uuid::new_v4().to_string()
}

impl Issuance {
    pub fn channel(&self, identity: Identity) -> Channel {
        self.0.channel(identity)
    }

    pub fn issuance(&self, identity: Identity) -> IssuanceServiceClient<Channel> {
        IssuanceServiceClient::new(self.channel(identity))
    }

    pub fn fence(&self) -> LeaseFenceServiceClient<Channel> {
        LeaseFenceServiceClient::new(self.channel(Identity::Quota))
    }

    pub fn coupon_admin(&self) -> CouponAdminServiceClient<Channel> {
        CouponAdminServiceClient::new(self.channel(Identity::Staff))
    }

    /// The value of a metric; 0 if it has none yet.
    pub fn metric(&self, name: &str) -> u64 {
        let page = metrics_page(&self.0.host.registry);
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Ends as a process that is asked to: gives back what it holds.
    pub async fn stop(mut self) {
        self.0.finish().await;
    }
}
