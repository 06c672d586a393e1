//! Client connections with the stack's certificates. tonic is built without TLS of its own, so the handshake is made here.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::{Credentials, Identity};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// One connection carries thousands of streams at once; with the default window of 64 KiB their answers would wait for each other.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// Calls waiting for the connection's task; beyond it callers wait in line.
const CALL_BUFFER: usize = 8_192;
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_LIMIT: Duration = Duration::from_secs(5);

impl Credentials {
    /// A connection to a service at an address, made at the first call and again after each loss.
    ///
    /// The server is checked as `<server>.tidegate`, whatever its address. `client` brings its certificate; without one only the gateway answers.
    pub fn channel(
        &self,
        client: Option<Identity>,
        server: Identity,
        address: SocketAddr,
    ) -> Result<Channel> {
        let tls = TlsConnector::from(Arc::new(self.client_config(client)?));
        let host = server.server_name();
        let name = ServerName::try_from(host.clone())?;
        let connect = tower::service_fn(move |_| {
            let (tls, name) = (tls.clone(), name.clone());
            async move {
                let tcp = TcpStream::connect(address).await?;
                tcp.set_nodelay(true)?;
                Ok::<_, io::Error>(TokioIo::new(tls.connect(name, tcp).await?))
            }
        });
        Ok(Endpoint::from_shared(format!("http://{host}"))?
            .origin(format!("https://{host}").parse()?)
            .connect_timeout(CONNECT_LIMIT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .buffer_size(CALL_BUFFER)
            // Callers of the replay hang up on purpose; late answers to them must not end the connection.
            .http2_max_local_error_reset_streams(None)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_LIMIT)
            .connect_with_connector_lazy(connect))
    }

    /// What a client shows and checks.
    pub fn client_config(&self, client: Option<Identity>) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.ca_file());
        roots.add(ca.context("the CA's certificate cannot be read")?)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let unread = |what| move || format!("the {what} of {identity} cannot be read");
                let certificate = CertificateDer::from_pem_file(self.certificate_file(identity));
                let certificate = certificate.with_context(unread("certificate"))?;
                let key = PrivateKeyDer::from_pem_file(self.key_file(identity));
                let key = key.with_context(unread("key"))?;
                builder.with_client_auth_cert(vec![certificate], key)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}
