//! Tokens for callers: signed here, checked by the services with the public key in the JWKS file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ED25519};
use rustls::pki_types::PrivatePkcs8KeyDer;
use time::{Duration, OffsetDateTime};

use super::{Credentials, TOKEN_AUDIENCE, TOKEN_ISSUER};
use crate::secret_file;

/// Names the one key there is.
const KEY_ID: &str = "local-1";

/// Something a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Claim coupons.
    ClaimsWrite,
    /// Read wallets.
    WalletRead,
    /// Place orders.
    OrdersWrite,
    /// Read orders.
    OrdersRead,
    /// Move orders on.
    OrdersFulfil,
    /// Read the feed of orders.
    FeedRead,
    /// Read campaigns.
    CampaignsRead,
    /// Make and change campaigns.
    CampaignsWrite,
    /// Revoke and grant coupons.
    CouponsWrite,
    /// Read stores.
    StoresRead,
    /// Make and change stores.
    StoresWrite,
}

impl Scope {
    /// What a chatbot's backend is allowed.
    pub const CHATBOT: [Self; 4] = [
        Self::ClaimsWrite,
        Self::WalletRead,
        Self::OrdersWrite,
        Self::OrdersRead,
    ];
    /// What staff are allowed.
    pub const STAFF: [Self; 6] = [
        Self::CampaignsRead,
        Self::CampaignsWrite,
        Self::CouponsWrite,
        Self::StoresRead,
        Self::StoresWrite,
        Self::OrdersRead,
    ];

    /// What those who make and hand out orders are allowed.
    pub const FULFILMENT: [Self; 2] = [Self::OrdersFulfil, Self::FeedRead];

    fn name(self) -> &'static str {
        match self {
            Self::ClaimsWrite => "claims:write",
            Self::WalletRead => "wallet:read",
            Self::OrdersWrite => "orders:write",
            Self::OrdersRead => "orders:read",
            Self::OrdersFulfil => "orders:fulfil",
            Self::FeedRead => "feed:read",
            Self::CampaignsRead => "campaigns:read",
            Self::CampaignsWrite => "campaigns:write",
            Self::CouponsWrite => "coupons:write",
            Self::StoresRead => "stores:read",
            Self::StoresWrite => "stores:write",
        }
    }
}

/// What a token says. The defaults are those of a good one; tests change a field to make a bad one.
#[derive(Debug, Clone)]
pub struct Token<'a> {
    /// The caller.
    pub caller_id: &'a str,
    /// What it may do.
    pub scopes: &'a [Scope],
    /// The one shopper it is bound to, if any.
    pub shopper_id: Option<&'a str>,
    /// For whom it is.
    pub audience: &'a str,
    /// Who issued it.
    pub issuer: &'a str,
    /// How long it is good from now on; negative for one that has expired.
    pub lifetime: Duration,
}

impl<'a> Token<'a> {
    /// A good token for a day.
    pub fn new(caller_id: &'a str, scopes: &'a [Scope]) -> Self {
        Self {
            caller_id,
            scopes,
            shopper_id: None,
            audience: TOKEN_AUDIENCE,
            issuer: TOKEN_ISSUER,
            lifetime: Duration::DAY,
        }
    }
}

impl Credentials {
    /// Signs a token, as it stands behind `Bearer ` in the `authorization` metadata.
    ///
    /// # Errors
    /// The signing key in the data folder cannot be read.
    pub fn sign(&self, token: &Token<'_>) -> Result<String> {
        let now = OffsetDateTime::now_utc();
        let scopes: Vec<_> = token.scopes.iter().map(|scope| scope.name()).collect();
        let mut claims = serde_json::json!({
            "iss": token.issuer,
            "aud": token.audience,
            "sub": token.caller_id,
            "iat": (now + token.lifetime.min(Duration::ZERO)).unix_timestamp(),
            "exp": (now + token.lifetime).unix_timestamp(),
            "scope": scopes.join(" "),
        });
        if let Some(shopper_id) = token.shopper_id {
            claims["shopper_id"] = shopper_id.into();
        }
        let file = key_file(&self.folder);
        let key = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(KEY_ID.to_owned());
        Ok(jsonwebtoken::encode(
            &header,
            &claims,
            &EncodingKey::from_ed_pem(&key)?,
        )?)
    }
}

pub(super) fn jwks_file(folder: &Path) -> PathBuf {
    folder.join("jwks.json")
}

fn key_file(folder: &Path) -> PathBuf {
    folder.join("token.key")
}

/// Makes the signing key and writes its public half as a JWKS.
pub(super) fn make_key(folder: &Path) -> Result<()> {
    // Version 1 of PKCS#8. OpenSSL and what is made with it cannot read version 2, which rcgen writes.
    let key = Ed25519KeyPair::generate()?.to_pkcs8v1()?;
    let key = PrivatePkcs8KeyDer::from(key.as_ref());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519)?;
    let jwks = serde_json::json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": URL_SAFE_NO_PAD.encode(key.public_key_raw()),
    }] });
    secret_file::write(&key_file(folder), key.serialize_pem().as_bytes())?;
    secret_file::write(&jwks_file(folder), jwks.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode, jwk::JwkSet};

    use super::*;

    fn check(
        credentials: &Credentials,
        token: &str,
    ) -> Result<serde_json::Value, jsonwebtoken::errors::Error> {
        let jwks: JwkSet =
            serde_json::from_slice(&fs::read(credentials.jwks_file()).unwrap()).unwrap();
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[TOKEN_AUDIENCE]);
        validation.set_issuer(&[TOKEN_ISSUER]);
        decode(
            token,
            &DecodingKey::from_jwk(jwks.find(&kid).unwrap()).unwrap(),
            &validation,
        )
        .map(|data| data.claims)
    }

    #[test]
    fn a_token_is_accepted_with_the_published_key_and_says_what_it_allows() {
        let folder = tempfile::tempdir().unwrap();
        let credentials =
            Credentials::load_or_make(folder.path(), OffsetDateTime::now_utc()).unwrap();
        let token = credentials
            .sign(&Token {
                shopper_id: Some("s-1"),
                ..Token::new("bot", &[Scope::ClaimsWrite, Scope::WalletRead])
            })
            .unwrap();
        let claims = check(&credentials, &token).unwrap();
        assert_eq!(
            (
                claims["scope"].as_str(),
                claims["shopper_id"].as_str(),
                claims["sub"].as_str()
            ),
            (Some("claims:write wallet:read"), Some("s-1"), Some("bot"))
        );
    }

    #[test]
    fn an_expired_token_and_one_for_somebody_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let credentials =
            Credentials::load_or_make(folder.path(), OffsetDateTime::now_utc()).unwrap();
        let good = Token::new("bot", &Scope::CHATBOT);
        for bad in [
            Token {
                lifetime: -Duration::HOUR,
                ..good.clone()
            },
            Token {
                audience: "another",
                ..good.clone()
            },
        ] {
            assert!(
                check(&credentials, &credentials.sign(&bad).unwrap()).is_err(),
                "{bad:?}"
            );
        }
    }
}
