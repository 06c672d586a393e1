use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tidegate_auth::{Identity, PeerRequirement, TlsIdentity};
use tidegate_rpc::server::{
    AccessRules, CallHandlers, CallLayer, CallMetrics, CallPolicy, DatabaseLook, Listener,
    ReplicaStatus, serve, standard_routes,
};
use tidegate_telemetry::Registry;
use tidegate_types::Timestamp;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;

use crate::{HostSettings, ProcessorWait, Supervisor, admin::Admin, program::Failure};

/// What a service is given to be built with.
pub struct Host {
    /// Its settings.
    pub settings: HostSettings,
    /// Where its metrics go.
    pub registry: Registry,
    /// Its certificate.
    pub tls: Arc<TlsIdentity>,
    /// Cancelled when the process begins to stop.
    pub stop: CancellationToken,
    /// Runs what has to run as long as the process.
    pub supervisor: Supervisor,
    /// How long work waits here for a processor.
    pub processor_wait: ProcessorWait,
    service: Identity,
    started_at: Timestamp,
    calls: CallMetrics,
}

/// A service that is ready to be served.
pub struct Service {
    /// Full names of its gRPC services.
    pub names: &'static [&'static str],
    /// Adds its gRPC services.
    pub routes: Box<dyn FnOnce(Routes) -> Routes + Send>,
    /// What answers calls that come over streams, if they may.
    pub of_streams: Option<CallHandlers>,
    /// Who may call what.
    pub access: AccessRules,
    /// Calls in flight at once.
    pub max_in_flight: usize,
    /// Looks at its database, if it has one, for staff who ask how the replica is.
    pub database: Option<DatabaseLook>,
    /// True once it can serve; it stays not ready until then.
    pub ready: watch::Receiver<bool>,
    /// Runs after the last call has been answered: flushes and gives back what it holds.
    pub finish: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Host {
    /// Reads the certificate and starts metrics.
    pub fn prepare(
        service: Identity,
        settings: HostSettings,
        peers: PeerRequirement,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        let tls = Arc::new(TlsIdentity::load(&settings.tls, peers)?);
        let mut supervisor = Supervisor::default();
        supervisor.start(
            "certificate reloader",
            Arc::clone(&tls).keep_fresh(settings.tls.clone(), peers),
        );
        let mut registry = Registry::default();
        let processor_wait = ProcessorWait::register(&mut registry);
        let measuring = processor_wait.clone().measure();
        supervisor.start("measurer of the wait for a processor", measuring);
        let calls = CallMetrics::register(&mut registry);
        Ok(Self {
            settings,
            registry,
            tls,
            stop,
            supervisor,
            processor_wait,
            service,
            started_at: Timestamp::now_utc(),
            calls,
        })
    }

    /// Serves until `stop`, or until a task ends that the process lives by. Then drains: says NOT_SERVING, waits for callers to go elsewhere, finishes calls in flight, and lets the service finish.
    pub async fn serve(self, service: Service) -> Result<(), Failure> {
        let Self {
            settings,
            registry,
            tls,
            stop,
            mut supervisor,
            service: identity,
            started_at,
            calls,
            ..
        } = self;
        let admin = Admin::new(registry);
        supervisor.start("admin port", admin.serve(settings.admin_listen).await?);
        let listener = Listener::bind(settings.listen)
            .await?
            .limited(settings.connections);
        let shown = admin.clone();
        let status = ReplicaStatus {
            service: identity.name(),
            replica: settings.replica.clone(),
            started_at,
            tls: Arc::clone(&tls),
            is_serving: admin.ready(),
            database: service.database,
            metrics: Arc::new(move || shown.metrics().unwrap_or_default()),
        };
        let (routes, health) =
            standard_routes(tidegate_proto::FILE_DESCRIPTOR_SET, service.names).await?;
        let policy = CallPolicy {
            access: service.access,
            max_in_flight: service.max_in_flight,
            sampling: settings.sampling,
            metrics: calls,
        };
        let stop_accepting = CancellationToken::new();
        tracing::info!(address = %listener.address(), admin = %settings.admin_listen, replica = %settings.replica, "listening");
        let mut server = tokio::spawn(serve(
            listener,
            tls,
            CallLayer::new(policy).with_streams(service.of_streams),
            (service.routes)(routes.add_service(status.into_server())),
            stop_accepting.clone(),
        ));

        let mut ready = service.ready;
        let announce = async {
            // An error means that the service is gone, and then it is not ready.
            if ready.wait_for(|ready| *ready).await.is_ok() {
                set_health(&health, service.names, ServingStatus::Serving).await;
                admin.set_ready(true);
                tracing::info!("serving");
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            // Tasks end when they are told to stop.
            biased;
            () = stop.cancelled() => {}
            ended = &mut server => return Ok(ended?),
            ended = supervisor.failed() => return Err(ended.into()),
            () = announce => {}
        }

        tracing::info!("draining");
        set_health(&health, service.names, ServingStatus::NotServing).await;
        admin.set_ready(false);
        sleep(settings.lame_duck).await;
        stop_accepting.cancel();
        drain(settings.drain, server, service.finish).await;
        drop(supervisor);
        Ok(())
    }
}

/// Lets calls in flight end, and then the service's own work, each for as long as a drain may last.
async fn drain<T>(limit: Duration, mut server: JoinHandle<T>, finish: impl Future<Output = ()>) {
    if timeout(limit, &mut server).await.is_err() {
        tracing::warn!("some calls were still in flight at the end of the drain and were cut off");
        server.abort();
    }
    if timeout(limit, finish).await.is_err() {
        tracing::warn!(
            "the service did not finish its own work within the drain; what it held is reclaimed later"
        );
    }
}

async fn set_health(
    health: &tonic_health::server::HealthReporter,
    names: &[&str],
    status: ServingStatus,
) {
    for name in names.iter().chain(&[""]) {
        health.set_service_status(*name, status).await;
    }
}
