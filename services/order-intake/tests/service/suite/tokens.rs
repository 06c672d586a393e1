//! The tokens of staff, and the key that signs them.

use std::{path::Path, time::SystemTime};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use tidegate_auth::TokenSettings;

const ISSUER: &str = "staff-directory";
const AUDIENCE: &str = "tidegate";

pub struct TokenMint(Ed25519KeyPair);

impl TokenMint {
    /// Makes a key and writes its public half as a JWKS file.
    pub fn make(folder: &Path) -> (Self, TokenSettings) {
        let key = Ed25519KeyPair::generate().unwrap();
        let public = BASE64_URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": public});
        let jwks_file = folder.join("jwks.json");
        std::fs::write(&jwks_file, json!({ "keys": [jwk] }).to_string()).unwrap();
        let settings = TokenSettings {
            jwks_file,
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
        };
        (Self(key), settings)
    }

    /// The value of an `authorization` header.
    pub fn bearer(&self, scope: &str, shopper_id: Option<&str>) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap().as_secs();
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "colleague", "iat": now, "exp": now + 600, "scope": scope});
        if let Some(shopper_id) = shopper_id {
            claims["shopper_id"] = shopper_id.into();
        }
        let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(json!({"alg": "EdDSA", "kid": "k"})),
            part(claims)
        );
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()));
        format!("Bearer {signed}.{signature}")
    }
}
