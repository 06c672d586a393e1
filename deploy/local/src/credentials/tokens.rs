//! Tokens for callers: signed here, checked by the services with the public key in the JWKS file.

use std::time::SystemTime;

use anyhow::Result;
use tidegate_auth::{Scope, SigningKey, TokenClaims};
use time::{Duration, OffsetDateTime};

use super::{Credentials, TOKEN_AUDIENCE, TOKEN_ISSUER};

/// What a token says. The defaults are those of a good one; tests change a field to make a bad one.
#[derive(Debug, Clone)]
pub struct Token<'a> {
    pub caller_id: &'a str,
    pub scopes: &'a [Scope],
    pub shopper_id: Option<&'a str>,
    pub audience: &'a str,
    pub issuer: &'a str,
    /// How long it is good from now on; negative for one that has expired.
    pub lifetime: Duration,
}

impl<'a> Token<'a> {
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
        let jwks = fs::read(credentials.jwks_file()).unwrap();
        let jwks: JwkSet = serde_json::from_slice(&jwks).unwrap();
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[TOKEN_AUDIENCE]);
        validation.set_issuer(&[TOKEN_ISSUER]);
        let key = DecodingKey::from_jwk(jwks.find(&kid).unwrap()).unwrap();
        Ok(decode(token, &key, &validation)?.claims)
    }

    #[test]
    fn a_good_token_is_accepted_with_the_published_key_and_an_expired_one_or_one_for_another_is_not()
     {
        let folder = tempfile::tempdir().unwrap();
        let credentials =
            Credentials::load_or_make(folder.path(), OffsetDateTime::now_utc()).unwrap();
        let good = Token {
            shopper_id: Some("s-1"),
            ..Token::new("bot", &[Scope::ClaimsWrite, Scope::WalletRead])
        };
        let claims = check(&credentials, &credentials.sign(&good).unwrap()).unwrap();
        assert_eq!(claims["scope"], "claims:write wallet:read");
        assert_eq!(claims["shopper_id"], "s-1");
        assert_eq!(claims["sub"], "bot");
        let expired = Token {
            lifetime: -Duration::HOUR,
            ..good.clone()
        };
        let for_another = Token {
            audience: "another",
            ..good
        };
        for bad in [expired, for_another] {
            let token = credentials.sign(&bad).unwrap();
            assert!(check(&credentials, &token).is_err(), "{bad:?}");
        }
    }
}
