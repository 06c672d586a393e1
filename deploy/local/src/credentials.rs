//! Everything that proves who somebody is: the CA, one certificate for each identity, the key that signs tokens, and the keys that coupon
//! codes and tickets are made with. All of it is made on this machine and kept in the data folder for its owner's eyes; certificates are used again until they near their end, keys for ever.

mod authority;
mod channel;
mod tokens;

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Result;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tidegate_auth::certificate_ends;
use tidegate_ctl::keys;
use time::{Duration, OffsetDateTime};

pub use tidegate_auth::{Identity, Scope};
pub use tokens::Token;

pub const TOKEN_ISSUER: &str = "https://tidegate.local/issuer";
pub const TOKEN_AUDIENCE: &str = "tidegate";

/// How long certificates are good.
const LIFETIME: Duration = Duration::days(90);
/// They are made anew when less than this is left, so that none ends while a stack runs.
const RENEW_BEFORE_END: Duration = Duration::days(7);

#[derive(Debug, Clone)]
pub struct Credentials {
    folder: PathBuf,
}

impl Credentials {
    /// Loads the credentials in a folder, or makes those that are missing or near their end. `now` decides what is near.
    pub fn load_or_make(folder: &Path, now: OffsetDateTime) -> Result<Self> {
        // Codes of coupons are derived from a key, so it lives as long as the coupons do.
        keys::init(folder)?;
        let credentials = Self {
            folder: folder.to_owned(),
        };
        let ca = CertificateDer::from_pem_file(credentials.ca_file());
        let renewed_by = SystemTime::from(now + RENEW_BEFORE_END);
        if ca.map_or(true, |ca| certificate_ends(&ca) <= renewed_by) {
            authority::make(&credentials, now, now + LIFETIME)?;
        }
        Ok(credentials)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub fn certificate_file(&self, identity: Identity) -> PathBuf {
        self.folder.join(format!("{}.pem", identity.name()))
    }

    pub fn key_file(&self, identity: Identity) -> PathBuf {
        self.folder.join(format!("{}.key", identity.name()))
    }

    pub fn jwks_file(&self) -> PathBuf {
        self.folder.join(keys::JWKS)
    }

    /// The key that tokens are signed with, PEM.
    pub fn signing_key_file(&self) -> PathBuf {
        self.folder.join(keys::TOKEN_KEY)
    }

    pub fn coupon_keys_file(&self) -> PathBuf {
        self.folder.join(keys::COUPON_KEYS)
    }

    pub fn ticket_keys_file(&self) -> PathBuf {
        self.folder.join(keys::TICKET_KEYS)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, process::Command};

    use super::{authority::IDENTITIES, *};

    fn made() -> (tempfile::TempDir, Credentials) {
        let folder = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let credentials = Credentials::load_or_make(folder.path(), now).unwrap();
        (folder, credentials)
    }

    fn openssl(arguments: &str, files: &[PathBuf]) -> String {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).args(files);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} {files:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn credentials_are_used_again_until_they_near_their_end_and_coupon_keys_for_ever() {
        let (folder, first) = made();
        let read = |credentials: &Credentials| {
            let files = [credentials.ca_file(), credentials.coupon_keys_file()];
            files.map(|file| fs::read(file).unwrap())
        };
        let after = |days| {
            let now = OffsetDateTime::now_utc() + Duration::days(days);
            read(&Credentials::load_or_make(folder.path(), now).unwrap())
        };
        let [ca, coupon_keys] = read(&first);
        assert_eq!(after(80), [ca.clone(), coupon_keys.clone()]);
        let later = after(84);
        assert_ne!(later[0], ca);
        assert_eq!(later[1], coupon_keys);
    }

    #[test]
    fn openssl_accepts_every_certificate_for_its_name_and_both_sides_and_reads_every_key() {
        const CHECK_KEY: &str = "pkey -noout -check -in";
        let (_folder, credentials) = made();
        for identity in IDENTITIES {
            let name = identity.server_name();
            let certificate = credentials.certificate_file(identity);
            for purpose in ["sslserver", "sslclient"] {
                openssl(
                    &format!("verify -purpose {purpose} -verify_hostname {name} -CAfile"),
                    &[credentials.ca_file(), certificate.clone()],
                );
            }
            let names = openssl("x509 -noout -ext subjectAltName -in", &[certificate]);
            let expected = format!("URI:spiffe://tidegate/{}", identity.name());
            assert!(names.contains(&expected), "{names}");
            openssl(CHECK_KEY, &[credentials.key_file(identity)]);
        }
        openssl(CHECK_KEY, &[credentials.signing_key_file()]);
    }

    #[test]
    fn nobody_else_can_read_a_secret() {
        let (_folder, credentials) = made();
        for file in [
            credentials.coupon_keys_file(),
            credentials.ticket_keys_file(),
            credentials.key_file(Identity::Staff),
            credentials.signing_key_file(),
        ] {
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    }
}
