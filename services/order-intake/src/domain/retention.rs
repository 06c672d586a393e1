use std::time::Duration;

use tidegate_types::Timestamp;
use uuid::Uuid;

use super::{OrderId, SlotMinutes};

const DAY: Duration = Duration::from_secs(86_400);
/// How long the key of an order is kept whose campaign nobody knows: no coupon of it was ever
/// redeemed here.
const KEPT_FOR_UNKNOWN_CAMPAIGN: Duration = Duration::from_secs(400 * 86_400);
const LONGEST_SLOT: Duration = Duration::from_secs(60 * SlotMinutes::MAX as u64);

/// How long an order is kept whose coupon never was: longer than any caller goes on asking. Asked
/// again later, it is refused again.
const FALSE_ORDER_KEPT: Duration = Duration::from_secs(3_600);

/// How long settled orders are kept, and their keys beyond the end of their campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPeriod(Duration);

impl RetentionPeriod {
    pub fn days(days: u16) -> Self {
        Self(DAY * days.into())
    }

    /// What happened before this is forgotten.
    pub fn cutoff(self, now: Timestamp) -> Timestamp {
        now - self.0
    }

    /// All orders of slots that begin later than this are still kept: an order is placed hardly
    /// more than a day before its slot.
    pub fn orders_are_kept_since(self, now: Timestamp) -> Timestamp {
        self.cutoff(now) + DAY * 2
    }

    /// No order whose slot begins before this has its details: a slot may have begun an hour before
    /// its order was placed, and a day is dropped whole.
    pub fn slots_are_known_since(self, now: Timestamp) -> Timestamp {
        self.cutoff(now) - DAY - LONGEST_SLOT
    }

    /// What was found before this to name a coupon that never was is forgotten.
    pub fn false_order_cutoff(self, now: Timestamp) -> Timestamp {
        now - FALSE_ORDER_KEPT.min(self.0)
    }

    /// Whether the key of an order is needed: a retry of its request may still come, as long as its
    /// campaign runs and for the period after.
    pub fn needs_key(
        self,
        placed_at: Timestamp,
        campaign_closes_at: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let cutoff = self.cutoff(now);
        placed_at >= cutoff
            || campaign_closes_at
                .map_or(placed_at >= now - KEPT_FOR_UNKNOWN_CAMPAIGN, |closes_at| {
                    closes_at >= cutoff
                })
    }
}

impl OrderId {
    /// Before every id that is made from this moment on, and after those made before it.
    pub fn first_at(moment: Timestamp) -> Self {
        let milliseconds = moment.unix_timestamp_nanos() / 1_000_000;
        // 48 bits of milliseconds stand before everything else in a UUID of version 7.
        let milliseconds = u64::try_from(milliseconds).unwrap_or_default();
        Self(Uuid::from_u64_pair(milliseconds << 16, 0))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: Timestamp = datetime!(2026-06-30 12:00 UTC);

    fn days_ago(days: u32) -> Timestamp {
        NOW - DAY * days
    }

    #[test]
    fn an_order_of_the_first_day_that_is_kept_is_listed_also_in_a_slot_that_had_begun() {
        let now = datetime!(2026-03-08 23:59:59 UTC);
        let period = RetentionPeriod::days(30);
        let first_kept = period.cutoff(now).replace_time(time::Time::MIDNIGHT);
        assert!(period.slots_are_known_since(now) <= first_kept - LONGEST_SLOT);
    }

    #[test]
    fn a_key_is_needed_until_its_campaign_has_been_over_for_the_period() {
        let period = RetentionPeriod::days(30);
        let needed = |placed, closes: Option<u32>| {
            period.needs_key(days_ago(placed), closes.map(days_ago), NOW)
        };
        assert!(
            needed(10, Some(100)),
            "a young order, however old its campaign"
        );
        assert!(needed(100, Some(30)) && needed(100, Some(0)));
        assert!(!needed(100, Some(31)));
        assert!(needed(399, None) && !needed(401, None));
        assert!(period.needs_key(days_ago(500), Some(NOW + DAY), NOW));
    }

    #[test]
    fn order_ids_are_divided_by_the_moment_they_were_made() {
        let made = Uuid::new_v7(uuid::Timestamp::from_unix(
            uuid::NoContext,
            1_770_000_000,
            0,
        ));
        let at = |seconds| OrderId::first_at(Timestamp::from_unix_timestamp(seconds).unwrap());
        assert!(at(1_770_000_000) < OrderId(made));
        assert!(OrderId(made) < at(1_770_000_001));
    }
}
