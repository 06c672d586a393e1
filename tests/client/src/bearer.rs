//! Tokens, as requests carry them.

use anyhow::Result;
use tidegate_local::credentials::{Credentials, Scope, Token};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
};

/// Some harnesses set clocks hours ahead, and tokens have to stay good.
const LIFETIME: time::Duration = time::Duration::days(2);

/// The authorization that a caller sends with each request.
#[derive(Debug, Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    pub fn sign(credentials: &Credentials, caller_id: &str, scopes: &[Scope]) -> Result<Self> {
        Self::of_token(&credentials.sign(&Token {
            lifetime: LIFETIME,
            ..Token::new(caller_id, scopes)
        })?)
    }

    pub fn of_token(token: &str) -> Result<Self> {
        Ok(Self(format!("Bearer {token}").parse()?))
    }

    pub fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.0.clone());
        request
    }

    /// The value of the header, for callers that write their headers themselves.
    pub fn header(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
