//! Errors as refusals and statuses; the only place here that makes a `Status`.

use std::time::Duration;

use tidegate_rpc::refusal::{self, ASKED_TOO_OFTEN, TIER_IS_GONE};
use tidegate_types::{HeldCoupons, Reason, Refusal, Retry, Timestamp};
use time::format_description::well_known::Rfc3339;
use tonic::{Response, Status};

use crate::{error::GatewayError, metrics::GatewayMetrics};

const RETRY_WHEN_FULL: Duration = Duration::from_millis(500);
const RETRY_WHEN_TOO_MANY_WAIT: Duration = Duration::from_secs(30);
const RETRY_WHEN_STARTING: Duration = Duration::from_secs(1);
/// A quota that restarts is back in about that time.
const RETRY_WHEN_NOT_CONFIRMED: Duration = Duration::from_secs(2);
const RETRY_WHEN_STOCK_IS_ON_ITS_WAY: Duration = Duration::from_millis(300);
const RETRY_WHEN_HELD: Duration = Duration::from_secs(2);
const RETRY_WITH_TOO_MANY_STREAMS: Duration = Duration::from_secs(1);
/// During a halt, whoever has a ticket asks again within this time: staff may resume before they
/// said, and a turn that has come then is kept for two minutes.
const MAX_RETRY_WITH_TICKET: Duration = Duration::from_secs(60);
const MIN_RETRY_WITH_TICKET: Duration = Duration::from_secs(1);

/// What callers are told of an error.
pub fn refusal_of(error: GatewayError) -> Refusal {
    match error {
        GatewayError::InvalidFields(bad) => Refusal::invalid(bad),
        GatewayError::UnknownTier { known } => {
            Refusal::invalid_field("tier_id", format!("must be empty or one of: {known}"))
        }
        GatewayError::OtherShopper => Refusal::never(Reason::PermissionDenied)
            .with("detail", "the token is bound to another shopper"),
        GatewayError::CampaignNotFound => Refusal::never(Reason::CampaignNotFound),
        GatewayError::NotConfirmed => Refusal::after(Reason::Overloaded, RETRY_WHEN_NOT_CONFIRMED),
        GatewayError::StockOnItsWay => {
            Refusal::after(Reason::StockReturning, RETRY_WHEN_STOCK_IS_ON_ITS_WAY)
        }
        GatewayError::CampaignNotOpen { opens_at } => {
            Refusal::at(Reason::CampaignNotOpen, opens_at)
                .with("opens_at", opens_at.format(&Rfc3339).unwrap_or_default())
        }
        GatewayError::IssuanceHalted {
            resume_at,
            ticket_kept,
        } => halted(resume_at, ticket_kept, Timestamp::now_utc()),
        GatewayError::CampaignClosed => Refusal::never(Reason::CampaignClosed),
        GatewayError::SoldOut => Refusal::never(Reason::BudgetExhausted),
        GatewayError::TierGone { tier } => Refusal::never(Reason::BudgetExhausted)
            .with("detail", TIER_IS_GONE)
            .with("tier_id", tier),
        GatewayError::QueueTooLong => Refusal::after(Reason::QueueFull, RETRY_WHEN_TOO_MANY_WAIT),
        GatewayError::WaitTooLong { shortest } => Refusal::after(Reason::WaitTooLong, shortest)
            .with("shortest_wait_ms", shortest.as_millis()),
        GatewayError::OtherTier => Refusal::never(Reason::RequestIdConflict),
        GatewayError::ShopperLimitReached => Refusal::never(Reason::ShopperLimitReached),
        GatewayError::OfCampaign { refused, held } => with_held_coupons(refusal_of(*refused), held),
        GatewayError::IssuanceHeld => Refusal::after(Reason::Overloaded, RETRY_WHEN_HELD),
        GatewayError::ClaimNotFound => Refusal::never(Reason::ClaimNotFound),
        GatewayError::CouponNotFound => Refusal::never(Reason::CouponNotFound),
        GatewayError::Full => Refusal::after(Reason::QueueFull, RETRY_WHEN_FULL),
        GatewayError::NoPermitForOrder(time) => Refusal::after(Reason::QueueFull, time),
        GatewayError::TooManyStreams => {
            Refusal::after(Reason::Overloaded, RETRY_WITH_TOO_MANY_STREAMS)
                .with("detail", ASKED_TOO_OFTEN)
                .with("who", "shopper")
        }
        GatewayError::NotReady => Refusal::after(Reason::Overloaded, RETRY_WHEN_STARTING),
        GatewayError::NoAnswer => refusal::out_of_time(),
        GatewayError::Refused(refusal) => refusal,
    }
}

fn halted(resume_at: Option<Timestamp>, ticket_kept: bool, now: Timestamp) -> Refusal {
    let refusal = Refusal::halted(Reason::IssuanceHalted, resume_at, now);
    if !ticket_kept {
        return refusal;
    }
    let delay = match refusal.retry {
        Retry::Never => MAX_RETRY_WITH_TICKET,
        Retry::After(delay) => delay,
        Retry::At(moment) => Duration::try_from(moment - now).unwrap_or_default(),
    };
    let delay = delay.clamp(MIN_RETRY_WITH_TICKET, MAX_RETRY_WITH_TICKET);
    let refusal = Refusal {
        retry: Retry::After(delay),
        ..refusal
    };
    with_kept_ticket(refusal, true)
}

fn with_kept_ticket(refusal: Refusal, ticket_kept: bool) -> Refusal {
    if ticket_kept {
        refusal.with("ticket_kept", true)
    } else {
        refusal
    }
}

/// Who gets no coupon is told what those work for that there are already.
fn with_held_coupons(refusal: Refusal, held: HeldCoupons) -> Refusal {
    match refusal.reason {
        Reason::BudgetExhausted | Reason::CampaignClosed | Reason::IssuanceHalted => {
            refusal.with_held_coupons(held)
        }
        _ => refusal,
    }
}

/// The status of an error, counted.
pub fn to_status(error: GatewayError, service: &'static str, metrics: &GatewayMetrics) -> Status {
    let refusal = refusal_of(error);
    metrics.refused(service, refusal.reason);
    refusal::to_status(&refusal)
}

/// The answer to a call; refusals are counted.
pub fn answered<T>(
    outcome: Result<T, GatewayError>,
    service: &'static str,
    metrics: &GatewayMetrics,
) -> Result<Response<T>, Status> {
    outcome
        .map(Response::new)
        .map_err(|error| to_status(error, service, metrics))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_ticket_comes_back_before_a_turn_is_lost_if_a_halt_ends_early() {
        let now = Timestamp::UNIX_EPOCH;
        let second = Duration::from_secs(1);
        for (resume_at, delay) in [
            (None, 60 * second),
            (Some(now + 3_600 * second), 60 * second),
            (Some(now + 10 * second), 10 * second),
            (Some(now + Duration::from_millis(1)), second),
            (Some(now - second), 30 * second),
        ] {
            let refusal = halted(resume_at, true, now);
            assert_eq!(refusal.retry, Retry::After(delay), "{resume_at:?}");
            assert_eq!(refusal.fact("ticket_kept"), Some("true"));
            let told = resume_at.filter(|resume_at| *resume_at > now);
            assert_eq!(refusal.moment("resume_at"), told);
        }
        assert_ne!(halted(None, false, now).retry, Retry::Never);
    }

    #[test]
    fn a_tier_that_is_gone_is_named() {
        let tier = tidegate_types::TierId::parse("large").unwrap();
        let refusal = refusal_of(GatewayError::TierGone { tier });
        assert_eq!(refusal.reason, Reason::BudgetExhausted);
        assert_eq!(refusal.retry, Retry::Never);
        assert_eq!(refusal.fact("detail"), Some(TIER_IS_GONE));
        assert_eq!(refusal.fact("tier_id"), Some("large"));
    }
}
