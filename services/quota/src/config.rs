use std::time::Duration;

use tidegate_auth::TokenSettings;
use tidegate_pg::Database;
use tidegate_runtime::{Environment, read_token_settings};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What the quota service is told, beside what every service is.
pub struct Config {
    pub database: Database,
    /// Whether `serve` applies missing migrations itself; otherwise it refuses to start without them.
    pub migrate_on_start: bool,
    pub tokens: TokenSettings,
    pub issuance_addresses: Vec<String>,
    /// Leases of a lease holder that is silent for about this long are sealed.
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
        let (variable, default, max) = ("TIDEGATE_LEASE_TTL_MS", 10_000, 600_000);
        let lease_ttl = environment.milliseconds(variable, default, 1_000, max);
        let (variable, default, max) = ("TIDEGATE_AUDIT_INTERVAL_MS", 60_000, 86_400_000);
        let audit_interval = environment.milliseconds(variable, default, 1_000, max);
        let retention_days = environment.number("TIDEGATE_LEASE_RETENTION_DAYS", 90, 1, 3_650);
        Some(Self {
            database: database?,
            migrate_on_start: migrate_on_start?,
            tokens: tokens?,
            issuance_addresses: issuance_addresses?,
            lease_ttl: lease_ttl?,
            audit_interval: audit_interval?,
            lease_retention: DAY * retention_days?,
        })
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
        let faults = environment.into_faults();
        let all: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
        let names = "DATABASE_URL JWKS_FILE JWT_ISSUER JWT_AUDIENCE ISSUANCE_ADDRESSES";
        for name in names.split(' ') {
            assert!(all.contains(&format!("TIDEGATE_{name}")), "{all}");
        }
        assert!(!all.contains("secret"), "{all}");
    }
}
