use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tempfile::TempDir;
use tidegate_auth::{
    Identity, PeerRequirement, Scope, SigningKey, TlsFiles, TlsIdentity, TokenClaims, TokenSettings,
};
use time::OffsetDateTime;
use tonic::Request;

/// Whoever has a certificate.
pub const IDENTITIES: [Identity; 6] = [
    Identity::Gateway,
    Identity::Quota,
    Identity::Issuance,
    Identity::OrderIntake,
    Identity::Staff,
    Identity::Chatbot,
];
const ISSUER: &str = "staff-directory";
const AUDIENCE: &str = "tidegate";
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// A certificate authority with a certificate for each identity, and an issuer of tokens, in a folder that goes with it.
pub struct Credentials {
    folder: TempDir,
    authority: Issuer<'static, KeyPair>,
    signing_key: SigningKey,
}

impl Credentials {
    pub fn make() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let signing_key = SigningKey::generate().unwrap();
        let jwks = serde_json::json!({ "keys": [signing_key.public_jwk()] });
        fs::write(folder.path().join("jwks.json"), jwks.to_string()).unwrap();
        let made = Self {
            folder,
            authority: Issuer::new(params, key),
            signing_key,
        };
        for identity in IDENTITIES {
            made.sign(identity, rcgen::date_time_ymd(4096, 1, 1));
        }
        Arc::new(made)
    }

    /// Where they are, and where a test may put its own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes an identity's certificate anew.
    pub fn sign(&self, identity: Identity, ends: OffsetDateTime) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let name = identity.server_name().try_into().unwrap();
        params.subject_alt_names = vec![SanType::DnsName(name)];
        params.not_after = ends;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let files = self.files(identity);
        fs::write(files.certificate, certificate.pem()).unwrap();
        fs::write(files.key, key.serialize_pem()).unwrap();
    }

    pub fn files(&self, identity: Identity) -> TlsFiles {
        TlsFiles {
            ca: self.folder().join("ca.pem"),
            certificate: self.folder().join(format!("{identity}.pem")),
            key: self.folder().join(format!("{identity}.key")),
        }
    }

    /// What somebody shows who asks the same of every peer.
    pub fn tls(&self, identity: Identity) -> Arc<TlsIdentity> {
        let tls = TlsIdentity::load(&self.files(identity), PeerRequirement::Certificate);
        Arc::new(tls.unwrap())
    }

    /// How a service checks tokens.
    pub fn token_settings(&self) -> TokenSettings {
        TokenSettings {
            jwks_file: self.folder().join("jwks.json"),
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
        }
    }

    /// A request with a token of a colleague: its scopes, with spaces between, and the shopper that it is bound to.
    pub fn with_token<T>(&self, message: T, scopes: &str, shopper_id: Option<&str>) -> Request<T> {
        let now = SystemTime::now();
        let scopes = scopes
            .split(' ')
            .map(|name| Scope::from_name(name).unwrap());
        let token = self.signing_key.sign(&TokenClaims {
            subject: "colleague",
            scopes: &scopes.collect::<Vec<_>>(),
            shopper_id,
            audience: AUDIENCE,
            issuer: ISSUER,
            issued_at: now,
            expires_at: now + TOKEN_LIFETIME,
        });
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", token.unwrap()).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
    }
}
