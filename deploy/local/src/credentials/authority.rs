//! The certificate authority of one stack and the certificates it signs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use tidegate_ctl::keys::write_secret;
use time::{Duration, OffsetDateTime};

use super::{Credentials, Identity};

pub(super) const IDENTITIES: [Identity; 6] = [
    Identity::Gateway,
    Identity::Quota,
    Identity::Issuance,
    Identity::OrderIntake,
    Identity::Staff,
    Identity::Chatbot,
];

/// Clocks of containers and of their hosts differ, and tests turn them back by hours; a certificate is good from a day before it was made.
const CLOCK_DIFFERENCE: Duration = Duration::days(1);

/// Makes a CA and a certificate for every identity. The CA's key is not kept: nothing can be signed later that is not signed now.
pub(super) fn make(
    credentials: &Credentials,
    now: OffsetDateTime,
    ends_at: OffsetDateTime,
) -> Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Tidegate local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (now - CLOCK_DIFFERENCE, ends_at);
    let ca = params.self_signed(&ca_key)?;
    let authority = Issuer::new(params, ca_key);
    for identity in IDENTITIES {
        let key = KeyPair::generate()?;
        let certificate = leaf(identity, now, ends_at)?.signed_by(&key, &authority)?;
        write_secret(&credentials.certificate_file(identity), certificate.pem())?;
        write_secret(&credentials.key_file(identity), key.serialize_pem())?;
    }
    // Written last: a run that is cut short before this makes everything anew.
    Ok(write_secret(&credentials.ca_file(), ca.pem())?)
}

fn leaf(
    identity: Identity,
    now: OffsetDateTime,
    ends_at: OffsetDateTime,
) -> Result<CertificateParams> {
    let name = identity.name();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![
        SanType::URI(format!("spiffe://tidegate/{name}").try_into()?),
        SanType::DnsName(identity.server_name().try_into()?),
        // Ordinary clients on this machine check the name they dialled.
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (now - CLOCK_DIFFERENCE, ends_at);
    Ok(params)
}
