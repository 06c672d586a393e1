use std::time::Duration;

use tidegate_pg::{Fault, NotCommitted, fault};
use tidegate_rpc::refusal;
use tidegate_types::{Area, Reason, Refusal, StoreId, Timestamp, Unverified, Violations};
use uuid::Uuid;

use crate::domain::purchase::NotApplicable;

const RETRY_WHILE_STOCK_RETURNS: Duration = Duration::from_millis(700);
const RETRY_WHILE_AWAY: Duration = Duration::from_secs(1);
const RETRY_WHILE_QUEUE_ONLY: Duration = Duration::from_secs(2);

/// Areas, and stores, that a refusal names: it travels in headers, which are small.
const MAX_NAMES_TOLD: usize = 10;

pub type Result<T, E = IssuanceError> = std::result::Result<T, E>;

/// Everything that can keep issuance from doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceError {
    #[error("every coupon of the campaign has been given out")]
    BudgetExhausted,
    #[error("no stock is free, but some may come back")]
    StockReturning,
    #[error("the shopper holds all coupons the campaign allows")]
    ShopperLimitReached,
    #[error("the request id was used for another tier")]
    RequestIdConflict,
    /// The caller knows a campaign, or a tier of it, that quota has not told this replica of yet, or
    /// not yet the tiers that this replica knows.
    #[error("the campaign is not known here yet, or its tiers to the caller")]
    CampaignNotKnownYet,
    #[error("the campaign opens at {opens_at}")]
    CampaignNotOpen { opens_at: Timestamp },
    #[error("the campaign has closed")]
    CampaignClosed,
    /// Staff hold claims back for the moment.
    #[error("claims are asked to wait")]
    QueueOnly,
    #[error("issuing is halted")]
    IssuanceHalted { resume_at: Option<Timestamp> },
    #[error("redemption is halted")]
    RedemptionHalted { resume_at: Option<Timestamp> },
    #[error("the token is bound to another shopper")]
    OtherShopper,
    #[error("the token is bound to one shopper")]
    BoundToShopper,
    #[error("there is no such campaign")]
    CampaignNotFound,
    /// This replica does as much of that as it can at once, or has to end it.
    #[error("{0}")]
    NotNow(&'static str),
    #[error("there is no such coupon")]
    CouponNotFound,
    /// The key that the code names, or that the coupon was issued with, is not in the keys file.
    #[error("coupon key {key_id} is missing")]
    CouponKeyMissing { key_id: u8 },
    #[error("the coupon pays for another order")]
    CouponRedeemed { order_id: Uuid },
    #[error("the order has given the coupon back")]
    OrderReleasedCoupon { order_id: Uuid },
    #[error("the coupon's terms do not fit the order")]
    CouponNotApplicable(NotApplicable),
    #[error("the coupon has expired")]
    CouponExpired { valid_until: Timestamp },
    #[error("the coupon was revoked")]
    CouponRevoked,
    #[error("fields are out of bounds")]
    InvalidFields(Violations),
    #[error("the caller reckons with other lanes than this database has ({lanes})")]
    OtherLanes { lanes: u16 },
    /// The work was not done now, and can be asked for again.
    #[error("not now: {0}")]
    NotCommitted(#[from] NotCommitted),
    #[error("stock did not arrive in time")]
    StockLate { retry_after: Duration },
    /// The caller stops waiting before anything could be read.
    #[error("there was no time left")]
    OutOfTime,
    #[error("the database is away")]
    DatabaseAway,
    /// A row cannot be read, or names what is not known; the log says which.
    #[error("internal error")]
    Internal,
}

impl IssuanceError {
    /// The process is stopping, and another replica serves.
    pub const STOPPING: Self = Self::NotNow("this replica is stopping");

    /// What callers are told of it.
    pub fn refusal(&self) -> Refusal {
        let halted = |reason, resume_at| Refusal::halted(reason, resume_at, Timestamp::now_utc());
        let denied = |detail| Refusal::never(Reason::PermissionDenied).with("detail", detail);
        match self {
            Self::BudgetExhausted => Refusal::never(Reason::BudgetExhausted),
            Self::StockReturning => {
                Refusal::after(Reason::StockReturning, RETRY_WHILE_STOCK_RETURNS)
            }
            Self::ShopperLimitReached => Refusal::never(Reason::ShopperLimitReached),
            Self::RequestIdConflict => Refusal::never(Reason::RequestIdConflict),
            Self::CampaignNotOpen { opens_at } => {
                Refusal::at(Reason::CampaignNotOpen, *opens_at).with_moment("opens_at", *opens_at)
            }
            Self::CampaignClosed => Refusal::never(Reason::CampaignClosed),
            Self::QueueOnly => Refusal::after(Reason::Overloaded, RETRY_WHILE_QUEUE_ONLY),
            Self::IssuanceHalted { resume_at } => halted(Reason::IssuanceHalted, *resume_at),
            Self::RedemptionHalted { resume_at } => halted(Reason::RedemptionHalted, *resume_at),
            Self::OtherShopper => denied("the token is bound to another shopper"),
            Self::BoundToShopper => {
                denied("the token is bound to one shopper, and this is about all of them")
            }
            Self::CampaignNotFound => Refusal::never(Reason::CampaignNotFound),
            Self::CouponNotFound => Refusal::never(Reason::CouponNotFound),
            Self::CouponKeyMissing { .. } => Refusal::coupon_key_missing(),
            Self::CouponRedeemed { order_id } | Self::OrderReleasedCoupon { order_id } => {
                Refusal::never(Reason::CouponRedeemed).with("order_id", order_id)
            }
            Self::CouponNotApplicable(why) => not_applicable(why),
            Self::CouponExpired { valid_until } => {
                Refusal::never(Reason::CouponExpired).with_moment("valid_until", *valid_until)
            }
            Self::CouponRevoked => Refusal::never(Reason::CouponRevoked),
            Self::InvalidFields(violations) => Refusal::invalid(violations.clone()),
            Self::OtherLanes { lanes } => Refusal::never(Reason::Misconfigured)
                .with("detail", format!("this database has {lanes} lanes")),
            Self::NotCommitted(NotCommitted::Full { retry_after }) => {
                Refusal::after(Reason::QueueFull, *retry_after)
            }
            Self::NotCommitted(NotCommitted::TooLate { retry_after })
            | Self::StockLate { retry_after } => Refusal::after(Reason::Overloaded, *retry_after),
            Self::NotCommitted(NotCommitted::Unknown) | Self::OutOfTime => refusal::out_of_time(),
            Self::NotCommitted(NotCommitted::Failed | NotCommitted::Closed)
            | Self::CampaignNotKnownYet
            | Self::DatabaseAway
            | Self::NotNow(_)
            | Self::Internal => Refusal::after(Reason::Overloaded, RETRY_WHILE_AWAY),
        }
    }
}

fn not_applicable(why: &NotApplicable) -> Refusal {
    let refusal = Refusal::never(Reason::CouponNotApplicable);
    match why {
        NotApplicable::OtherCurrency { currency } => refusal.with("currency_code", currency),
        NotApplicable::BelowMinimumSpend {
            minimum_spend_minor_units,
        } => refusal.with("minimum_spend_minor_units", minimum_spend_minor_units),
        NotApplicable::OtherStores { terms } => {
            let (areas, stores) = (terms.areas().iter(), terms.stores().iter());
            let areas: Vec<_> = areas.take(MAX_NAMES_TOLD).map(Area::as_str).collect();
            let stores: Vec<_> = stores.take(MAX_NAMES_TOLD).map(StoreId::as_str).collect();
            let named = [("areas", areas), ("stores", stores)].into_iter();
            let named = named.filter(|(_, names)| !names.is_empty());
            named.fold(refusal, |refusal, (key, names)| {
                refusal.with(key, names.join(" "))
            })
        }
    }
}

impl From<Unverified> for IssuanceError {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Never => Self::CouponNotFound,
            Unverified::KeyMissing { key_id } => Self::CouponKeyMissing { key_id },
        }
    }
}

impl From<sqlx::Error> for IssuanceError {
    fn from(error: sqlx::Error) -> Self {
        match fault(&error) {
            Fault::ConnectionLost | Fault::Conflict => Self::DatabaseAway,
            Fault::Statement => {
                tracing::error!(%error, "a query failed; if this repeats, the schema and this program do not fit together");
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_types::{CouponTerms, Retry};

    use super::*;

    #[test]
    fn a_refusal_for_the_store_names_the_first_few_that_take_the_coupon() {
        let stores: Vec<_> = (100..200).map(|number| format!("s-{number}")).collect();
        let mut bad = Violations::default();
        let terms = CouponTerms::parse(&mut bad, "terms", 0, &["west"], &stores).unwrap();
        let terms = Arc::new(terms);
        let refusal =
            IssuanceError::CouponNotApplicable(NotApplicable::OtherStores { terms }).refusal();
        assert_eq!(refusal.reason, Reason::CouponNotApplicable);
        assert_eq!(refusal.retry, Retry::Never);
        let told = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let first = "s-100 s-101 s-102 s-103 s-104 s-105 s-106 s-107 s-108 s-109";
        assert_eq!(
            refusal.metadata,
            [told("areas", "west"), told("stores", first)]
        );
    }
}
