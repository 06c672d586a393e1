//! Who is calling: certificates say which service, tokens say which customer or colleague. Both reload without a restart.

mod files;
mod identity;
mod jwt;
mod secret_file;
mod signing;
mod tls;

pub use files::{FileWatch, RELOAD_INTERVAL};
pub use identity::{Identity, certificate_ends};
pub use jwt::{Caller, InvalidToken, JwksUnusable, Scope, TokenSettings, TokenVerifier};
pub use secret_file::write_secret_file;
pub use signing::{SigningKey, SigningKeyUnusable, TokenClaims};
pub use tls::{PeerRequirement, TlsFiles, TlsIdentity, TlsUnusable};
