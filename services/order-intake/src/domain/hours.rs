use tidegate_types::{OutOfBounds, Timestamp};

const MINUTES_OF_A_DAY: i64 = 24 * 60;
const MAX_MINUTE_OF_DAY: u16 = 1_439;
const MIN_UTC_OFFSET: i16 = -720;
const MAX_UTC_OFFSET: i16 = 840;

/// A whole minute, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    /// The minute a moment lies in.
    pub fn of(moment: Timestamp) -> Self {
        Self(moment.unix_timestamp().div_euclid(60))
    }

    /// The moment it begins.
    pub fn begins_at(self) -> Timestamp {
        // Every minute came from a moment, or lies at most a few days after one.
        Timestamp::from_unix_timestamp(self.0.saturating_mul(60)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// So many minutes later.
    pub fn plus(self, minutes: i64) -> Self {
        Self(self.0.saturating_add(minutes))
    }
}

/// A minute of the day: 0 to 1,439.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MinuteOfDay(u16);

impl MinuteOfDay {
    /// Takes a number over if a day has that minute.
    pub fn new(minute: impl TryInto<u16>) -> Result<Self, OutOfBounds> {
        match minute.try_into() {
            Ok(minute @ 0..=MAX_MINUTE_OF_DAY) => Ok(Self(minute)),
            _ => Err(OutOfBounds {
                min: 0,
                max: MAX_MINUTE_OF_DAY.into(),
            }),
        }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// An offset no clock has. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from {MIN_UTC_OFFSET} to {MAX_UTC_OFFSET}")]
pub struct InvalidUtcOffset;

/// How many minutes a store's clocks are ahead of UTC: -720 to 840.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UtcOffset(i16);

impl UtcOffset {
    /// Takes a number over if some place on earth has that offset.
    pub fn new(minutes: impl TryInto<i16>) -> Result<Self, InvalidUtcOffset> {
        match minutes.try_into() {
            Ok(minutes @ MIN_UTC_OFFSET..=MAX_UTC_OFFSET) => Ok(Self(minutes)),
            _ => Err(InvalidUtcOffset),
        }
    }

    /// The number.
    pub fn get(self) -> i16 {
        self.0
    }
}

/// When a store is open, every day, by its own clocks. The same minute for both: always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpeningHours {
    /// From this minute of the day on.
    pub opens_at: MinuteOfDay,
    /// Until this minute of the day; if that is the earlier one, of the next day.
    pub closes_at: MinuteOfDay,
    /// How far its clocks are ahead of UTC.
    pub utc_offset: UtcOffset,
}

impl OpeningHours {
    /// The beginning of the stretch of so many minutes, counted from the store's own midnight, in which a minute lies.
    pub fn stretch_of(self, minute: Minute, minutes: i64) -> Minute {
        let since_midnight = minute.0 + i64::from(self.utc_offset.0);
        Minute(minute.0 - since_midnight.rem_euclid(minutes))
    }

    /// Whether the store is open for all of the minutes that begin with `minute`.
    pub fn cover(self, minute: Minute, minutes: i64) -> bool {
        let (opens, closes) = (i64::from(self.opens_at.0), i64::from(self.closes_at.0));
        if opens == closes {
            return true;
        }
        let here = minute.0 + i64::from(self.utc_offset.0);
        let since_opening = (here - opens).rem_euclid(MINUTES_OF_A_DAY);
        let open_for = (closes - opens).rem_euclid(MINUTES_OF_A_DAY);
        since_opening + minutes <= open_for
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn hours(opens_at: u16, closes_at: u16, utc_offset: i16) -> OpeningHours {
        OpeningHours {
            opens_at: MinuteOfDay::new(opens_at).unwrap(),
            closes_at: MinuteOfDay::new(closes_at).unwrap(),
            utc_offset: UtcOffset::new(utc_offset).unwrap(),
        }
    }

    #[test]
    fn a_store_is_open_by_its_own_clocks_up_to_the_minute_it_closes() {
        // 9:00 to 21:00 in Shanghai is 1:00 to 13:00 UTC.
        let shop = hours(540, 1_260, 480);
        let covers = |moment| shop.cover(Minute::of(moment), 10);
        assert!(!covers(datetime!(2026-02-06 00:59 UTC)));
        assert!(covers(datetime!(2026-02-06 01:00:59 UTC)));
        assert!(covers(datetime!(2026-02-06 12:50 UTC)));
        assert!(!covers(datetime!(2026-02-06 12:51 UTC)));
    }

    #[test]
    fn a_store_may_be_open_past_midnight_or_always() {
        let late = hours(1_200, 120, 0);
        let covers = |moment| late.cover(Minute::of(moment), 60);
        assert!(covers(datetime!(2026-02-06 23:30 UTC)) && covers(datetime!(2026-02-07 01:00 UTC)));
        assert!(!covers(datetime!(2026-02-07 01:01 UTC)));
        assert!(!covers(datetime!(2026-02-07 19:59 UTC)));
        assert!(hours(300, 300, -90).cover(Minute::of(datetime!(2026-02-06 04:30 UTC)), 60));
    }

    #[test]
    fn stretches_are_counted_from_the_store_s_own_midnight() {
        // Kathmandu is 5:45 ahead of UTC, so its full hours begin at a quarter past.
        let shop = hours(0, 0, 345);
        let moment = Minute::of(datetime!(2026-02-06 10:14:59 UTC));
        let begins = shop.stretch_of(moment, 60).begins_at();
        assert_eq!(begins, datetime!(2026-02-06 09:15 UTC));
    }
}
