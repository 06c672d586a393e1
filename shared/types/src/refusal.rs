use std::{fmt, time::Duration};

use time::format_description::well_known::Rfc3339;

use crate::{FieldViolation, Timestamp, Violations};

/// Staff said when they would resume, that moment has passed, and they have not.
const RETRY_WHEN_OVERDUE: Duration = Duration::from_secs(30);
/// Staff have not said when they would resume.
const RETRY_WHEN_UNKNOWN: Duration = Duration::from_secs(60);
/// An operator has to bring the key back, or it is on its way to this replica.
const RETRY_WHEN_KEY_MISSING: Duration = Duration::from_secs(30);
const HELD_VALID_UNTIL: &str = "coupons_valid_until";
const HELD_USABLE: &str = "coupons_usable";
const VIOLATIONS_LEFT_OUT: &str = "violations_left_out";

named! {
    /// Why something was refused. A reason never changes its meaning. Its name is the one used in
    /// `google.rpc.ErrorInfo`, metrics and logs.
    Reason
    /// The last coupon is gone for good.
    BudgetExhausted => "BUDGET_EXHAUSTED",
    /// The shopper holds all the coupons the campaign allows.
    ShopperLimitReached => "SHOPPER_LIMIT_REACHED",
    /// The campaign has ended.
    CampaignClosed => "CAMPAIGN_CLOSED",
    /// The campaign opens later.
    CampaignNotOpen => "CAMPAIGN_NOT_OPEN",
    /// There is no such campaign.
    CampaignNotFound => "CAMPAIGN_NOT_FOUND",
    /// The suite cannot serve this now, or cannot yet say whether it did.
    Overloaded => "OVERLOADED",
    /// The queue in front of the work is full.
    QueueFull => "QUEUE_FULL",
    /// Nothing is free now, but stock on lease may come back.
    StockReturning => "STOCK_RETURNING",
    /// Even the shortest likely wait is longer than the shopper waits.
    WaitTooLong => "WAIT_TOO_LONG",
    /// The request id was used before with other content.
    RequestIdConflict => "REQUEST_ID_CONFLICT",
    /// No such claim has produced a coupon.
    ClaimNotFound => "CLAIM_NOT_FOUND",
    /// No such coupon for this shopper.
    CouponNotFound => "COUPON_NOT_FOUND",
    /// The key that the coupon's code is checked with is missing, so that nobody can tell.
    CouponKeyMissing => "COUPON_KEY_MISSING",
    /// The campaign has begun, and what was to be changed has been promised since.
    CampaignBegun => "CAMPAIGN_BEGUN",
    /// The coupon has paid for another order.
    CouponRedeemed => "COUPON_REDEEMED",
    /// The coupon's validity is over.
    CouponExpired => "COUPON_EXPIRED",
    /// The coupon was withdrawn.
    CouponRevoked => "COUPON_REVOKED",
    /// No such order for this shopper.
    OrderNotFound => "ORDER_NOT_FOUND",
    /// There is no such store.
    StoreNotFound => "STORE_NOT_FOUND",
    /// There is no such lease.
    LeaseNotFound => "LEASE_NOT_FOUND",
    /// One field or more is out of its bounds.
    InvalidField => "INVALID_FIELD",
    /// No valid credentials.
    Unauthenticated => "UNAUTHENTICATED",
    /// The caller may not do this.
    PermissionDenied => "PERMISSION_DENIED",
    /// Caller and callee disagree about the deployment.
    Misconfigured => "MISCONFIGURED",
    /// Staff have halted issuing.
    IssuanceHalted => "ISSUANCE_HALTED",
    /// Staff have halted redemption.
    RedemptionHalted => "REDEMPTION_HALTED",
    /// Somebody else changed the campaign's control first.
    ControlEpochConflict => "CONTROL_EPOCH_CONFLICT",
    /// The store has no room until the latest acceptable time.
    StoreBusy => "STORE_BUSY",
    /// The store takes no orders.
    StoreClosed => "STORE_CLOSED",
    /// The coupon's terms do not fit the order.
    CouponNotApplicable => "COUPON_NOT_APPLICABLE",
    /// The order's state does not allow it.
    OrderStateConflict => "ORDER_STATE_CONFLICT",
    /// The order's time was over before its coupon had paid.
    OrderTooLate => "ORDER_TOO_LATE",
    /// The store took the order and could not make it.
    StoreFailed => "STORE_FAILED",
    /// The shopper has as many orders to come as one may have.
    OpenOrderLimitReached => "OPEN_ORDER_LIMIT_REACHED",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is true of the coupons of a campaign that a shopper holds already, while new ones are not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldCoupons {
    /// Whether they can pay for orders at present.
    pub usable: bool,
    /// Until when they are valid at least, if staff extended them all.
    pub valid_until: Option<Timestamp>,
}

/// Whether and when trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It never does.
    Never,
    /// After this long.
    After(Duration),
    /// From this moment on.
    At(Timestamp),
}

/// A refusal: why, whether to try again, and the facts that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Whether and when trying again makes sense.
    pub retry: Retry,
    /// Facts for machines, such as `opens_at`.
    pub metadata: Vec<(String, String)>,
    /// The bad fields of [`Reason::InvalidField`].
    pub violations: Vec<FieldViolation>,
}

impl Refusal {
    /// A refusal that no retry will turn.
    pub fn never(reason: Reason) -> Self {
        Self {
            reason,
            retry: Retry::Never,
            metadata: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// A refusal that may be over after this long.
    pub fn after(reason: Reason, delay: Duration) -> Self {
        Self {
            retry: Retry::After(delay),
            ..Self::never(reason)
        }
    }

    /// A refusal that is over at a known moment.
    pub fn at(reason: Reason, moment: Timestamp) -> Self {
        Self {
            retry: Retry::At(moment),
            ..Self::never(reason)
        }
    }

    /// A halt by staff, who may have said when they expect to resume. It never is for good: where nobody has said when it ends, it is worth asking again now and then. A moment that has passed is told to nobody: it would bring everyone back at once, and the words would promise the past.
    pub fn halted(reason: Reason, resume_at: Option<Timestamp>, now: Timestamp) -> Self {
        match resume_at {
            None => Self::after(reason, RETRY_WHEN_UNKNOWN),
            Some(overdue) if overdue <= now => Self::after(reason, RETRY_WHEN_OVERDUE),
            Some(resume_at) => Self::at(reason, resume_at).with_moment("resume_at", resume_at),
        }
    }

    /// A code that nobody can check or show, because its key is missing: never a fact about the
    /// coupon.
    pub fn coupon_key_missing() -> Self {
        Self::after(Reason::CouponKeyMissing, RETRY_WHEN_KEY_MISSING)
    }

    /// A request with bad fields.
    pub fn invalid(violations: Violations) -> Self {
        let left_out = violations.left_out();
        Self {
            violations: violations.into_vec(),
            ..Self::never(Reason::InvalidField)
        }
        .leaving_out(left_out)
    }

    /// How many bad fields there are beside those that are named.
    pub fn violations_left_out(&self) -> usize {
        let told = self.fact(VIOLATIONS_LEFT_OUT);
        told.and_then(|told| told.parse().ok()).unwrap_or(0)
    }

    /// The same naming only the first so many bad fields; the others are counted.
    pub fn naming_violations(&self, most: usize) -> Self {
        let mut fewer = self.clone();
        let left_out = fewer.violations.len().saturating_sub(most);
        fewer.violations.truncate(most);
        fewer.leaving_out(left_out)
    }

    fn leaving_out(mut self, more: usize) -> Self {
        let left_out = self.violations_left_out().saturating_add(more);
        if left_out == 0 {
            return self;
        }
        self.metadata.retain(|(key, _)| key != VIOLATIONS_LEFT_OUT);
        self.with(VIOLATIONS_LEFT_OUT, left_out)
    }

    /// A request with one bad field.
    pub fn invalid_field(field: impl fmt::Display, description: impl fmt::Display) -> Self {
        let mut violations = Violations::default();
        violations.add(field, description);
        Self::invalid(violations)
    }

    /// Adds what is true of the coupons that the shopper holds already.
    pub fn with_held_coupons(self, held: HeldCoupons) -> Self {
        let refusal = match held.valid_until {
            Some(moment) => self.with_moment(HELD_VALID_UNTIL, moment),
            None => self,
        };
        match held.usable {
            true => refusal,
            false => refusal.with(HELD_USABLE, false),
        }
    }

    /// What is true of the coupons that the shopper holds already, as far as the facts tell.
    pub fn held_coupons(&self) -> HeldCoupons {
        HeldCoupons {
            usable: self.fact(HELD_USABLE) != Some("false"),
            valid_until: self.moment(HELD_VALID_UNTIL),
        }
    }

    /// A fact.
    pub fn fact(&self, key: &str) -> Option<&str> {
        let mut facts = self.metadata.iter();
        facts
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// A fact that is a moment.
    pub fn moment(&self, key: &str) -> Option<Timestamp> {
        Timestamp::parse(self.fact(key)?, &Rfc3339).ok()
    }

    /// Adds a moment as a fact for machines.
    pub fn with_moment(self, key: &str, moment: Timestamp) -> Self {
        self.with(key, moment.format(&Rfc3339).unwrap_or_default())
    }

    /// Adds a fact for machines.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.metadata.push((key.to_owned(), value.to_string()));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.name())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_tells_when_to_come_back_only_if_staff_said_so_and_never_at_once() {
        let now = Timestamp::UNIX_EPOCH;
        let told = |resume_at| Refusal::halted(Reason::IssuanceHalted, resume_at, now);
        let unknown = Refusal::after(Reason::IssuanceHalted, RETRY_WHEN_UNKNOWN);
        assert_eq!(told(None), unknown);
        let later = now + Duration::from_secs(600);
        assert_eq!(told(Some(later)).retry, Retry::At(later));
        assert_eq!(told(Some(later)).metadata[0].0, "resume_at");
        for overdue in [now, now - Duration::from_secs(1)] {
            let refusal = told(Some(overdue));
            assert_eq!(refusal.retry, Retry::After(RETRY_WHEN_OVERDUE));
            assert_eq!(refusal.metadata, []);
        }
    }

    #[test]
    fn what_is_told_of_held_coupons_can_be_read_again() {
        let valid_until = Some(Timestamp::UNIX_EPOCH + Duration::from_secs(86_400));
        for usable in [true, false] {
            let held = HeldCoupons {
                usable,
                valid_until,
            };
            let refusal = Refusal::never(Reason::IssuanceHalted).with_held_coupons(held);
            assert_eq!(refusal.held_coupons(), held);
        }
        let silent = Refusal::never(Reason::IssuanceHalted);
        assert!(silent.held_coupons().usable);
    }
}
