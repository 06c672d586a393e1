//! Tokens, as requests carry them.

use std::time::Duration;

use anyhow::Result;
use tidegate_local::credentials::{Credentials, Scope, Token};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
};

/// Some harnesses set clocks hours ahead, and tokens have to stay good.
const LIFETIME: time::Duration = time::Duration::days(2);

/// The authorization that a caller sends with each request, and how long it waits if not for ever.
#[derive(Debug, Clone)]
pub struct Bearer {
    authorization: MetadataValue<Ascii>,
    deadline: Option<Duration>,
}

impl Bearer {
    pub fn sign(credentials: &Credentials, caller_id: &str, scopes: &[Scope]) -> Result<Self> {
        Self::of_token(&credentials.sign(&Token {
            lifetime: LIFETIME,
            ..Token::new(caller_id, scopes)
        })?)
    }

    pub fn of_token(token: &str) -> Result<Self> {
        Ok(Self {
            authorization: format!("Bearer {token}").parse()?,
            deadline: None,
        })
    }

    pub fn within(self, deadline: Duration) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    pub fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let authorization = self.authorization.clone();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    /// The value of the header, for callers that write their headers themselves.
    pub fn header(&self) -> &[u8] {
        self.authorization.as_bytes()
    }
}
