//! Tokens for callers: signed here, checked by the services with the public key in the JWKS file.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Result;
use tidegate_auth::{SigningKey, TokenClaims};
use time::{Duration, OffsetDateTime};

pub use tidegate_auth::Scope;

use super::{Credentials, TOKEN_AUDIENCE, TOKEN_ISSUER};
use crate::secret_file;

/// What a token says. The defaults are those of a good one; tests change a field to make a bad one.
#[derive(Debug, Clone)]
pub struct Token<'a> {
    pub caller_id: &'a str,
    pub scopes: &'a [Scope],
    /// The one shopper it is bound to, if any.
    pub shopper_id: Option<&'a str>,
    pub audience: &'a str,
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
        let key = SigningKey::load(&self.signing_key_file())?;
        Ok(key.sign(&TokenClaims {
            subject: token.caller_id,
            scopes: token.scopes,
            shopper_id: token.shopper_id,
            audience: token.audience,
            issuer: token.issuer,
            issued_at: SystemTime::from(now + token.lifetime.min(Duration::ZERO)),
            expires_at: SystemTime::from(now + token.lifetime),
        })?)
    }

    /// The key that tokens are signed with, PEM.
    pub fn signing_key_file(&self) -> PathBuf {
        key_file(&self.folder)
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
    let key = SigningKey::generate()?;
    let jwks = serde_json::json!({ "keys": [key.public_jwk()] });
    secret_file::write(&key_file(folder), key.pem().as_bytes())?;
    secret_file::write(&jwks_file(folder), jwks.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::JwkSet};

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
