use std::time::Duration;

use tidegate_types::Timestamp;

use super::{Draft, Slot};

/// How long after its slot an order may still be made in another one: nobody waits for a drink of
/// hours ago, and a store is not to get hours of orders at once.
const REBOOKED_WITHIN: Duration = Duration::from_secs(3_600);

/// What has become of the time of an order that no coupon has paid for yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// It can be made in its slot.
    InTime,
    /// Its slot is over, and one that begins by this moment would do as well.
    Rebook {
        latest: Timestamp,
    },
    Over,
}

impl Timing {
    /// Judges an order at `now`.
    pub fn of(draft: &Draft, slot: Slot, now: Timestamp) -> Self {
        let latest = draft.latest_acceptable_at;
        if latest.is_some_and(|latest| latest < now) {
            return Self::Over;
        }
        if slot.ends_at() > now {
            return Self::InTime;
        }
        let last = slot.ends_at() + REBOOKED_WITHIN;
        let latest = latest.map_or(last, |latest| latest.min(last));
        if latest < now {
            Self::Over
        } else {
            Self::Rebook { latest }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::{Minute, SlotMinutes};

    fn draft(latest_acceptable_at: Option<Timestamp>) -> Draft {
        Draft {
            latest_acceptable_at,
            ..Draft::sample()
        }
    }

    /// The slot from 12:00 to 12:10.
    fn noon() -> Slot {
        Slot {
            begins: Minute::of(datetime!(2026-02-06 12:00 UTC)),
            minutes: SlotMinutes::default(),
        }
    }

    #[test]
    fn an_order_is_in_time_until_its_slot_ends_or_its_latest_time_has_passed() {
        let latest = datetime!(2026-02-06 12:05 UTC);
        let of = |latest, now| Timing::of(&draft(latest), noon(), now);
        assert_eq!(of(Some(latest), latest), Timing::InTime);
        let late = latest + Duration::from_nanos(1);
        assert_eq!(of(Some(latest), late), Timing::Over);
        assert_eq!(of(None, datetime!(2026-02-06 12:09:59 UTC)), Timing::InTime);
    }

    #[test]
    fn a_slot_that_is_over_is_replaced_within_what_the_shopper_accepts_and_an_hour() {
        let of = |latest, now| Timing::of(&draft(latest), noon(), now);
        let end = datetime!(2026-02-06 12:10 UTC);
        let hour_later = datetime!(2026-02-06 13:10 UTC);
        for latest in [None, Some(datetime!(2026-02-07 12:00 UTC))] {
            assert_eq!(of(latest, end), Timing::Rebook { latest: hour_later });
        }
        let soon = datetime!(2026-02-06 12:30 UTC);
        assert_eq!(of(Some(soon), end), Timing::Rebook { latest: soon });
        assert_eq!(of(None, hour_later), Timing::Rebook { latest: hour_later });
        assert_eq!(of(None, hour_later + Duration::from_secs(1)), Timing::Over);
    }
}
