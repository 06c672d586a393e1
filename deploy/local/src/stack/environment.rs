//! The environment of each service: the whole of its configuration.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Replica, Service, Stack, join};
use crate::credentials::{TOKEN_AUDIENCE, TOKEN_ISSUER};

impl Stack {
    /// The variables of a replica, the usual ones first and then what the options and tests changed.
    pub(super) fn environment_of(&self, replica: &Replica) -> BTreeMap<String, String> {
        let mut environment = self.usual_environment(replica);
        let chosen = self.options.variables.iter();
        let of_service = chosen.filter(|(service, ..)| *service == replica.service());
        let of_service = of_service.map(|(_, name, value)| (name, value));
        for (name, value) in of_service.chain(replica.variables()) {
            match value {
                Some(value) => environment.insert(name.clone(), value.clone()),
                None => environment.remove(name),
            };
        }
        environment
    }

    fn usual_environment(&self, replica: &Replica) -> BTreeMap<String, String> {
        let (options, credentials, service) = (&self.options, &self.credentials, replica.service());
        let identity = service.identity();
        let mut environment = BTreeMap::new();
        let mut set =
            |name: &str, value: String| environment.insert(format!("TIDEGATE_{name}"), value);
        let path = |file: PathBuf| file.display().to_string();
        set("LISTEN", replica.grpc_address().to_string());
        set("ADMIN_LISTEN", replica.admin_address().to_string());
        set("REPLICA_ID", replica.name().to_owned());
        set("TLS_CA_FILE", path(credentials.ca_file()));
        let certificate = credentials.certificate_file(identity);
        set("TLS_CERT_FILE", path(certificate));
        set("TLS_KEY_FILE", path(credentials.key_file(identity)));
        if let Some(endpoint) = &options.otlp_endpoint {
            set("OTLP_ENDPOINT", endpoint.clone());
        }
        set("TRACE_SAMPLE_RATIO", options.trace_sample_ratio.to_string());
        set("LOG", options.log_filter.clone());
        set("DRAIN_MS", options.drain_ms.to_string());
        set("JWKS_FILE", path(credentials.jwks_file()));
        set("JWT_ISSUER", TOKEN_ISSUER.to_owned());
        set("JWT_AUDIENCE", TOKEN_AUDIENCE.to_owned());
        if let Some(url) = self.database_url(service) {
            set("DATABASE_URL", url);
            set("MIGRATE_ON_START", "true".to_owned());
        }
        if service != Service::Quota {
            set("LANES", options.lanes.to_string());
        }
        match service {
            Service::Issuance => set("COUPON_KEYS_FILE", path(credentials.coupon_keys_file())),
            Service::Gateway => set("TICKET_KEY_FILE", path(credentials.ticket_keys_file())),
            Service::Quota | Service::OrderIntake => None,
        };
        for callee in callees(service) {
            let name = callee.name().to_uppercase().replace('-', "_");
            let addresses = join(&self.addresses(*callee)).replace(' ', "");
            set(&format!("{name}_ADDRESSES"), addresses);
        }
        environment
    }
}

fn callees(service: Service) -> &'static [Service] {
    match service {
        Service::Quota => &[Service::Issuance],
        Service::Issuance => &[Service::Quota],
        Service::OrderIntake => &[Service::Issuance],
        Service::Gateway => &[Service::Quota, Service::Issuance, Service::OrderIntake],
    }
}
