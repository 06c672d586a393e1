//! Moments and lengths of time as people type them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

const DAY_SECONDS: i64 = 86_400;

/// A moment: `2026-12-24T18:00:00+08:00`, `now`, `+90m` or `+14d` from now on, or `-1h` ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This one, whenever it is read.
    At(Timestamp),
    /// So long after it is read.
    FromNow(SignedDuration),
}

impl Moment {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "now" {
            return Ok(Self::FromNow(SignedDuration::ZERO));
        }
        let from_now = |length: &str| SignedDuration::try_from(parse_length(length).ok()?).ok();
        let read = match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(length), _) => from_now(length).map(Self::FromNow),
            (_, Some(length)) => from_now(length).map(|length| Self::FromNow(-length)),
            (None, None) => text.parse().ok().map(Self::At),
        };
        read.ok_or_else(|| {
            format!(
                "{text:?} is no moment: write 2026-12-24T18:00:00+08:00, now, +90m, +14d or -1h"
            )
        })
    }

    /// The moment, if it is read now.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::FromNow(length) => now.checked_add(length).unwrap_or(Timestamp::MAX),
        }
    }
}

/// A moment of the command line, on the wire.
pub fn parse_moment(text: &str) -> Result<prost_types::Timestamp, String> {
    Ok(on_the_wire(Moment::parse(text)?.at(Timestamp::now())))
}

/// A length of time, such as `30s`, `2h 30m` or `14d`.
pub fn parse_length(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no length of time: write 30s, 2h 30m or 14d");
    // Days are whole days of 24 hours: nobody's clock is meant.
    let read: SignedDuration = match text.trim().strip_suffix('d') {
        Some(days) => {
            let days: i64 = days.trim().parse().map_err(|_| wrong())?;
            SignedDuration::from_secs(days.checked_mul(DAY_SECONDS).ok_or_else(wrong)?)
        }
        None => text.trim().parse().map_err(|_| wrong())?,
    };
    Duration::try_from(read).map_err(|_| wrong())
}

pub fn on_the_wire(moment: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: moment.as_second(),
        nanos: moment.subsec_nanosecond(),
    }
}

/// A moment from the wire; `None` if it is none.
pub fn from_the_wire(moment: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(moment.seconds, moment.nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_type_them() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let read = |text| Moment::parse(text).map(|moment| moment.at(now).to_string());
        assert_eq!(read("now").unwrap(), "2026-12-01T00:00:00Z");
        assert_eq!(read("+90m").unwrap(), "2026-12-01T01:30:00Z");
        assert_eq!(read("+14d").unwrap(), "2026-12-15T00:00:00Z");
        assert_eq!(read("-1h").unwrap(), "2026-11-30T23:00:00Z");
        let zoned = read("2026-12-24T18:00:00+08:00").unwrap();
        assert_eq!(zoned, "2026-12-24T10:00:00Z");
        assert!(read("tomorrow").unwrap_err().contains("+90m"));
    }

    #[test]
    fn lengths_are_read_as_people_type_them() {
        assert_eq!(parse_length("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(parse_length("2h 30m"), Ok(Duration::from_secs(9_000)));
        for wrong in ["", "x", "-3s", "99999999999999999d"] {
            assert!(parse_length(wrong).is_err(), "{wrong}");
        }
    }
}
