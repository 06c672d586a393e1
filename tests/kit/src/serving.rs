use std::{fmt::Debug, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use tidegate_auth::{Identity, PeerRequirement, TlsIdentity};
use tidegate_rpc::{
    client::channel,
    server::{
        AccessRules, CallLayer, CallMetrics, CallPolicy, ConnectionLimits, Listener, Rule, serve,
    },
};
use tidegate_runtime::{Host, HostSettings, Service};
use tidegate_telemetry::{Registry, Sampling};
use tidegate_types::ReplicaId;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Channel};

use crate::{Credentials, until};

/// A service as a whole in this process, its own work included. What it serves is served until the test ends.
pub struct Running {
    pub host: Host,
    pub address: SocketAddr,
    credentials: Arc<Credentials>,
    service: Identity,
    /// Begins and awaits the end of the service's own work, as a process does after its last call.
    finish: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Running {
    /// Builds a service and serves it once it can serve.
    pub async fn start<Built, E>(
        credentials: &Arc<Credentials>,
        service: Identity,
        build: impl FnOnce(Host) -> Built,
    ) -> Self
    where
        Built: Future<Output = Result<(Service, Host), E>>,
        E: Debug,
    {
        let settings = HostSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            admin_listen: ([127, 0, 0, 1], 0).into(),
            replica: ReplicaId::parse(format!("{service}-0")).unwrap(),
            tls: credentials.files(service),
            otlp_endpoint: None,
            sampling: Sampling::default(),
            log_filter: "info".to_owned(),
            lame_duck: Duration::ZERO,
            drain: Duration::from_secs(10),
            connections: ConnectionLimits::default(),
        };
        let (peers, stop) = (PeerRequirement::Certificate, CancellationToken::new());
        let host = Host::prepare(service, settings, peers, stop).unwrap();
        let (built, host) = build(host).await.unwrap();
        let (tls, routes) = (Arc::clone(&host.tls), (built.routes)(Routes::default()));
        let policy = CallPolicy {
            access: built.access,
            max_in_flight: built.max_in_flight,
            sampling: host.settings.sampling,
            metrics: CallMetrics::register(&mut Registry::default()),
        };
        let address = listen(tls, policy, routes).await;
        until("it can serve", async || *built.ready.borrow()).await;
        Self {
            host,
            address,
            credentials: Arc::clone(credentials),
            service,
            finish: Some(built.finish),
        }
    }

    /// A connection of its own to the service.
    pub fn channel(&self, client: Identity) -> Channel {
        let tls = self.credentials.tls(client);
        channel(&self.address.to_string(), self.service, tls)
    }

    /// Ends the service's own work as the end of its process does.
    pub async fn finish(&mut self) {
        self.host.stop.cancel();
        if let Some(finish) = self.finish.take() {
            finish.await;
        }
    }
}

/// Serves one who stands in for a service until the test ends.
pub async fn serve_stand_in(
    credentials: &Credentials,
    service: Identity,
    rules: &'static [Rule],
    routes: Routes,
) -> SocketAddr {
    let policy = CallPolicy {
        access: AccessRules::services_only(rules),
        max_in_flight: 100,
        sampling: Sampling::default(),
        metrics: CallMetrics::register(&mut Registry::default()),
    };
    listen(credentials.tls(service), policy, routes).await
}

async fn listen(tls: Arc<TlsIdentity>, policy: CallPolicy, routes: Routes) -> SocketAddr {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address();
    let (calls, stop) = (CallLayer::new(policy), CancellationToken::new());
    tokio::spawn(serve(listener, tls, calls, routes, stop));
    address
}

/// The metrics, as Prometheus reads them.
pub fn metrics_page(registry: &Registry) -> String {
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, registry).unwrap();
    page
}
