//! A certificate authority and its certificates, for one test.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tidegate_auth::{Identity, TlsFiles};

pub const IDENTITIES: [Identity; 4] = [
    Identity::OrderIntake,
    Identity::Issuance,
    Identity::Gateway,
    Identity::Staff,
];

/// Writes them all to a folder.
pub fn make(folder: &Path) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let certificate = params.self_signed(&authority_key).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    let authority = Issuer::new(params, authority_key);
    for identity in IDENTITIES {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let name = identity.server_name().try_into().unwrap();
        params.subject_alt_names = vec![SanType::DnsName(name)];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, &authority).unwrap();
        let files = files(folder, identity);
        std::fs::write(files.certificate, certificate.pem()).unwrap();
        std::fs::write(files.key, key.serialize_pem()).unwrap();
    }
}

pub fn files(folder: &Path, identity: Identity) -> TlsFiles {
    TlsFiles {
        ca: folder.join("ca.pem"),
        certificate: folder.join(format!("{identity}.pem")),
        key: folder.join(format!("{identity}.key")),
    }
}
