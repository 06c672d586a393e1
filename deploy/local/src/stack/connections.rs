//! How many database connections the suite takes.

use super::{Service, StackOptions};

/// Those that one replica takes at most, as its README says.
pub fn connections_of(service: Service, lanes: u16) -> u32 {
    let lanes = u32::from(lanes);
    match service {
        Service::Gateway => 0,
        Service::Quota => 16,
        Service::Issuance => lanes + 8,
        Service::OrderIntake => 2 * lanes + 8,
    }
}

/// What the server must have room for.
pub(super) fn max_connections(options: &StackOptions) -> u32 {
    let of_services = Service::START_ORDER.map(|service| {
        u32::from(options.replicas_of(service)) * connections_of(service, options.lanes)
    });
    of_services.iter().sum::<u32>() + options.other_connections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_readme_says_how_many_connections_a_replica_takes() {
        let quota = include_str!("../../../../services/quota/README.md");
        let issuance = include_str!("../../../../services/issuance/README.md");
        let order_intake = include_str!("../../../../services/order-intake/README.md");
        let readmes = [
            (Service::Quota, quota),
            (Service::Issuance, issuance),
            (Service::OrderIntake, order_intake),
        ];
        for (service, readme) in readmes {
            let constant = connections_of(service, 0);
            let formula = match connections_of(service, 1) - constant {
                0 => constant.to_string(),
                1 => format!("lanes + {constant}"),
                each => format!("{each} × lanes + {constant}"),
            };
            let sentence = format!("A replica takes at most `{formula}` database connections");
            assert!(readme.contains(&sentence), "{}: {sentence}", service.name());
        }
    }
}
