//! The four services.

use crate::credentials::Identity;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    Quota,
    Issuance,
    OrderIntake,
    Gateway,
}

impl Service {
    /// Each after those it calls.
    pub const START_ORDER: [Self; 4] = [
        Self::Quota,
        Self::Issuance,
        Self::OrderIntake,
        Self::Gateway,
    ];

    /// Those that own a database.
    pub const WITH_DATABASE: [Self; 3] = [Self::Quota, Self::Issuance, Self::OrderIntake];

    /// Who it is to the others.
    pub fn identity(self) -> Identity {
        match self {
            Self::Quota => Identity::Quota,
            Self::Issuance => Identity::Issuance,
            Self::OrderIntake => Identity::OrderIntake,
            Self::Gateway => Identity::Gateway,
        }
    }

    /// The service's name, which its replicas' names begin with.
    pub fn name(self) -> &'static str {
        self.identity().name()
    }

    pub fn binary(self) -> String {
        format!("tidegate-{}", self.name())
    }

    /// The name of its database, and of the role that owns that.
    pub fn database(self, prefix: &str) -> String {
        format!("{prefix}_{}", self.name().replace('-', "_"))
    }
}
