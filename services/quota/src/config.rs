use std::{fmt, time::Duration};

use tidegate_auth::TokenSettings;
use tidegate_pg::Database;
use tidegate_runtime::{Environment, read_token_settings};

const DEFAULT_LEASE_TTL_MS: u64 = 10_000;
const DEFAULT_AUDIT_INTERVAL_MS: u64 = 60_000;
const DEFAULT_LEASE_RETENTION_DAYS: u32 = 90;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What the quota service is told, beside what every service is.
pub struct Config {
    /// Where campaigns, stock and leases are kept.
    pub database: Database,
    /// Whether `serve` applies missing migrations itself; otherwise it refuses to start without them.
    pub migrate_on_start: bool,
    /// What staff's tokens must say.
    pub tokens: TokenSettings,
    pub issuance_addresses: Vec<String>,
    /// Leases of a holder that is silent for about this long are sealed.
    pub lease_ttl: Duration,
    /// The pause between two audits of the watched campaigns.
    pub audit_interval: Duration,
    /// Leases are kept for so long after their campaign's end.
    pub lease_retention: Duration,
}

impl Config {
    /// Reads the settings; faults are noted in the environment.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = environment.required("TIDEGATE_DATABASE_URL", |url| {
            Database::parse(url, "tidegate-quota")
                .map_err(|_| "must have the form postgres://role:password@host:port/database")
        });
        let migrate_on_start = environment.flag("TIDEGATE_MIGRATE_ON_START", false);
        let tokens = read_token_settings(environment);
        let issuance_addresses = environment.addresses("TIDEGATE_ISSUANCE_ADDRESSES");
        let lease_ttl = environment.milliseconds(
            "TIDEGATE_LEASE_TTL_MS",
            DEFAULT_LEASE_TTL_MS,
            1_000,
            600_000,
        );
        let audit_interval = environment.milliseconds(
            "TIDEGATE_AUDIT_INTERVAL_MS",
            DEFAULT_AUDIT_INTERVAL_MS,
            1_000,
            86_400_000,
        );
        let lease_retention_days = environment.number(
            "TIDEGATE_LEASE_RETENTION_DAYS",
            DEFAULT_LEASE_RETENTION_DAYS,
            1,
            3_650,
        );
        Some(Self {
            database: database?,
            migrate_on_start: migrate_on_start?,
            tokens: tokens?,
            issuance_addresses: issuance_addresses?,
            lease_ttl: lease_ttl?,
            audit_interval: audit_interval?,
            lease_retention: DAY * lease_retention_days?,
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The database's URL holds a password.
        f.debug_struct("Config")
            .field("migrate_on_start", &self.migrate_on_start)
            .field("tokens", &self.tokens)
            .field("issuance_addresses", &self.issuance_addresses)
            .field("lease_ttl", &self.lease_ttl)
            .field("audit_interval", &self.audit_interval)
            .field("lease_retention", &self.lease_retention)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_setting_is_named_and_the_password_is_not_shown() {
        let mut environment = Environment::from_variables([(
            "TIDEGATE_DATABASE_URL".into(),
            "postgres://tidegate_quota:secret@".into(),
        )]);
        assert!(Config::read(&mut environment).is_none());
        let faults: Vec<_> = environment
            .into_faults()
            .iter()
            .map(ToString::to_string)
            .collect();
        let all = faults.join("\n");
        for variable in [
            "TIDEGATE_DATABASE_URL",
            "TIDEGATE_JWKS_FILE",
            "TIDEGATE_JWT_ISSUER",
            "TIDEGATE_JWT_AUDIENCE",
            "TIDEGATE_ISSUANCE_ADDRESSES",
        ] {
            assert!(all.contains(variable), "{all}");
        }
        assert!(!all.contains("secret"), "{all}");
    }
}
