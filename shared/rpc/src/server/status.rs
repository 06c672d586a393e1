//! How this replica is, for staff: every service offers it beside its own calls.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tidegate_auth::TlsIdentity;
use tidegate_proto::status::v1::{
    DatabaseStatus, GetMetricsRequest, GetMetricsResponse, GetStatusRequest, GetStatusResponse,
    status_service_server::{StatusService, StatusServiceServer},
};
use tidegate_types::{DatabaseState, Reason, Refusal, ReplicaId, Timestamp};
use tonic::{Request, Response, Status};

use super::Rule;
use crate::{MAX_MESSAGE_BYTES, access_rules, refusal::to_status, wire};

/// Who may ask: staff by their token, on every service.
pub(super) const RULES: &[Rule] = access_rules! {
    "tidegate.status.v1.StatusService" {
        GetStatus: Staff, token StatusRead;
        GetMetrics: Staff, token StatusRead;
    }
};

/// Looks at the service's database; the error says in a sentence what is wrong with it.
pub type DatabaseLook = Arc<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<DatabaseState, String>> + Send>> + Send + Sync,
>;

/// What a replica tells of itself.
#[derive(Clone)]
pub struct ReplicaStatus {
    /// Such as `quota`.
    pub service: &'static str,
    /// Which replica of it.
    pub replica: ReplicaId,
    /// When the process began.
    pub started_at: Timestamp,
    /// The certificate that it serves with.
    pub tls: Arc<TlsIdentity>,
    /// True as long as it can serve.
    pub is_serving: Arc<AtomicBool>,
    /// Its database, if it has one.
    pub database: Option<DatabaseLook>,
    /// All its metrics as text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl ReplicaStatus {
    /// The gRPC service that tells it.
    pub fn into_server(self) -> StatusServiceServer<Self> {
        StatusServiceServer::new(self).max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl StatusService for ReplicaStatus {
    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let database = match &self.database {
            Some(look) => Some(database_status(look().await)),
            None => None,
        };
        Ok(Response::new(GetStatusResponse {
            service: self.service.to_owned(),
            replica_id: self.replica.as_str().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(wire::timestamp(self.started_at)),
            now: Some(wire::timestamp(Timestamp::now_utc())),
            is_serving: self.is_serving.load(Ordering::Relaxed),
            certificate_ends_at: Some(wire::timestamp(self.tls.ends_at().into())),
            database,
        }))
    }

    async fn get_metrics(
        &self,
        _request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let text = (self.metrics)();
        if text.len() >= MAX_MESSAGE_BYTES {
            let refusal = Refusal::never(Reason::Overloaded);
            let detail = "the metrics do not fit into a message; read /metrics on the admin port";
            return Err(to_status(&refusal.with("detail", detail)));
        }
        Ok(Response::new(GetMetricsResponse { text }))
    }
}

fn database_status(looked: Result<DatabaseState, String>) -> DatabaseStatus {
    match looked {
        Ok(state) => DatabaseStatus {
            is_reachable: true,
            round_trip_us: u64::try_from(state.round_trip.as_micros()).unwrap_or(u64::MAX),
            problem: String::new(),
            server_version: state.server_version,
            schema_version: state.schema_version,
            program_schema_version: state.program_schema_version,
            change_log_is_protected: state.change_log_is_protected,
        },
        Err(problem) => DatabaseStatus {
            problem,
            ..DatabaseStatus::default()
        },
    }
}
