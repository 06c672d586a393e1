//! One service over the suite's own transport, and a caller that behaves.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt as _};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, SignatureScheme, client::ResolvesClientCert, pki_types::ServerName,
    sign::CertifiedKey,
};
use tidegate_auth::{Identity, PeerRequirement, TlsIdentity};
use tidegate_proto::issuance::v1::{
    coupon_admin_service_client::CouponAdminServiceClient,
    coupon_admin_service_server::{CouponAdminService, CouponAdminServiceServer},
    *,
};
use tidegate_rpc::{
    MAX_MESSAGE_BYTES, access_rules,
    client::channel,
    server::{
        AccessRules, CallLayer, CallMetrics, CallPolicy, ConnectionLimits, Limits, Listener, Rule,
        Work, serve, standard_routes,
    },
};
use tidegate_telemetry::{Registry, Sampling};
use tidegate_test_kit::{Credentials, metrics_page, never_asked};
use time::OffsetDateTime;
use tokio::{
    net::TcpStream,
    sync::{Notify, mpsc},
};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};

pub const UNARY: &str = "/tidegate.issuance.v1.CouponAdminService/RevokeCoupon";
const RULES: &[Rule] = access_rules! {
    "tidegate.issuance.v1.CouponAdminService" {
        RevokeCoupon: Claims, by [Gateway, Chatbot];
        GrantCoupons: Streams, by [Gateway, Chatbot];
    }
};
/// Unary calls that the server answers at once.
pub const MAX_UNARY: usize = 50;
/// Streams open at once.
pub const MAX_STREAMS: usize = 20;
/// How much slower than before a normal caller may be served during an attack. The attackers' own work is done by the same processor.
const MAX_SLOWDOWN: u32 = 20;
/// Below this, times are noise.
const NOISE: Duration = Duration::from_millis(5);

/// What the handlers saw.
#[derive(Clone, Default)]
pub struct Seen {
    /// Messages of streams that were read.
    pub messages: Arc<AtomicUsize>,
    /// Calls that wait to be let go.
    pub waiting: Arc<AtomicUsize>,
    /// Lets them go.
    pub go_on: Arc<Notify>,
}

#[tonic::async_trait]
impl CouponAdminService for Seen {
    /// Answers at once, or waits if the reason says so.
    async fn revoke_coupon(
        &self,
        request: Request<RevokeCouponRequest>,
    ) -> Result<Response<RevokeCouponResponse>, Status> {
        tracing::info!(target: "tidegate", "a coupon was revoked");
        if request.into_inner().reason == "wait" {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            self.go_on.notified().await;
        }
        Ok(Response::new(RevokeCouponResponse::default()))
    }

    type GrantCouponsStream =
        Pin<Box<dyn Stream<Item = Result<GrantCouponsResponse, Status>> + Send>>;

    /// Answers each message with as many results as it has grants.
    async fn grant_coupons(
        &self,
        request: Request<Streaming<GrantCouponsRequest>>,
    ) -> Result<Response<Self::GrantCouponsStream>, Status> {
        let messages = Arc::clone(&self.messages);
        let answers = request.into_inner().map(move |message| {
            messages.fetch_add(1, Ordering::SeqCst);
            let results = message?.grants.into_iter().map(|_| GrantResult::default());
            Ok(GrantCouponsResponse {
                results: results.collect(),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    never_asked! {
        find_coupons(FindCouponsRequest) -> FindCouponsResponse;
        list_changes(ListChangesRequest) -> ListChangesResponse;
    }
}

/// A server that runs.
pub struct Suite {
    pub address: std::net::SocketAddr,
    pub seen: Seen,
    registry: Registry,
    credentials: Arc<Credentials>,
}

impl Suite {
    pub async fn start() -> Self {
        Self::start_with(ConnectionLimits::default()).await
    }

    /// The same with other limits of connections.
    pub async fn start_with(connections: ConnectionLimits) -> Self {
        let credentials = Credentials::make();
        // On all of the loopback, so that attackers and callers can have addresses of their own.
        let listener = Listener::bind(([0, 0, 0, 0], 0).into()).await.unwrap();
        let listener = listener.limited(connections);
        let address = ([127, 0, 0, 1], listener.address().port()).into();
        let limits = Limits::default()
            .at_most(Work::Claims, MAX_UNARY)
            .at_most(Work::Streams, MAX_STREAMS);
        let mut registry = Registry::default();
        let policy = CallPolicy {
            access: AccessRules::services_only(RULES).limited(limits),
            max_in_flight: 1_000,
            sampling: Sampling::default(),
            metrics: CallMetrics::register(&mut registry),
        };
        let seen = Seen::default();
        let admin = CouponAdminServiceServer::new(seen.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let names = ["tidegate.issuance.v1.CouponAdminService"];
        let routes = standard_routes(tidegate_proto::FILE_DESCRIPTOR_SET, &names);
        let (routes, _) = routes.await.unwrap();
        let files = credentials.files(Identity::Issuance);
        let tls = TlsIdentity::load(&files, PeerRequirement::CertificateOptional).unwrap();
        tokio::spawn(serve(
            listener,
            Arc::new(tls),
            CallLayer::new(policy),
            routes.add_service(admin),
            CancellationToken::new(),
        ));
        Self {
            address,
            seen,
            registry,
            credentials,
        }
    }

    /// The metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        metrics_page(&self.registry)
    }

    /// From now on connections are made with a certificate that ends after so long.
    pub fn shorten_certificate(&self, left: Duration) {
        let ends = OffsetDateTime::now_utc() + left;
        for identity in [Identity::Gateway, Identity::Chatbot] {
            self.credentials.sign(identity, ends);
        }
    }

    /// What a client shows to the server.
    pub fn tls(&self, identity: Identity) -> Arc<TlsIdentity> {
        self.credentials.tls(identity)
    }

    /// A service of the suite, on a connection of its own.
    pub fn caller(&self) -> Caller {
        self.caller_as(Identity::Gateway)
    }

    /// A caller on a connection of its own.
    pub fn caller_as(&self, identity: Identity) -> Caller {
        Caller(CouponAdminServiceClient::new(self.peer(identity)))
    }

    /// The connection of one who shows no certificate.
    pub fn stranger(&self) -> Channel {
        let mut tls = ClientConfig::clone(&self.tls(Identity::Chatbot).client());
        tls.client_auth_cert_resolver = Arc::new(NoCertificate);
        let (address, tls) = (self.address, TlsConnector::from(Arc::new(tls)));
        let connector = tower::service_fn(move |_: http::Uri| {
            let tls = tls.clone();
            let name = ServerName::try_from(Identity::Issuance.server_name()).unwrap();
            async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                tls.connect(name, stream).await.map(TokioIo::new)
            }
        });
        Endpoint::from_static("http://issuance.tidegate").connect_with_connector_lazy(connector)
    }

    /// The connection of one who shows a certificate.
    pub fn peer(&self, identity: Identity) -> Channel {
        let (address, tls) = (self.address.to_string(), self.tls(identity));
        channel(&address, Identity::Issuance, tls)
    }
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// A stream that goes on.
#[derive(Debug)]
pub struct OpenStream {
    pub answers: Streaming<GrantCouponsResponse>,
    _messages: mpsc::Sender<GrantCouponsRequest>,
}

/// A caller that behaves.
#[derive(Clone)]
pub struct Caller(pub CouponAdminServiceClient<Channel>);

impl Caller {
    pub async fn call(&self, reason: &str) -> Result<(), Status> {
        let message = RevokeCouponRequest {
            reason: reason.to_owned(),
            ..RevokeCouponRequest::default()
        };
        self.0.clone().revoke_coupon(message).await.map(drop)
    }

    /// Opens a stream that goes on until what is returned is dropped.
    pub async fn open_stream(&self) -> Result<OpenStream, Status> {
        let (messages, receiver) = mpsc::channel(1);
        let messages_of_call = ReceiverStream::new(receiver);
        let answers = self.0.clone().grant_coupons(messages_of_call).await?;
        Ok(OpenStream {
            answers: answers.into_inner(),
            _messages: messages,
        })
    }

    /// The middle time of many calls, one after the other, all of which must be answered.
    pub async fn pace(&self) -> Duration {
        let mut times = Vec::new();
        for _ in 0..101 {
            let began = Instant::now();
            self.call("").await.unwrap();
            times.push(began.elapsed());
        }
        times.sort();
        times[times.len() / 2]
    }

    /// Fails unless calls are about as quick as `before`.
    pub async fn is_as_quick_as(&self, before: Duration) {
        let during = self.pace().await;
        let bound = before.max(NOISE) * MAX_SLOWDOWN;
        assert!(during < bound, "{during:?} a call, {before:?} before");
    }
}
