use std::{
    collections::HashMap,
    fs,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use moka::sync::Cache;
use serde::Deserialize;
use tidegate_types::{RequestId, ShopperId};
use tokio::time::interval;

use crate::files::{FileWatch, RELOAD_INTERVAL};

/// Longer tokens are refused unread.
const MAX_TOKEN_LENGTH: usize = 4_096;
/// Verified tokens that are remembered.
const MAX_CACHED_TOKENS: u64 = 10_000;
/// A remembered token is verified again after this long, so that a removed key stops working.
const CACHE_TTL: Duration = Duration::from_secs(60);
/// Refused tokens that are remembered, by a hash that only this process can make.
const MAX_REFUSED_TOKENS: u64 = 100_000;
/// A refused token is looked at again after this long: its time may have come.
const REFUSED_TTL: Duration = Duration::from_secs(5);
/// How far the issuer's clock may be off.
const CLOCK_LEEWAY_SECONDS: u64 = 30;
/// The most keys a JWKS file holds.
const MAX_KEYS: usize = 32;

macro_rules! scopes {
    ($($(#[$doc:meta])* $variant:ident => $name:literal),* $(,)?) => {
        /// What a token allows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Scope { $($(#[$doc])* $variant),* }

        impl Scope {
            /// The name in the token's `scope` claim.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The scope with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

scopes! {
    /// Claim coupons.
    ClaimsWrite => "claims:write",
    /// Read wallets.
    WalletRead => "wallet:read",
    /// Place orders.
    OrdersWrite => "orders:write",
    /// Read orders.
    OrdersRead => "orders:read",
    /// Read campaigns.
    CampaignsRead => "campaigns:read",
    /// Make and change campaigns.
    CampaignsWrite => "campaigns:write",
    /// Revoke and grant coupons.
    CouponsWrite => "coupons:write",
    /// Read stores.
    StoresRead => "stores:read",
    /// Make and change stores.
    StoresWrite => "stores:write",
    /// Move orders on.
    OrdersFulfil => "orders:fulfil",
    /// Read the feed of orders.
    FeedRead => "feed:read",
    /// Find coupons.
    CouponsRead => "coupons:read",
    /// Read who changed what.
    ChangesRead => "changes:read",
    /// Ask replicas how they are.
    StatusRead => "status:read",
}

impl Scope {
    /// What a chatbot's backend needs.
    pub const CHATBOT: [Self; 4] = [
        Self::ClaimsWrite,
        Self::WalletRead,
        Self::OrdersWrite,
        Self::OrdersRead,
    ];
    /// What staff need who run campaigns and the suite.
    pub const STAFF: [Self; 10] = [
        Self::CampaignsRead,
        Self::CampaignsWrite,
        Self::CouponsRead,
        Self::CouponsWrite,
        Self::StoresRead,
        Self::StoresWrite,
        Self::OrdersRead,
        Self::OrdersWrite,
        Self::ChangesRead,
        Self::StatusRead,
    ];
    /// What those need who make and hand out orders.
    pub const FULFILMENT: [Self; 2] = [Self::OrdersFulfil, Self::FeedRead];
}

/// Whom a verified token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's subject: a chatbot backend, or a colleague.
    pub subject: RequestId,
    /// If set, the token is good for this shopper only.
    pub shopper: Option<ShopperId>,
    scopes: u16,
    expires_at: u64,
}

impl Caller {
    /// Whether the token carries the scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes & bit(scope) != 0
    }

    /// Whether the token may speak for this shopper.
    pub fn may_act_for(&self, shopper: &ShopperId) -> bool {
        self.shopper.as_ref().is_none_or(|bound| bound == shopper)
    }
}

fn bit(scope: Scope) -> u16 {
    1 << scope as u16
}

/// Why a token was not accepted. For the log and the caller; says nothing of the token's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// None was sent.
    #[error("there is no `authorization: Bearer <token>`")]
    Missing,
    /// It is no token, or signed by a key that is not known, or the signature is wrong.
    #[error("the token's form or signature is not valid")]
    Malformed,
    /// Its time is over, or has not come.
    #[error("the token has expired or is not yet valid")]
    Expired,
    /// It was made for someone else, or by someone else.
    #[error("the token's audience or issuer is not the one expected")]
    WrongAudience,
}

/// A JWKS file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be used as a JWKS file: {reason}")]
pub struct JwksUnusable {
    file: PathBuf,
    reason: String,
}

/// What tokens must say.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// The keys that may sign them.
    pub jwks_file: PathBuf,
    /// Their `iss`.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
}

/// Verifies tokens (EdDSA or ES256) and remembers the good ones, since a backend sends the same one a million times, and the bad ones, since one that has expired is sent as often.
pub struct TokenVerifier {
    settings: TokenSettings,
    keys: ArcSwap<HashMap<String, (Algorithm, DecodingKey)>>,
    verified: Cache<Box<str>, Arc<Caller>>,
    refused: Cache<u64, InvalidToken>,
    hashes: RandomState,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(default)]
    scope: String,
    shopper_id: Option<String>,
}

impl TokenVerifier {
    /// Reads the keys.
    pub fn load(settings: TokenSettings) -> Result<Self, JwksUnusable> {
        let keys = ArcSwap::from_pointee(read_keys(&settings.jwks_file)?);
        let verified = Cache::builder()
            .max_capacity(MAX_CACHED_TOKENS)
            .time_to_live(CACHE_TTL)
            .build();
        let refused = Cache::builder()
            .max_capacity(MAX_REFUSED_TOKENS)
            .time_to_live(REFUSED_TTL)
            .build();
        Ok(Self {
            settings,
            keys,
            verified,
            refused,
            hashes: RandomState::new(),
        })
    }

    /// Whom the value of an `authorization` header speaks for at `now`.
    pub fn verify(
        &self,
        authorization: Option<&str>,
        now: SystemTime,
    ) -> Result<Arc<Caller>, InvalidToken> {
        let header = authorization.ok_or(InvalidToken::Missing)?;
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token,
            _ => return Err(InvalidToken::Missing),
        };
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(InvalidToken::Malformed);
        }
        let caller = match self.verified.get(token) {
            Some(caller) => caller,
            None => self.verify_unknown(token)?,
        };
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if caller.expires_at + CLOCK_LEEWAY_SECONDS < now {
            return Err(InvalidToken::Expired);
        }
        Ok(caller)
    }

    fn verify_unknown(&self, token: &str) -> Result<Arc<Caller>, InvalidToken> {
        let hash = self.hashes.hash_one(token);
        if let Some(refused) = self.refused.get(&hash) {
            return Err(refused);
        }
        match self.verify_anew(token) {
            Ok(caller) => {
                let caller = Arc::new(caller);
                self.verified.insert(token.into(), Arc::clone(&caller));
                Ok(caller)
            }
            Err(refused) => {
                self.refused.insert(hash, refused);
                Err(refused)
            }
        }
    }

    fn verify_anew(&self, token: &str) -> Result<Caller, InvalidToken> {
        use jsonwebtoken::errors::ErrorKind;

        let header = decode_header(token).map_err(|_| InvalidToken::Malformed)?;
        let keys = self.keys.load();
        let (algorithm, key) = header
            .kid
            .as_ref()
            .and_then(|kid| keys.get(kid))
            .ok_or(InvalidToken::Malformed)?;
        let mut validation = Validation::new(*algorithm);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = CLOCK_LEEWAY_SECONDS;
        validation.validate_nbf = true;
        let claims =
            decode::<Claims>(token, key, &validation).map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => InvalidToken::Expired,
                ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => {
                    InvalidToken::WrongAudience
                }
                _ => InvalidToken::Malformed,
            })?;
        let claims = claims.claims;
        let shopper = claims
            .shopper_id
            .map(ShopperId::parse)
            .transpose()
            .map_err(|_| InvalidToken::Malformed)?;
        Ok(Caller {
            subject: RequestId::parse(&claims.sub).map_err(|_| InvalidToken::Malformed)?,
            shopper,
            scopes: claims
                .scope
                .split(' ')
                .filter_map(Scope::from_name)
                .fold(0, |all, scope| all | bit(scope)),
            expires_at: claims.exp,
        })
    }

    /// Looks at the JWKS file from time to time, for as long as the returned future runs.
    pub fn keep_fresh(self: Arc<Self>) -> impl Future<Output = ()> + Send {
        let mut watch = FileWatch::new([&*self.settings.jwks_file]);
        async move {
            let mut ticks = interval(RELOAD_INTERVAL);
            loop {
                ticks.tick().await;
                if !watch.changed() {
                    continue;
                }
                match read_keys(&self.settings.jwks_file) {
                    Ok(keys) => {
                        self.keys.store(Arc::new(keys));
                        self.verified.invalidate_all();
                        self.refused.invalidate_all();
                        tracing::info!(
                            "the JWKS file was read again; tokens of removed keys are refused from now on"
                        );
                    }
                    Err(error) => {
                        tracing::error!(%error, "the JWKS file changed but cannot be used; the keys from before stay in use")
                    }
                }
            }
        }
    }
}

fn read_keys(file: &Path) -> Result<HashMap<String, (Algorithm, DecodingKey)>, JwksUnusable> {
    let unusable = |reason: String| JwksUnusable {
        file: file.to_owned(),
        reason,
    };
    let json = fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    let set: JwkSet = serde_json::from_str(&json).map_err(|error| unusable(error.to_string()))?;
    if set.keys.len() > MAX_KEYS {
        return Err(unusable(format!("it holds more than {MAX_KEYS} keys")));
    }
    let mut keys = HashMap::new();
    for jwk in &set.keys {
        let Some(kid) = jwk.common.key_id.clone() else {
            return Err(unusable("a key has no `kid`".to_owned()));
        };
        let algorithm = match jwk
            .common
            .key_algorithm
            .map(|algorithm| algorithm.to_string())
            .as_deref()
        {
            Some("EdDSA") => Algorithm::EdDSA,
            Some("ES256") => Algorithm::ES256,
            _ => return Err(unusable(format!("key {kid} is neither EdDSA nor ES256"))),
        };
        let key =
            DecodingKey::from_jwk(jwk).map_err(|error| unusable(format!("key {kid}: {error}")))?;
        keys.insert(kid, (algorithm, key));
    }
    if keys.is_empty() {
        return Err(unusable("there is no key in it".to_owned()));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
