use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use crate::Scope;

/// Bytes of the public key's hash that name a key.
const KEY_ID_BYTES: usize = 9;
const PEM_LINE_CHARACTERS: usize = 64;
const PEM_LABEL: &str = "PRIVATE KEY";

/// A signing key that cannot be used. Says which file and what is wrong; never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyUnusable {
    /// It is not there, or may not be read.
    #[error("the signing key {0} cannot be read: {1}")]
    Unreadable(String, #[source] std::io::Error),
    /// It is no Ed25519 key.
    #[error("{0} holds no Ed25519 private key in PEM")]
    NoKey(String),
    /// It could not be made, or used.
    #[error("the machine's cryptography failed")]
    Failed,
}

/// Signs tokens, where no identity provider does: in development, and for staff's own tools.
pub struct SigningKey {
    pem: String,
    public: Vec<u8>,
}

/// What a token says.
#[derive(Debug, Clone)]
pub struct TokenClaims<'a> {
    /// Whom it speaks for.
    pub subject: &'a str,
    /// What it allows.
    pub scopes: &'a [Scope],
    /// The one shopper it is bound to, if any.
    pub shopper_id: Option<&'a str>,
    /// For whom it is.
    pub audience: &'a str,
    /// Who issued it.
    pub issuer: &'a str,
    /// When it was issued.
    pub issued_at: SystemTime,
    /// When it ends.
    pub expires_at: SystemTime,
}

impl SigningKey {
    /// Makes a key.
    pub fn generate() -> Result<Self, SigningKeyUnusable> {
        let key = Ed25519KeyPair::generate().map_err(|_| SigningKeyUnusable::Failed)?;
        // Version 1 of PKCS#8: OpenSSL and what is made with it cannot read version 2.
        let der = key.to_pkcs8v1().map_err(|_| SigningKeyUnusable::Failed)?;
        Ok(Self {
            pem: pem(der.as_ref()),
            public: key.public_key().as_ref().to_vec(),
        })
    }

    /// Reads a key from a PEM file.
    pub fn load(file: &Path) -> Result<Self, SigningKeyUnusable> {
        let name = || file.display().to_string();
        let pem = fs::read_to_string(file);
        let pem = pem.map_err(|error| SigningKeyUnusable::Unreadable(name(), error))?;
        let no_key = || SigningKeyUnusable::NoKey(name());
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| no_key())?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        let key = key.map_err(|_| no_key())?;
        Ok(Self {
            pem,
            public: key.public_key().as_ref().to_vec(),
        })
    }

    /// The private key, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Names the key in tokens and in the set of public keys.
    pub fn id(&self) -> String {
        let hash = digest(&SHA256, &self.public);
        let head: Vec<u8> = hash.as_ref().iter().copied().take(KEY_ID_BYTES).collect();
        URL_SAFE_NO_PAD.encode(head)
    }

    /// The public key, as a set of public keys (JWKS) lists it.
    pub fn public_jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": self.id(), "x": URL_SAFE_NO_PAD.encode(&self.public),
        })
    }

    /// A token, as it stands behind `Bearer `.
    pub fn sign(&self, claims: &TokenClaims<'_>) -> Result<String, SigningKeyUnusable> {
        let scopes: Vec<_> = claims.scopes.iter().map(|scope| scope.name()).collect();
        let mut content = json!({
            "iss": claims.issuer,
            "aud": claims.audience,
            "sub": claims.subject,
            "iat": unix_seconds(claims.issued_at),
            "exp": unix_seconds(claims.expires_at),
            "scope": scopes.join(" "),
        });
        if let Some(shopper_id) = claims.shopper_id {
            content["shopper_id"] = shopper_id.into();
        }
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.id());
        let key = EncodingKey::from_ed_pem(self.pem.as_bytes());
        let key = key.map_err(|_| SigningKeyUnusable::Failed)?;
        jsonwebtoken::encode(&header, &content, &key).map_err(|_| SigningKeyUnusable::Failed)
    }
}

fn unix_seconds(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(PEM_LINE_CHARACTERS);
    let lines = lines.map(|line| String::from_utf8_lossy(line) + "\n");
    let body: String = lines.map(String::from).collect();
    format!("-----BEGIN {PEM_LABEL}-----\n{body}-----END {PEM_LABEL}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_when_it_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token.key");
        let made = SigningKey::generate().unwrap();
        fs::write(&file, made.pem()).unwrap();
        let read = SigningKey::load(&file).unwrap();
        assert_eq!(read.public_jwk(), made.public_jwk());
        fs::write(&file, "nothing").unwrap();
        let said = SigningKey::load(&file).err().unwrap().to_string();
        assert!(
            said.ends_with("holds no Ed25519 private key in PEM"),
            "{said}"
        );
    }
}
