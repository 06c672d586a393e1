use std::time::Duration;

use tidegate_rpc::client::{CallFailed, NotAnswered};
use tidegate_types::{HeldCoupons, Refusal, TierId, Timestamp, Violations};

/// Everything that can keep the gateway from doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("fields are out of bounds")]
    InvalidFields(Violations),
    #[error("the token is bound to another shopper")]
    OtherShopper,
    #[error("the campaign is not known")]
    CampaignNotFound,
    /// The campaign's owner has not said whether this is so, and a copy must not.
    #[error("the owner of the campaign has not answered")]
    NotConfirmed,
    /// The owner says that there are coupons, and issuance does not know them yet.
    #[error("coupons were added a moment ago")]
    StockOnItsWay,
    #[error("the campaign opens at {opens_at}")]
    CampaignNotOpen { opens_at: Timestamp },
    #[error("issuing is halted")]
    IssuanceHalted {
        /// When it is expected to go on, if staff said so.
        resume_at: Option<Timestamp>,
        /// Whether the shopper has a position in the queue that is not lost.
        ticket_kept: bool,
    },
    /// Staff hold claims back for a while.
    #[error("claims are held back")]
    IssuanceHeld,
    #[error("the campaign has ended")]
    CampaignClosed,
    #[error("the campaign is sold out")]
    SoldOut,
    /// The last coupon of the tier that is claimed is gone, and there may be others.
    #[error("no coupon of tier {tier} is left")]
    TierGone { tier: TierId },
    /// The campaign has no tier of this name.
    #[error("the campaign has no such tier")]
    UnknownTier {
        /// Those it has, in words.
        known: String,
    },
    /// So many wait that no more are let in.
    #[error("too many wait")]
    QueueTooLong,
    /// It would take longer than the shopper waits, which has no position now.
    #[error("the shortest wait is {} ms", .shortest.as_millis())]
    WaitTooLong { shortest: Duration },
    /// The claim with this request id, or the ticket that is shown, is for another tier.
    #[error("the claim that waits is for another tier")]
    OtherTier,
    /// The shopper was told a moment ago that the campaign allows no more coupons.
    #[error("the shopper holds all the campaign allows")]
    ShopperLimitReached,
    /// A claim was refused, and something is known of the coupons that its shopper holds.
    #[error("{refused}")]
    OfCampaign {
        refused: Box<GatewayError>,
        held: HeldCoupons,
    },
    /// The claim has produced no coupon.
    #[error("no coupon came of the claim")]
    ClaimNotFound,
    /// The code is no code at all.
    #[error("there is no such coupon")]
    CouponNotFound,
    /// Too many calls of this kind are in flight, or too many items wait.
    #[error("too much of this kind is in flight")]
    Full,
    /// No order can be placed now, and when one is likely to be.
    #[error("no permit for an order for {} ms", .0.as_millis())]
    NoPermitForOrder(Duration),
    /// The shopper follows as many claims at once as one shopper may.
    #[error("the shopper has too many streams open")]
    TooManyStreams,
    /// Campaigns or their queues are not known yet, because quota has not been reached since the
    /// start.
    #[error("the campaigns are not known yet")]
    NotReady,
    /// No replica answered in time. What was asked for may have happened.
    #[error("no answer came in time")]
    NoAnswer,
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
}

impl From<CallFailed> for GatewayError {
    fn from(failed: CallFailed) -> Self {
        match failed {
            CallFailed::Refused(refusal) => Self::Refused(refusal),
            CallFailed::NoAnswer(_) => Self::NoAnswer,
        }
    }
}

impl From<NotAnswered> for GatewayError {
    fn from(why: NotAnswered) -> Self {
        match why {
            NotAnswered::Full => Self::Full,
            NotAnswered::NoAnswer => Self::NoAnswer,
        }
    }
}
