/// The most coupons of one campaign a shopper can hold.
pub const MAX_SLOTS: u8 = 100;
/// The most tiers a campaign has.
pub const MAX_TIERS: u8 = 16;
/// The largest stock of one tier.
pub const MAX_STOCK: u64 = 1_000_000_000;

/// A number that is not within its bounds. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from {min} to {max}")]
pub struct OutOfBounds {
    /// The least value allowed.
    pub min: u64,
    /// The greatest value allowed.
    pub max: u64,
}

/// Declares numbers that are within bounds, each as the type that holds it.
macro_rules! bounded {
    ($($(#[$attribute:meta])* $name:ident($inner:ty) $min:literal..=$max:expr;)*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Takes a number over if it is within bounds.
            pub fn new(value: impl TryInto<u64>) -> Result<Self, crate::OutOfBounds> {
                const BOUNDS: crate::OutOfBounds = crate::OutOfBounds { min: $min, max: $max as u64 };
                let value = value.try_into().ok();
                let value = value.filter(|value| (BOUNDS.min..=BOUNDS.max).contains(value));
                let value = value.and_then(|value| <$inner>::try_from(value).ok());
                value.map(Self).ok_or(BOUNDS)
            }

            /// The number.
            pub fn get(self) -> $inner {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
pub(crate) use bounded;

bounded! {
    /// A campaign's number, as coupon codes carry it: 24 bits, never 0.
    CampaignNumber(u32) 1..=0xFF_FFFF;
    /// A tier's place in its campaign's list, from 0.
    TierNumber(u8) 0..=MAX_TIERS - 1;
    /// Which of a shopper's coupons of one campaign: the first is 1.
    Slot(u8) 1..=MAX_SLOTS;
    /// How many coupons of one campaign a shopper may hold.
    LimitPerShopper(u8) 1..=MAX_SLOTS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_bounds_are_refused_with_the_bounds() {
        let (min, max) = (1, 0xFF_FFFF);
        assert_eq!(CampaignNumber::new(0u32), Err(OutOfBounds { min, max }));
        assert_eq!(
            CampaignNumber::new(0x100_0000u32).unwrap_err().to_string(),
            "must be from 1 to 16777215"
        );
        assert!(Slot::new(101u8).is_err());
        assert!(TierNumber::new(-1i16).is_err());
        assert_eq!(TierNumber::new(15i16).map(TierNumber::get), Ok(15));
    }
}
