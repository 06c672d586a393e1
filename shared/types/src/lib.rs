//! The words of Tidegate's domain as types that cannot hold a wrong value.
//!
//! Everything here is parsed once, at the edge of a service, and is trusted from there on. Nothing here knows gRPC or SQL.

/// Declares an enum whose values have names.
macro_rules! named {
    (
        $(#[$doc:meta])* $enum:ident
        $($(#[$value_doc:meta])* $value:ident => $text:literal,)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $enum { $($(#[$value_doc])* $value),* }

        impl $enum {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $text),* }
            }

            /// The one with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$value),)* _ => None }
            }
        }
    };
}

mod basket;
mod change;
mod coupon_code;
mod coupon_terms;
mod database_state;
mod fields;
mod keyring;
mod lane;
mod money;
mod numbers;
mod printed_text;
mod refusal;
mod text;
mod turn;

pub use basket::{InvalidLines, Lines, OrderLine, Quantity, Sku, UnitPrice};
pub use change::{
    Actor, Change, ChangePage, ChangeQuery, ChangeReason, ChangedField, RecordedChange,
    ResourceKind,
};
pub use coupon_code::{CouponCode, CouponKeyring, DecodedCode, Unverified};
pub use coupon_terms::CouponTerms;
pub use database_state::DatabaseState;
pub use fields::{FieldViolation, Violations};
pub use keyring::{KeyFile, Keyring, KeyringError};
pub use lane::{Lane, Lanes, PerLane};
pub use money::{CurrencyCode, MAX_FACE_VALUE_MINOR_UNITS, Money};
pub use numbers::{
    CampaignNumber, LimitPerShopper, MAX_SLOTS, MAX_STOCK, MAX_TIERS, OutOfBounds, Slot, TierNumber,
};
pub use printed_text::{InvalidPrintedText, PrintedText};
pub use refusal::{HeldCoupons, Reason, Refusal, Retry};
pub use text::{
    Area, CampaignId, ConsumerId, InvalidText, ReplicaId, RequestId, ShopperId, StoreId, TierId,
};

/// A moment. In UTC, unless it is to be told as the clocks of some store show it.
pub type Timestamp = time::OffsetDateTime;
pub use turn::{Cohort, Turn};
