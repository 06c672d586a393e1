//! What was asked and what was told, in memory and by the shoppers' own hand: the truth that the
//! databases are held against.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
};

use tidegate_proto::r#type::v1::OrderState;
use tokio::time::Instant;

use crate::{
    findings::{Count, Findings},
    tally::locked,
};

/// A claim: which of the run's campaigns, which shopper of it, which of the shopper's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimKey {
    pub campaign: usize,
    pub shopper: u32,
    pub request: u8,
}

impl ClaimKey {
    /// The id that the suite knows the shopper by. No shopper claims of two campaigns.
    pub fn shopper_id(self) -> String {
        format!("{}{}", Self::shopper_prefix(self.campaign), self.shopper)
    }

    /// What the ids of a campaign's shoppers begin with.
    pub fn shopper_prefix(campaign: usize) -> String {
        format!("s-{campaign}-")
    }

    pub fn request_id(self) -> String {
        format!("r-{}", self.request)
    }

    /// Reads the ids back; none if they are of nobody here.
    pub fn read(shopper_id: &str, request_id: &str) -> Option<Self> {
        let (campaign, shopper) = shopper_id.strip_prefix("s-")?.split_once('-')?;
        Some(Self {
            campaign: campaign.parse().ok()?,
            shopper: shopper.parse().ok()?,
            request: request_id.strip_prefix("r-")?.parse().ok()?,
        })
    }
}

/// An order placed with the coupon of a claim: which of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderKey {
    pub claim: ClaimKey,
    /// Counted from 1: orders that race for one coupon.
    pub place: u8,
}

impl OrderKey {
    pub fn request_id(self) -> String {
        format!("o-{}-{}", self.claim.request, self.place)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldCoupon {
    pub code: String,
    pub tier_id: String,
    /// When it was issued, by the clock of whoever issued it: tells a coupon that was lost and
    /// issued again from the first one.
    pub issued_at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldOrder {
    pub order_id: String,
    /// When it was first told to be accepted, if it was.
    pub accepted_since: Option<Instant>,
    /// When it was first told to be cancelled, if it was. It stays so for ever.
    pub cancelled_since: Option<Instant>,
}

impl ToldOrder {
    /// Whether it was told to be accepted or cancelled before this moment: whoever asks again is
    /// told of it again.
    pub fn held_before(&self, moment: Instant) -> bool {
        let since = self.accepted_since.or(self.cancelled_since);
        since.is_some_and(|since| since < moment)
    }

    /// Whether it is not known to be cancelled. It may have been rejected.
    pub fn may_stand(&self) -> bool {
        self.cancelled_since.is_none()
    }
}

/// Everything asked and told, and the contradictions within it.
#[derive(Debug, Default)]
pub struct Told {
    /// Claims that were sent, answered or not.
    pub asked: HashSet<ClaimKey>,
    /// The first coupon told for each claim.
    pub coupons: HashMap<ClaimKey, ToldCoupon>,
    /// The first order told for each request, later turned from pending to accepted or cancelled.
    pub orders: HashMap<OrderKey, ToldOrder>,
    /// Orders whose cancellation was sent, answered or not.
    pub cancels: HashSet<OrderKey>,
    /// When it was first said of a campaign that the stock of a tier, or with an empty name of all
    /// tiers, is gone for ever.
    pub exhausted_since: HashMap<(usize, String), Instant>,
    pub nevers: HashMap<ClaimKey, String>,
    pub findings: Findings,
}

/// The ledger. Every entry is made before a request leaves and after its answer came.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Told>);

impl Ledger {
    pub fn told(&self) -> MutexGuard<'_, Told> {
        locked(&self.0)
    }

    pub fn ask(&self, claim: ClaimKey) {
        self.told().asked.insert(claim);
    }
}

impl Told {
    pub fn never(&mut self, claim: ClaimKey, reason: &str) {
        self.nevers
            .entry(claim)
            .or_insert_with(|| reason.to_owned());
    }

    /// An answer named a coupon. `fresh_since` is when the request left, if the answer said that
    /// this very request produced it.
    pub fn coupon(
        &mut self,
        campaign_id: &str,
        claim: ClaimKey,
        coupon: ToldCoupon,
        fresh_since: Option<Instant>,
    ) {
        let over = |tier_id: &str| {
            let since = self
                .exhausted_since
                .get(&(claim.campaign, tier_id.to_owned()));
            since.is_some_and(|exhausted| fresh_since.is_some_and(|sent| sent > *exhausted))
        };
        if over("") || over(&coupon.tier_id) {
            let example = format!("{claim:?} got a coupon after the end was told");
            self.findings
                .add(campaign_id, Count::ExhaustedTooEarly, 1, example);
        }
        let first = self.coupons.entry(claim).or_insert_with(|| coupon.clone());
        if first.code != coupon.code {
            let example = format!("{claim:?} was told of two coupons");
            self.findings
                .add(campaign_id, Count::RequestsWithTwo, 1, example);
        } else if *first != coupon {
            let example = format!("{claim:?} was told {first:?} first and then {coupon:?}");
            self.findings
                .add(campaign_id, Count::AcknowledgedNotKept, 1, example);
        }
    }

    /// An answer said that the stock of a tier, or with an empty name of the whole campaign, is
    /// gone for ever.
    pub fn exhausted(&mut self, campaign: usize, tier_id: &str) {
        let key = (campaign, tier_id.to_owned());
        self.exhausted_since.entry(key).or_insert_with(Instant::now);
    }

    /// An answer named an order; `sent` is when its request left. An answer that was overtaken by
    /// the acceptance or the cancellation may know nothing of it.
    pub fn order(&mut self, campaign_id: &str, key: OrderKey, order: ToldOrder, sent: Instant) {
        let is_cancelled = order.cancelled_since.is_some();
        let is_decided = order.accepted_since.is_some() || is_cancelled;
        let knows = |since: Option<Instant>| since.is_some_and(|since| sent > since);
        let first = self.orders.entry(key).or_insert_with(|| order.clone());
        let not_kept = Count::AcknowledgedNotKept;
        let contradiction = if first.order_id != order.order_id {
            Some((Count::RequestsWithTwo, "was told of two orders"))
        } else if is_cancelled && !self.cancels.contains(&key) {
            Some((not_kept, "is cancelled, and nobody asked for it"))
        } else if !is_cancelled && knows(first.cancelled_since) {
            Some((not_kept, "was cancelled and is not any more"))
        } else if !is_decided && knows(first.accepted_since) {
            Some((not_kept, "was accepted and is not any more"))
        } else {
            None
        };
        if let Some((count, example)) = contradiction {
            let example = format!("{key:?} {example}");
            self.findings.add(campaign_id, count, 1, example);
        }
        first.accepted_since = first.accepted_since.or(order.accepted_since);
        first.cancelled_since = first.cancelled_since.or(order.cancelled_since);
    }
}

/// Whether the coupon of an order in this state is used.
pub fn is_paid(state: OrderState) -> bool {
    use OrderState::{Accepted, Completed, InPreparation, Ready};
    matches!(state, Accepted | InPreparation | Ready | Completed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CLAIM: ClaimKey = ClaimKey {
        campaign: 1,
        shopper: 7,
        request: 2,
    };

    /// An answer names a coupon of the claim.
    fn hears(told: &mut Told, code: &str, issued_at_ms: i64, fresh_since: Option<Instant>) {
        let coupon = ToldCoupon {
            code: code.to_owned(),
            tier_id: "tea".to_owned(),
            issued_at_ms,
        };
        told.coupon("tea", CLAIM, coupon, fresh_since);
    }

    #[test]
    fn ids_are_read_back_and_strangers_are_not() {
        let read = ClaimKey::read(&CLAIM.shopper_id(), &CLAIM.request_id());
        assert_eq!(read, Some(CLAIM));
        assert_eq!(ClaimKey::read("nobody", "r-1"), None);
    }

    #[test]
    fn another_code_for_a_request_is_two_coupons_and_another_moment_is_a_lost_one() {
        let mut told = Told::default();
        hears(&mut told, "a", 1, None);
        hears(&mut told, "a", 1, None);
        assert!(told.findings.none());
        hears(&mut told, "b", 1, None);
        assert_eq!(told.findings.total(Count::RequestsWithTwo), 1);
        hears(&mut told, "a", 2, None);
        assert_eq!(told.findings.total(Count::AcknowledgedNotKept), 1);
    }

    #[test]
    fn a_coupon_for_a_claim_sent_after_the_end_was_told_is_found_and_a_replay_is_not() {
        let mut told = Told::default();
        let before = Instant::now();
        told.exhausted(1, "tea");
        hears(&mut told, "a", 1, Some(before));
        hears(&mut told, "a", 1, None);
        assert!(told.findings.none());
        let after = Instant::now() + Duration::from_millis(1);
        hears(&mut told, "a", 1, Some(after));
        assert_eq!(told.findings.total(Count::ExhaustedTooEarly), 1);
    }

    const KEY: OrderKey = OrderKey {
        claim: CLAIM,
        place: 1,
    };

    fn order(accepted_since: Option<Instant>, cancelled_since: Option<Instant>) -> ToldOrder {
        ToldOrder {
            order_id: "one".to_owned(),
            accepted_since,
            cancelled_since,
        }
    }

    #[test]
    fn an_order_that_is_pending_again_is_found_unless_the_answer_was_overtaken() {
        let mut told = Told::default();
        let accepted = Instant::now();
        told.order("tea", KEY, order(Some(accepted), None), accepted);
        told.order("tea", KEY, order(None, None), accepted);
        assert!(told.findings.none());
        let later = accepted + Duration::from_millis(1);
        told.order("tea", KEY, order(None, None), later);
        assert_eq!(told.findings.total(Count::AcknowledgedNotKept), 1);
    }

    #[test]
    fn a_cancelled_order_stays_so_and_only_its_shopper_cancels_it() {
        let mut told = Told::default();
        let before = Instant::now();
        let later = before + Duration::from_millis(1);
        told.order("tea", KEY, order(Some(before), None), before);
        told.cancels.insert(KEY);
        told.order("tea", KEY, order(None, Some(before)), later);
        told.order("tea", KEY, order(Some(before), None), before);
        told.order("tea", KEY, order(None, Some(later)), later);
        assert!(told.findings.none());
        told.order("tea", KEY, order(Some(later), None), later);
        assert_eq!(told.findings.total(Count::AcknowledgedNotKept), 1);
        told.cancels.clear();
        told.order("tea", KEY, order(None, Some(later)), later);
        assert_eq!(told.findings.total(Count::AcknowledgedNotKept), 2);
    }
}
