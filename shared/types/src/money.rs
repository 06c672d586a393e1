use std::fmt;

use crate::InvalidText;

/// The largest face value of a coupon, in minor units.
pub const MAX_FACE_VALUE_MINOR_UNITS: i64 = 10_000_000;

/// An ISO 4217 currency code: three capitals.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CurrencyCode([u8; 3]);

impl CurrencyCode {
    /// Takes three capitals over.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_uppercase) => Ok(Self(bytes)),
            _ if text.is_empty() => Err(InvalidText::Empty),
            _ if text.len() > 3 => Err(InvalidText::TooLong { max: 3 }),
            _ => Err(InvalidText::NotVisibleAscii),
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        // The bytes are ASCII capitals by construction.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl fmt::Display for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in the smallest unit of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Which currency.
    pub currency: CurrencyCode,
    /// How many minor units.
    pub minor_units: i64,
}
