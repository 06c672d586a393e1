use std::{fs, sync::Arc};

use tidegate_auth::{TokenSettings, TokenVerifier};
use tidegate_runtime::{Environment, read_token_settings};
use tidegate_types::{Keyring, Lanes};

/// What the gateway is told, beside what every service is told.
pub struct Config {
    /// How many lanes issuance and order-intake have.
    pub lanes: Lanes,
    pub quota_addresses: Vec<String>,
    pub issuance_addresses: Vec<String>,
    pub order_intake_addresses: Vec<String>,
    pub tokens: TokenSettings,
    /// Whether claims that cannot be served at once may wait; otherwise they are served as they
    /// come, or refused.
    pub waiting_room: bool,
    /// The keys that tickets are signed with, the same in every gateway.
    pub ticket_keys: Keyring,
    pub shopper_rate_per_second: u32,
    /// How often the bearers of one token subject may call each second.
    pub caller_rate_per_second: u32,
    pub max_in_flight: usize,
    pub max_claims: usize,
    /// Orders being placed at once; claims cannot keep them out.
    pub max_orders: usize,
    pub max_reads: usize,
    pub max_watches: usize,
    pub max_claim_watches: usize,
    /// Calls that one lane has in flight at issuance at once; what comes meanwhile gathers into the
    /// next.
    pub calls_per_lane: usize,
}

impl Config {
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let lanes = environment.lanes();
        let quota_addresses = environment.addresses("TIDEGATE_QUOTA_ADDRESSES");
        let issuance_addresses = environment.addresses("TIDEGATE_ISSUANCE_ADDRESSES");
        let order_intake_addresses = environment.addresses("TIDEGATE_ORDER_INTAKE_ADDRESSES");
        let tokens = read_token_settings(environment);
        let waiting_room =
            environment.optional("TIDEGATE_WAITING_ROOM", true, |value| match value {
                "on" => Ok(true),
                "off" => Ok(false),
                _ => Err("must be on or off"),
            });
        let ticket_keys = environment.required("TIDEGATE_TICKET_KEY_FILE", |file| {
            let json = fs::read_to_string(file)
                .map_err(|error| format!("names a file that cannot be read: {error}"))?;
            Keyring::from_json(&json)
                .map_err(|error| format!("names a file that cannot be used: {error}"))
        });
        let shopper_rate = environment.number("TIDEGATE_SHOPPER_RATE_PER_SECOND", 10, 1, 1_000_000);
        let caller_rate =
            environment.number("TIDEGATE_CALLER_RATE_PER_SECOND", 50_000, 1, 10_000_000);
        let max_in_flight = environment.number("TIDEGATE_MAX_IN_FLIGHT", 40_000, 1, 1_000_000);
        let max_claims = environment.number("TIDEGATE_MAX_CLAIMS", 20_000, 1, 1_000_000);
        let max_orders = environment.number("TIDEGATE_MAX_ORDERS", 10_000, 1, 1_000_000);
        let max_reads = environment.number("TIDEGATE_MAX_READS", 5_000, 1, 1_000_000);
        let max_watches = environment.number("TIDEGATE_MAX_WATCHES", 5_000, 1, 1_000_000);
        let max_claim_watches =
            environment.number("TIDEGATE_MAX_CLAIM_WATCHES", 20_000, 1, 1_000_000);
        let calls_per_lane = environment.number("TIDEGATE_CALLS_PER_LANE", 4, 1, 64);
        Some(Self {
            lanes: lanes?,
            quota_addresses: quota_addresses?,
            issuance_addresses: issuance_addresses?,
            order_intake_addresses: order_intake_addresses?,
            tokens: tokens?,
            waiting_room: waiting_room?,
            ticket_keys: ticket_keys?,
            shopper_rate_per_second: shopper_rate?,
            caller_rate_per_second: caller_rate?,
            max_in_flight: max_in_flight?,
            max_claims: max_claims?,
            max_orders: max_orders?,
            max_reads: max_reads?,
            max_watches: max_watches?,
            max_claim_watches: max_claim_watches?,
            calls_per_lane: calls_per_lane?,
        })
    }

    /// Reads the keys that may sign tokens.
    pub fn token_verifier(&self) -> Result<Arc<TokenVerifier>, tidegate_auth::JwksUnusable> {
        Ok(Arc::new(TokenVerifier::load(self.tokens.clone())?))
    }
}
