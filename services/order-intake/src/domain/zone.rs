use std::str::FromStr as _;

use jiff::{civil, tz::TimeZone};
use tidegate_types::{OutOfBounds, Timestamp};
use time::UtcOffset;

use super::bounded;

const MAX_NAME_LENGTH: usize = 64;

/// A whole minute, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    pub fn of(moment: Timestamp) -> Self {
        Self(moment.unix_timestamp().div_euclid(60))
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
        bounded(minute, 0, 1_439).map(Self)
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
        bounded(day, 1, 7).map(Self)
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

/// A name no time zone has. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a name of the IANA time zone database, such as America/New_York")]
pub struct InvalidZone;

/// What is no day. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a day such as 2026-12-25")]
pub struct InvalidDay;

/// A day of the calendar, whatever clocks show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(civil::Date);

impl Day {
    /// Reads `2026-12-25`.
    pub fn parse(text: &str) -> Result<Self, InvalidDay> {
        let day = civil::Date::from_str(text).map(Self);
        day.ok()
            .filter(|day| day.to_string() == text)
            .ok_or(InvalidDay)
    }

    pub fn weekday(self) -> Option<Weekday> {
        Weekday::new(self.0.weekday().to_monday_one_offset()).ok()
    }

    /// So many days later, at the end of the calendar the last one.
    pub fn plus(self, days: i64) -> Self {
        Self(
            self.0
                .saturating_add(jiff::SignedDuration::from_hours(24 * days)),
        )
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The time zone of a store's clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreZone(TimeZone);

impl Default for StoreZone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl StoreZone {
    /// Finds a zone by its IANA name, whatever the case of its letters.
    pub fn parse(name: &str) -> Result<Self, InvalidZone> {
        if name.len() > MAX_NAME_LENGTH {
            return Err(InvalidZone);
        }
        let zone = TimeZone::get(name).map_err(|_| InvalidZone)?;
        let is_named = zone.iana_name().is_some() && !zone.is_unknown();
        is_named.then_some(Self(zone)).ok_or(InvalidZone)
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The day that its clocks show in a minute.
    pub fn day_of(&self, minute: Minute) -> Day {
        Day(self.0.to_datetime(instant(minute)).date())
    }

    /// The minute in which its clocks show a time of a day. Of two it is the first; one that they
    /// leave out is as much later as they are set.
    pub fn minute_of(&self, day: Day, minute: MinuteOfDay) -> Minute {
        // A minute of the day has an hour below 24 and a minute below 60.
        let (hour, minute) = ((minute.get() / 60) as i8, (minute.get() % 60) as i8);
        let shown = self.0.to_timestamp(day.0.at(hour, minute, 0, 0));
        let seconds = shown.map_or(0, |shown| shown.as_second());
        Minute(seconds.div_euclid(60))
    }

    /// The beginning of the stretch of so many minutes in which a minute lies, counted from the
    /// hours that its clocks show.
    pub fn stretch_of(&self, minute: Minute, minutes: i64) -> Minute {
        let shown = minute.0 + i64::from(self.seconds_ahead(minute)).div_euclid(60);
        minute.plus(-shown.rem_euclid(minutes))
    }

    /// The same moment as its clocks show it.
    pub fn shown(&self, moment: Timestamp) -> Timestamp {
        let ahead = UtcOffset::from_whole_seconds(self.seconds_ahead(Minute::of(moment)));
        ahead
            .ok()
            .and_then(|ahead| moment.checked_to_offset(ahead))
            .unwrap_or(moment)
    }

    fn seconds_ahead(&self, minute: Minute) -> i32 {
        self.0.to_offset(instant(minute)).seconds()
    }
}

fn instant(minute: Minute) -> jiff::Timestamp {
    jiff::Timestamp::from_second(minute.0.saturating_mul(60)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn zones_are_found_by_their_names_and_by_nothing_else() {
        let name = |text: &str| StoreZone::parse(text).map(|zone| zone.name().to_owned());
        for known in ["America/New_York", "Asia/Shanghai", "UTC", "Etc/GMT-8"] {
            assert_eq!(name(known).as_deref(), Ok(known));
        }
        let long = "x".repeat(65);
        for unknown in ["", "Mars/Olympus", "+08:00", "Etc/Unknown", &long] {
            assert_eq!(name(unknown), Err(InvalidZone), "{unknown}");
        }
        assert_eq!(StoreZone::default().name(), "UTC");
    }

    #[test]
    fn a_moment_is_shown_with_what_its_clocks_are_ahead_of_utc() {
        let zone = StoreZone::parse("America/New_York").unwrap();
        let before = zone.shown(datetime!(2026-03-08 06:59 UTC));
        assert_eq!(before, datetime!(2026-03-08 01:59 -5));
        assert_eq!(before.hour(), 1);
        let after = zone.shown(datetime!(2026-03-08 07:00 UTC));
        assert_eq!((after.hour(), after.offset().whole_hours()), (3, -4));
    }

    #[test]
    fn a_time_that_clocks_show_twice_is_the_first_and_one_they_leave_out_is_later() {
        let zone = StoreZone::parse("America/New_York").unwrap();
        let at = |day, minute| {
            let minute = MinuteOfDay::new(minute).unwrap();
            zone.minute_of(Day::parse(day).unwrap(), minute).begins_at()
        };
        assert_eq!(at("2026-11-01", 90u16), datetime!(2026-11-01 05:30 UTC));
        assert_eq!(at("2026-11-01", 120u16), datetime!(2026-11-01 07:00 UTC));
        assert_eq!(at("2026-03-08", 150u16), datetime!(2026-03-08 07:30 UTC));
    }

    #[test]
    fn stretches_are_counted_from_the_hours_that_the_store_s_clocks_show() {
        // Kathmandu is 5:45 ahead of UTC, so its full hours begin at a quarter past.
        let zone = StoreZone::parse("Asia/Kathmandu").unwrap();
        let moment = Minute::of(datetime!(2026-02-06 10:14:59 UTC));
        let begins = zone.stretch_of(moment, 60).begins_at();
        assert_eq!(begins, datetime!(2026-02-06 09:15 UTC));
    }

    #[test]
    fn days_are_read_in_one_form() {
        assert_eq!(
            Day::parse("2026-12-25").unwrap().weekday(),
            Weekday::new(5).ok()
        );
        for wrong in [
            "2026-02-29",
            "20261225",
            "2026-12-25T00:00",
            "",
            "Christmas",
        ] {
            assert_eq!(Day::parse(wrong), Err(InvalidDay), "{wrong}");
        }
        let last = Day::parse("2026-12-31").unwrap();
        assert_eq!(last.plus(1), Day::parse("2027-01-01").unwrap());
    }
}
