//! Everything that proves who somebody is: the CA, one certificate for each identity, the key that signs tokens, and the keys that coupon
//! codes and tickets are made with. All of it is made on this machine, kept in the data folder for its owner's eyes, and used again until it nears its end.

mod authority;
mod channel;
mod tokens;

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tidegate_types::KeyFile;
use time::{Duration, OffsetDateTime};

use crate::secret_file;

pub use tokens::{Scope, Token};

pub const TOKEN_ISSUER: &str = "https://tidegate.local/issuer";
/// For whom the tokens are.
pub const TOKEN_AUDIENCE: &str = "tidegate";

/// How long certificates and the token key are good.
const LIFETIME: Duration = Duration::days(90);
/// They are made anew when less than this is left, so that none ends while a stack runs.
const RENEW_BEFORE_END: Duration = Duration::days(7);
/// Changes when the files here change their meaning, so that those of an earlier build are made anew.
const FORMAT: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    Gateway,
    Quota,
    Issuance,
    OrderIntake,
    /// Internal teams, who call quota and order-intake directly.
    Staff,
    /// A chatbot's backend; the gateway does not ask for its certificate.
    Chatbot,
}

impl Identity {
    /// Every identity.
    pub const ALL: [Self; 6] = [
        Self::Gateway,
        Self::Quota,
        Self::Issuance,
        Self::OrderIntake,
        Self::Staff,
        Self::Chatbot,
    ];

    /// The identity as certificates and file names spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Quota => "quota",
            Self::Issuance => "issuance",
            Self::OrderIntake => "order-intake",
            Self::Staff => "staff",
            Self::Chatbot => "chatbot",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Made {
    format: u32,
    ends_at_unix_seconds: i64,
}

/// The credentials of one stack.
#[derive(Debug, Clone)]
pub struct Credentials {
    folder: PathBuf,
}

impl Credentials {
    /// Loads the credentials in a folder, or makes those that are missing or near their end. `now` decides what is near.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn load_or_make(folder: &Path, now: OffsetDateTime) -> Result<Self> {
        if !folder.exists() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let credentials = Self {
            folder: folder.to_owned(),
        };
        if !credentials.good_at(now) {
            let ends_at = now + LIFETIME;
            authority::make(folder, now, ends_at)?;
            tokens::make_key(folder)?;
            // Written last: a run that is cut short before this makes everything anew.
            let made = Made {
                format: FORMAT,
                ends_at_unix_seconds: ends_at.unix_timestamp(),
            };
            secret_file::write(
                &credentials.made_file(),
                serde_json::to_string(&made)?.as_bytes(),
            )?;
        }
        // Codes of coupons are derived from these keys, so they live as long as the coupons do.
        // Tickets live for the length of a queue only, but a gateway may come back while one waits.
        for file in [
            credentials.coupon_keys_file(),
            credentials.ticket_keys_file(),
        ] {
            if !file.exists() {
                secret_file::write(&file, KeyFile::generate()?.to_json()?.as_bytes())?;
            }
        }
        Ok(credentials)
    }

    fn good_at(&self, now: OffsetDateTime) -> bool {
        let made = fs::read(self.made_file())
            .ok()
            .and_then(|text| serde_json::from_slice::<Made>(&text).ok());
        made.is_some_and(|made| {
            made.format == FORMAT
                && made.ends_at_unix_seconds > (now + RENEW_BEFORE_END).unix_timestamp()
        })
    }

    fn made_file(&self) -> PathBuf {
        self.folder.join("made.json")
    }

    /// Where all of it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn ca_file(&self) -> PathBuf {
        authority::ca_file(&self.folder)
    }

    /// The certificate of an identity, PEM.
    pub fn certificate_file(&self, identity: Identity) -> PathBuf {
        authority::certificate_file(&self.folder, identity)
    }

    /// The private key of an identity, PEM.
    pub fn key_file(&self, identity: Identity) -> PathBuf {
        authority::key_file(&self.folder, identity)
    }

    /// The public keys that tokens are checked with.
    pub fn jwks_file(&self) -> PathBuf {
        tokens::jwks_file(&self.folder)
    }

    /// The secret keys of coupon codes.
    pub fn coupon_keys_file(&self) -> PathBuf {
        self.folder.join("coupon-keys.json")
    }

    /// The secret keys of tickets.
    pub fn ticket_keys_file(&self) -> PathBuf {
        self.folder.join("ticket-keys.json")
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, process::Command};

    use super::*;

    #[test]
    fn credentials_are_used_again_until_they_near_their_end_and_coupon_keys_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let read = |credentials: &Credentials| {
            (
                fs::read(credentials.ca_file()).unwrap(),
                fs::read(credentials.coupon_keys_file()).unwrap(),
            )
        };
        let first = read(&Credentials::load_or_make(folder.path(), now).unwrap());
        let again =
            read(&Credentials::load_or_make(folder.path(), now + Duration::days(80)).unwrap());
        assert_eq!(first, again);
        let later =
            read(&Credentials::load_or_make(folder.path(), now + Duration::days(84)).unwrap());
        assert_ne!(first.0, later.0);
        assert_eq!(first.1, later.1);
    }

    #[test]
    fn openssl_accepts_every_certificate_for_its_name_and_both_sides() {
        let folder = tempfile::tempdir().unwrap();
        let credentials =
            Credentials::load_or_make(folder.path(), OffsetDateTime::now_utc()).unwrap();
        for identity in Identity::ALL {
            let name = format!("{}.tidegate", identity.name());
            for purpose in ["sslserver", "sslclient"] {
                let output = Command::new("openssl")
                    .args([
                        "verify",
                        "-purpose",
                        purpose,
                        "-verify_hostname",
                        &name,
                        "-CAfile",
                    ])
                    .args([
                        credentials.ca_file(),
                        credentials.certificate_file(identity),
                    ])
                    .output()
                    .unwrap();
                assert!(
                    output.status.success(),
                    "{identity:?} {purpose}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            let text = Command::new("openssl")
                .args(["x509", "-noout", "-ext", "subjectAltName", "-in"])
                .arg(credentials.certificate_file(identity))
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&text.stdout).into_owned();
            assert!(
                text.contains(&format!("URI:spiffe://tidegate/{}", identity.name())),
                "{text}"
            );
        }
    }

    #[test]
    fn openssl_reads_every_private_key() {
        let folder = tempfile::tempdir().unwrap();
        let credentials =
            Credentials::load_or_make(folder.path(), OffsetDateTime::now_utc()).unwrap();
        let tls = Identity::ALL.map(|identity| credentials.key_file(identity));
        for file in tls.into_iter().chain([folder.path().join("token.key")]) {
            let read = Command::new("openssl")
                .args(["pkey", "-noout", "-check", "-in"])
                .arg(&file)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&read.stderr).into_owned();
            assert!(read.status.success(), "{}: {said}", file.display());
        }
    }

    #[test]
    fn nobody_else_can_read_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let credentials =
            Credentials::load_or_make(folder.path(), OffsetDateTime::now_utc()).unwrap();
        for file in [
            credentials.coupon_keys_file(),
            credentials.ticket_keys_file(),
            credentials.key_file(Identity::Staff),
            folder.path().join("token.key"),
        ] {
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600,
                "{}",
                file.display()
            );
        }
    }
}
