use tidegate_types::{Refusal, Timestamp, Violations};

/// Everything that can keep the gateway from doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Fields are out of bounds.
    #[error("fields are out of bounds")]
    InvalidFields(Violations),
    /// The token is good for another shopper only.
    #[error("the token is bound to another shopper")]
    OtherShopper,
    /// No such campaign.
    #[error("the campaign is not known")]
    CampaignNotFound,
    /// Claims are served later.
    #[error("the campaign opens at {opens_at}")]
    CampaignNotOpen {
        /// From when.
        opens_at: Timestamp,
    },
    /// Staff have halted issuing.
    #[error("issuing is halted")]
    IssuanceHalted {
        /// When it is expected to go on, if staff said so.
        resume_at: Option<Timestamp>,
    },
    /// Staff hold claims back for a while.
    #[error("claims are held back")]
    IssuanceHeld,
    /// The claim has produced no coupon.
    #[error("no coupon came of the claim")]
    ClaimNotFound,
    /// The code is no code at all.
    #[error("there is no such coupon")]
    CouponNotFound,
    /// Too many calls of this kind are in flight, or too many items wait.
    #[error("too much of this kind is in flight")]
    Full,
    /// Campaigns are not known yet, because quota has not been reached since the start.
    #[error("the campaigns are not known yet")]
    NotReady,
    /// No replica answered in time. What was asked for may have happened.
    #[error("no answer came in time")]
    NoAnswer,
    /// A service behind the gateway refused.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
}
