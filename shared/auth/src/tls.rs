use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use tokio::time::interval;

use crate::{
    files::{FileWatch, RELOAD_INTERVAL},
    identity::certificate_ends,
};

const PROTOCOLS: &[&SupportedProtocolVersion] = &[&TLS13];
const ALPN_H2: &[u8] = b"h2";

/// Where a process finds its certificate, its key, and the authority it trusts; all PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate authority of the suite.
    pub ca: PathBuf,
    /// This process's certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// TLS files that cannot be used. Says which file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be used for TLS: {reason}")]
pub struct TlsUnusable {
    file: PathBuf,
    reason: String,
}

/// Whether callers must bring a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerRequirement {
    /// Every caller must; for everything but the public door.
    Certificate,
    /// A caller may; for the public door, where tokens decide.
    CertificateOptional,
}

/// What a process shows to its peers and checks them by. The files are read again when they change; a broken change is logged and the old state stays in use.
pub struct TlsIdentity {
    server: ArcSwap<ServerConfig>,
    client: ArcSwap<ClientConfig>,
    ends_at: ArcSwap<SystemTime>,
}

impl TlsIdentity {
    /// Reads the files and checks that they fit together.
    pub fn load(files: &TlsFiles, peers: PeerRequirement) -> Result<Self, TlsUnusable> {
        let (server, client, ends_at) = read(files, peers)?;
        Ok(Self {
            server: ArcSwap::from_pointee(server),
            client: ArcSwap::from_pointee(client),
            ends_at: ArcSwap::from_pointee(ends_at),
        })
    }

    /// For accepting a connection now.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server.load_full()
    }

    /// For making a connection now.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.client.load_full()
    }

    /// When the certificate that was read last ends.
    pub fn ends_at(&self) -> SystemTime {
        **self.ends_at.load()
    }

    /// Looks at the files from time to time, for as long as the returned future runs. New connections use what was read last; those there are stay.
    pub fn keep_fresh(
        self: Arc<Self>,
        files: TlsFiles,
        peers: PeerRequirement,
    ) -> impl Future<Output = ()> + Send {
        let mut watch = FileWatch::new([&*files.ca, &*files.certificate, &*files.key]);
        async move {
            let mut ticks = interval(RELOAD_INTERVAL);
            loop {
                ticks.tick().await;
                if !watch.changed() {
                    continue;
                }
                match read(&files, peers) {
                    Ok((server, client, ends_at)) => {
                        self.server.store(Arc::new(server));
                        self.client.store(Arc::new(client));
                        self.ends_at.store(Arc::new(ends_at));
                        tracing::info!(
                            "TLS certificates were read again; new connections use them"
                        );
                    }
                    Err(error) => {
                        tracing::error!(%error, "TLS certificates changed but cannot be used; the ones from before stay in use until they expire")
                    }
                }
            }
        }
    }
}

fn read(
    files: &TlsFiles,
    peers: PeerRequirement,
) -> Result<(ServerConfig, ClientConfig, SystemTime), TlsUnusable> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(&files.ca, error))?;
    }
    let roots = Arc::new(roots);
    let chain = certificates(&files.certificate)?;
    let ends_at = chain.first().map_or(UNIX_EPOCH, certificate_ends);
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, error))?;
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());

    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let verifier = match peers {
        PeerRequirement::Certificate => verifier,
        PeerRequirement::CertificateOptional => verifier.allow_unauthenticated(),
    };
    let verifier = verifier
        .build()
        .map_err(|error| unusable(&files.ca, error))?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(PROTOCOLS)
        .map_err(|error| unusable(&files.certificate, error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(|error| unusable(&files.certificate, error))?;
    server.alpn_protocols = vec![ALPN_H2.to_vec()];
    // A resumed connection would bring the certificate of the first one, also when it has ended or its authority is trusted no more.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;

    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(PROTOCOLS)
        .map_err(|error| unusable(&files.certificate, error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(&files.certificate, error))?;
    client.alpn_protocols = vec![ALPN_H2.to_vec()];
    Ok((server, client, ends_at))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsUnusable> {
    let pem = fs::read(file).map_err(|error| unusable(file, error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| unusable(file, error))?;
    if found.is_empty() {
        return Err(unusable(file, "there is no certificate in it"));
    }
    Ok(found)
}

fn unusable(file: &Path, reason: impl ToString) -> TlsUnusable {
    TlsUnusable {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}
