use std::{fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};

/// Why a text is not a valid identifier. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// Longer than the bound.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The most characters allowed.
        max: usize,
    },
    /// A character outside visible ASCII (`!` to `~`).
    #[error("must consist of visible ASCII characters without spaces")]
    NotVisibleAscii,
    /// A character outside lower-case letters, digits, `-` and `_`.
    #[error("must consist of lower-case letters, digits, '-' and '_'")]
    NotSlug,
}

fn is_visible_ascii(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

fn is_slug(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

fn check(
    text: &str,
    max: usize,
    allowed: fn(u8) -> bool,
    otherwise: InvalidText,
) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > max {
        return Err(InvalidText::TooLong { max });
    }
    text.bytes().all(allowed).then_some(()).ok_or(otherwise)
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident: $max:literal of $allowed:ident, or $otherwise:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters such an identifier has.
            pub const MAX_LENGTH: usize = $max;

            /// Takes a text over if it is within bounds.
            pub fn parse(text: impl AsRef<str>) -> Result<Self, InvalidText> {
                let text = text.as_ref();
                check(text, Self::MAX_LENGTH, $allowed, InvalidText::$otherwise)?;
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )*};
}

identifiers! {
    /// Whom a coupon or an order belongs to. Opaque; `Debug` and `Display` show a hash, so that logs never hold the id itself.
    ShopperId: 128 of is_visible_ascii, or NotVisibleAscii;
    /// A caller's name for one attempt, the same on every retry.
    RequestId: 64 of is_visible_ascii, or NotVisibleAscii;
    /// A giveaway's public name.
    CampaignId: 64 of is_slug, or NotSlug;
    /// A tier's public name within its campaign.
    TierId: 64 of is_slug, or NotSlug;
    /// A store's name.
    StoreId: 64 of is_visible_ascii, or NotVisibleAscii;
    /// The part of town a store is in.
    Area: 64 of is_visible_ascii, or NotVisibleAscii;
    /// One running copy of a service.
    ReplicaId: 64 of is_visible_ascii, or NotVisibleAscii;
    /// A reader of the feed of orders.
    ConsumerId: 64 of is_slug, or NotSlug;
}

macro_rules! readable {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

readable! { RequestId CampaignId TierId StoreId Area ReplicaId ConsumerId }

impl fmt::Display for ShopperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shopper#")?;
        let hash = digest(&SHA256, self.0.as_bytes());
        hash.as_ref()
            .iter()
            .take(6)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ShopperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_refuse_what_is_empty_too_long_or_not_visible() {
        let refused = |text: &str| ShopperId::parse(text).unwrap_err();
        assert_eq!(refused(""), InvalidText::Empty);
        assert_eq!(refused(&"s".repeat(129)), InvalidText::TooLong { max: 128 });
        for hostile in ["a b", "a\0b", "a\u{202e}b", "奶茶", "a\nb", "\u{7f}"] {
            assert_eq!(
                refused(hostile),
                InvalidText::NotVisibleAscii,
                "{hostile:?}"
            );
        }
        assert_eq!(CampaignId::parse("Spring"), Err(InvalidText::NotSlug));
        assert!(ShopperId::parse("s".repeat(128)).is_ok());
        assert!(CampaignId::parse("spring-2026_tea").is_ok());
    }

    #[test]
    fn a_shopper_id_never_shows_in_logs() {
        let shopper = ShopperId::parse("alice@example.com").unwrap();
        let shown = format!("{shopper} {shopper:?}");
        assert!(!shown.contains("alice"), "{shown}");
        assert!(shown.starts_with("shopper#"), "{shown}");
    }
}
