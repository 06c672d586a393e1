use std::sync::Arc;

use tidegate_auth::TokenSettings;
use tidegate_pg::{Database, DatabaseUnusable};
use tidegate_runtime::{Environment, read_token_settings};
use tidegate_types::Lanes;

use crate::coupon_keys::{CouponKeys, CouponKeysUnusable};

/// What issuance is told, beside what every service is told.
pub struct Config {
    pub database: Database,
    pub migrate_on_start: bool,
    pub lanes: Lanes,
    pub quota_addresses: Vec<String>,
    pub tokens: TokenSettings,
    pub coupon_keys: Arc<CouponKeys>,
    pub queue_capacity: usize,
    pub max_batch: usize,
    /// Connections for reads, leases and what goes on in the background; each lane has one more of its own.
    pub read_connections: u32,
    pub max_in_flight: usize,
}

impl Config {
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = environment.required("TIDEGATE_DATABASE_URL", |url| {
            Database::parse(url, "tidegate-issuance")
                .map_err(|error: DatabaseUnusable| error.to_string())
        });
        let migrate_on_start = environment.flag("TIDEGATE_MIGRATE_ON_START", false);
        let lanes = environment.lanes();
        let quota_addresses = environment.addresses("TIDEGATE_QUOTA_ADDRESSES");
        let tokens = read_token_settings(environment);
        let coupon_keys = environment.required("TIDEGATE_COUPON_KEYS_FILE", |file| {
            CouponKeys::load(file)
                .map_err(|error: CouponKeysUnusable| format!("names a file of no use: {error}"))
        });
        let queue_capacity = environment.number("TIDEGATE_QUEUE_CAPACITY", 20_000, 1, 1_000_000);
        let max_batch = environment.number("TIDEGATE_MAX_BATCH", 1_000, 1, 5_000);
        let read_connections = environment.number(
            "TIDEGATE_READ_CONNECTIONS",
            8,
            crate::BACKGROUND_CONNECTIONS + 1,
            200,
        );
        let max_in_flight = environment.number("TIDEGATE_MAX_IN_FLIGHT", 4_000, 1, 100_000);
        Some(Self {
            database: database?,
            migrate_on_start: migrate_on_start?,
            lanes: lanes?,
            quota_addresses: quota_addresses?,
            tokens: tokens?,
            coupon_keys: Arc::new(coupon_keys?),
            queue_capacity: queue_capacity?,
            max_batch: max_batch?,
            read_connections: read_connections?,
            max_in_flight: max_in_flight?,
        })
    }
}
