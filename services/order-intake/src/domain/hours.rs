use tidegate_types::{OutOfBounds, Timestamp};

const MAX_MINUTE_OF_DAY: u16 = 1_439;

/// A whole minute, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    pub fn of(moment: Timestamp) -> Self {
        Self(moment.unix_timestamp().div_euclid(60))
    }

    pub(super) fn since_1970(minutes: i64) -> Self {
        Self(minutes)
    }

    pub(super) fn get(self) -> i64 {
        self.0
    }

    pub fn begins_at(self) -> Timestamp {
        // Every minute came from a moment, or lies at most a few weeks after one.
        Timestamp::from_unix_timestamp(self.0.saturating_mul(60)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub fn plus(self, minutes: i64) -> Self {
        Self(self.0.saturating_add(minutes))
    }
}

/// A minute of the day: 0 to 1,439.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct MinuteOfDay(u16);

impl MinuteOfDay {
    pub fn new(minute: impl TryInto<u16>) -> Result<Self, OutOfBounds> {
        match minute.try_into() {
            Ok(minute @ 0..=MAX_MINUTE_OF_DAY) => Ok(Self(minute)),
            _ => Err(OutOfBounds {
                min: 0,
                max: MAX_MINUTE_OF_DAY.into(),
            }),
        }
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

/// A day of the week: 1 is Monday, 7 is Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weekday(u8);

impl Weekday {
    pub fn new(day: impl TryInto<u8>) -> Result<Self, OutOfBounds> {
        match day.try_into() {
            Ok(day @ 1..=7) => Ok(Self(day)),
            _ => Err(OutOfBounds { min: 1, max: 7 }),
        }
    }

    pub fn get(self) -> u8 {
        self.0
    }
}
