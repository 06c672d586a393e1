use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::pki_types::CertificateDer;

/// Certificates name their owner by a DNS name of this domain. It is no address: peers are dialled wherever they are and must prove this name.
const DOMAIN: &str = "tidegate";

macro_rules! identities {
    ($($(#[$doc:meta])* $variant:ident => $name:literal),* $(,)?) => {
        /// Whom a certificate belongs to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Identity { $($(#[$doc])* $variant),* }

        impl Identity {
            /// The name, as in `issuance.tidegate`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

identities! {
    /// The public door.
    Gateway => "gateway",
    /// Campaigns and stock.
    Quota => "quota",
    /// Coupons.
    Issuance => "issuance",
    /// Orders.
    OrderIntake => "order-intake",
    /// Internal teams and operators; what they may do is in their token.
    Staff => "staff",
    /// A chatbot backend that brings a certificate; what it may do is in its token.
    Chatbot => "chatbot",
}

impl Identity {
    /// The DNS name its certificate carries.
    pub fn server_name(self) -> String {
        format!("{}.{DOMAIN}", self.name())
    }

    /// Whether it is one of the suite's own processes.
    pub fn is_service(self) -> bool {
        match self {
            Self::Gateway | Self::Quota | Self::Issuance | Self::OrderIntake => true,
            Self::Staff | Self::Chatbot => false,
        }
    }

    /// Reads the owner out of a certificate that has been verified already. `None` if it names nobody of this suite.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        certificate
            .valid_dns_names()
            .find_map(|name| Self::from_name(name.strip_suffix(DOMAIN)?.strip_suffix('.')?))
    }
}

/// When a certificate ends. One that cannot be read has ended.
pub fn certificate_ends(certificate: &CertificateDer<'_>) -> SystemTime {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else {
        return UNIX_EPOCH;
    };
    let ends = certificate.validity().not_after.timestamp();
    u64::try_from(ends).map_or(UNIX_EPOCH, |seconds| {
        UNIX_EPOCH + Duration::from_secs(seconds)
    })
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
