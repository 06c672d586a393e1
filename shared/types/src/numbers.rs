use std::fmt;

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

macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($inner:ty), $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Takes a number over if it is within bounds.
            pub fn new(value: impl TryInto<u64>) -> Result<Self, OutOfBounds> {
                const BOUNDS: OutOfBounds = OutOfBounds { min: $min as u64, max: $max as u64 };
                let value = value.try_into().map_err(|_| BOUNDS)?;
                if !(BOUNDS.min..=BOUNDS.max).contains(&value) {
                    return Err(BOUNDS);
                }
                <$inner>::try_from(value).map(Self).map_err(|_| BOUNDS)
            }

            /// The number.
            pub fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

bounded!(
    /// A campaign's number, as coupon codes carry it: 24 bits, never 0.
    CampaignNumber(u32), 1, 0xFF_FFFF
);
bounded!(
    /// A tier's place in its campaign's list, from 0.
    TierNumber(u8), 0, MAX_TIERS - 1
);
bounded!(
    /// Which of a shopper's coupons of one campaign: the first is 1.
    Slot(u8), 1, MAX_SLOTS
);
bounded!(
    /// How many coupons of one campaign a shopper may hold.
    LimitPerShopper(u8), 1, MAX_SLOTS
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_bounds_are_refused_with_the_bounds() {
        assert_eq!(
            CampaignNumber::new(0u32),
            Err(OutOfBounds {
                min: 1,
                max: 0xFF_FFFF
            })
        );
        assert_eq!(
            CampaignNumber::new(0x100_0000u32).unwrap_err().to_string(),
            "must be from 1 to 16777215"
        );
        assert!(Slot::new(101u8).is_err());
        assert!(TierNumber::new(-1i16).is_err());
        assert_eq!(TierNumber::new(15i16).map(TierNumber::get), Ok(15));
    }
}
