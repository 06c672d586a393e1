use tidegate_auth::TokenSettings;
use tidegate_pg::Database;
use tidegate_runtime::{Environment, read_token_settings};
use tidegate_types::Lanes;

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
        let retention_days = environment.number("TIDEGATE_ORDER_RETENTION_DAYS", 30, 1, 3_650);
        let open_orders = environment.number("TIDEGATE_OPEN_ORDERS_PER_SHOPPER", 20, 1, 10_000);
        let tokens = read_token_settings(environment);
        Some(Self {
            database: database?,
            migrate_on_start: migrate_on_start?,
            lanes: lanes?,
            issuance: issuance?,
            retention_days: retention_days?,
            open_orders_per_shopper: open_orders?,
            tokens: tokens?,
        })
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
        let faults = environment.into_faults();
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
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
