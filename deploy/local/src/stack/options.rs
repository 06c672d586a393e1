//! What a stack is asked to be.

use std::path::PathBuf;

use crate::service::Service;

/// What a stack is asked to be. [`StackOptions::new`] is the default of the command line.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The folder for everything: data, credentials, logs.
    pub data: PathBuf,
    pub reset: bool,
    /// The first of the ports used, one after the other; none takes free ones.
    pub base_port: Option<u16>,
    pub quota_replicas: u16,
    pub issuance_replicas: u16,
    pub order_intake_replicas: u16,
    pub gateway_replicas: u16,
    /// The lanes of the databases; fixed once they are made.
    pub lanes: u16,
    /// Where services send their spans; nowhere if none.
    pub otlp_endpoint: Option<String>,
    /// The share of calls traced that bring no decision of their own, 0 to 1.
    pub trace_sample_ratio: f64,
    pub log_filter: String,
    /// How long a service may take to finish what it has begun when it is asked to end.
    pub drain_ms: u64,
    /// Database connections for others than these replicas: who looks, pgbench, replicas that are added later.
    pub other_connections: u32,
    /// Starts PostgreSQL without durability, for the test that proves that the services refuse it.
    pub fsync_off: bool,
    /// What the names of the databases begin with; tests that share a server choose their own.
    pub database_prefix: String,
    /// Variables for every replica of a service, set after the usual ones; none takes one away.
    pub variables: Vec<(Service, String, Option<String>)>,
    /// Told of every step that takes time.
    pub say: fn(&str),
}

impl StackOptions {
    /// The default stack in a folder: two replicas of issuance and of the gateway, four lanes, free ports.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            reset: false,
            base_port: None,
            quota_replicas: 1,
            issuance_replicas: 2,
            order_intake_replicas: 1,
            gateway_replicas: 2,
            lanes: 4,
            otlp_endpoint: None,
            trace_sample_ratio: 0.01,
            log_filter: "info".to_owned(),
            drain_ms: 5_000,
            other_connections: 100,
            fsync_off: false,
            database_prefix: "tidegate".to_owned(),
            variables: Vec::new(),
            say: |_| (),
        }
    }

    pub fn replicas_of(&self, service: Service) -> u16 {
        match service {
            Service::Quota => self.quota_replicas,
            Service::Issuance => self.issuance_replicas,
            Service::OrderIntake => self.order_intake_replicas,
            Service::Gateway => self.gateway_replicas,
        }
    }

    pub(super) fn log_file(&self, name: &str) -> PathBuf {
        self.data.join(format!("logs/{name}.log"))
    }
}
