//! The words of Tidegate's domain as types that cannot hold a wrong value.
//!
//! Everything here is parsed once, at the edge of a service, and is trusted from there on. Nothing here knows gRPC or SQL.

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
pub use lane::{Lane, Lanes};
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
