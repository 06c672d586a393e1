use std::fmt;

use tidegate_auth::TokenSettings;
use tidegate_pg::Database;
use tidegate_runtime::{Environment, read_token_settings};
use tidegate_types::Lanes;

const DEFAULT_RETENTION_DAYS: u16 = 30;
const MAX_RETENTION_DAYS: u16 = 3_650;
const DEFAULT_OPEN_ORDERS: u16 = 20;
const MAX_OPEN_ORDERS: u16 = 10_000;

/// What order-intake is told beyond what every service is.
pub struct Config {
    pub database: Database,
    /// Whether `serve` applies missing migrations itself.
    pub migrate_on_start: bool,
    pub lanes: Lanes,
    pub issuance: Vec<String>,
    pub retention_days: u16,
    /// How many orders a shopper may have that are still to be made.
    pub open_orders_per_shopper: u16,
    /// What the tokens of staff must say.
    pub tokens: TokenSettings,
}

impl Config {
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = environment.required("TIDEGATE_DATABASE_URL", |url| {
            Database::parse(url, "tidegate-order-intake")
                .map_err(|_| "must be of the form postgres://role:password@host:port/database")
        });
        let migrate_on_start = environment.flag("TIDEGATE_MIGRATE_ON_START", false);
        let lanes = environment.lanes();
        let issuance = environment.addresses("TIDEGATE_ISSUANCE_ADDRESSES");
        let retention_days = environment.number(
            "TIDEGATE_ORDER_RETENTION_DAYS",
            DEFAULT_RETENTION_DAYS,
            1,
            MAX_RETENTION_DAYS,
        );
        let open_orders_per_shopper = environment.number(
            "TIDEGATE_OPEN_ORDERS_PER_SHOPPER",
            DEFAULT_OPEN_ORDERS,
            1,
            MAX_OPEN_ORDERS,
        );
        let tokens = read_token_settings(environment);
        Some(Self {
            database: database?,
            migrate_on_start: migrate_on_start?,
            lanes: lanes?,
            issuance: issuance?,
            retention_days: retention_days?,
            open_orders_per_shopper: open_orders_per_shopper?,
            tokens: tokens?,
        })
    }
}

impl fmt::Debug for Config {
    /// Without the database, whose URL holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("migrate_on_start", &self.migrate_on_start)
            .field("lanes", &self.lanes)
            .field("issuance", &self.issuance)
            .field("retention_days", &self.retention_days)
            .field("open_orders_per_shopper", &self.open_orders_per_shopper)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_noted_and_the_password_is_not_repeated() {
        let variables = [
            ("TIDEGATE_DATABASE_URL", "secret without a scheme"),
            ("TIDEGATE_LANES", "0"),
            ("TIDEGATE_ISSUANCE_ADDRESSES", "issuance"),
            ("TIDEGATE_ORDER_RETENTION_DAYS", "0"),
            ("TIDEGATE_OPEN_ORDERS_PER_SHOPPER", "0"),
        ];
        let mut environment =
            Environment::from_variables(variables.map(|(key, value)| (key.into(), value.into())));
        assert!(Config::read(&mut environment).is_none());
        let faults: Vec<_> = environment
            .into_faults()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            faults,
            [
                "TIDEGATE_DATABASE_URL must be of the form postgres://role:password@host:port/database",
                "TIDEGATE_LANES must be a number from 1 to 1024",
                "TIDEGATE_ISSUANCE_ADDRESSES must be a list of host:port, separated by commas",
                "TIDEGATE_ORDER_RETENTION_DAYS must be a number from 1 to 3650",
                "TIDEGATE_OPEN_ORDERS_PER_SHOPPER must be a number from 1 to 10000",
                "TIDEGATE_JWKS_FILE must be set",
                "TIDEGATE_JWT_ISSUER must be set",
                "TIDEGATE_JWT_AUDIENCE must be set",
            ]
        );
    }
}
