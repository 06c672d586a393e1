//! The shared messages of the contract, to and from the domain's types.

use std::{collections::HashMap, time::Duration};

use tidegate_proto::r#type::v1 as proto;
use tidegate_types::{Money, Reason, Refusal, Retry, Timestamp};

/// A moment on the wire.
pub fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
    // Nanoseconds within a second fit an i32 by definition.
    prost_types::Timestamp {
        seconds: moment.unix_timestamp(),
        nanos: moment.nanosecond() as i32,
    }
}

/// A moment from the wire; `None` if it is outside years 1 to 9999 or malformed.
pub fn moment(timestamp: prost_types::Timestamp) -> Option<Timestamp> {
    let nanos = u32::try_from(timestamp.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    Timestamp::from_unix_timestamp(timestamp.seconds)
        .ok()?
        .replace_nanosecond(nanos)
        .ok()
        .filter(|moment| moment.year() >= 1)
}

/// A span of time on the wire.
pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos() as i32,
    }
}

/// A span of time from the wire; `None` if negative or malformed.
pub fn span(duration: prost_types::Duration) -> Option<Duration> {
    let nanos = u32::try_from(duration.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(duration.seconds).ok()?, nanos))
}

/// An amount on the wire.
pub fn money(money: Money) -> proto::Money {
    proto::Money {
        currency_code: money.currency.to_string(),
        minor_units: money.minor_units,
    }
}

/// A reason on the wire.
pub fn reason(reason: Reason) -> proto::Reason {
    proto::Reason::from_str_name(&format!("REASON_{}", reason.name()))
        .unwrap_or(proto::Reason::Unspecified)
}

/// A reason from the wire; `None` if it is none, or one this version does not know.
pub fn reason_from(number: i32) -> Option<Reason> {
    Reason::from_name(
        proto::Reason::try_from(number)
            .ok()?
            .as_str_name()
            .strip_prefix("REASON_")?,
    )
}

/// A refusal of one item of a batch.
pub fn refusal(refusal: &Refusal) -> proto::Refusal {
    let (retry_after, retry_at) = match refusal.retry {
        Retry::Never => (None, None),
        Retry::After(delay) => (Some(duration(delay)), None),
        Retry::At(moment) => (None, Some(timestamp(moment))),
    };
    proto::Refusal {
        reason: reason(refusal.reason).into(),
        retry_after,
        retry_at,
        metadata: refusal.metadata.iter().cloned().collect::<HashMap<_, _>>(),
    }
}

/// A refusal of one item of a batch, from the wire. A reason this version does not know reads as OVERLOADED, which is safe to retry.
pub fn refusal_from(refusal: proto::Refusal) -> Refusal {
    let retry = match (
        refusal.retry_at.and_then(moment),
        refusal.retry_after.and_then(span),
    ) {
        (Some(moment), _) => Retry::At(moment),
        (None, Some(delay)) => Retry::After(delay),
        (None, None) => Retry::Never,
    };
    match reason_from(refusal.reason) {
        Some(reason) => Refusal {
            retry,
            metadata: refusal.metadata.into_iter().collect(),
            ..Refusal::never(reason)
        },
        None => crate::refusal::out_of_time(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_domain_is_in_the_contract() {
        for known in Reason::ALL {
            assert_eq!(reason_from(reason(*known).into()), Some(*known));
        }
    }

    #[test]
    fn every_reason_of_the_contract_is_in_the_domain() {
        // Numbers are dense; the first that is not defined ends the list.
        let numbers = (1..).take_while(|number| proto::Reason::try_from(*number).is_ok());
        assert_eq!(
            numbers
                .filter(|number| reason_from(*number).is_some())
                .count(),
            Reason::ALL.len()
        );
    }

    #[test]
    fn moments_outside_the_calendar_are_refused() {
        let at = |seconds, nanos| moment(prost_types::Timestamp { seconds, nanos });
        assert_eq!(at(i64::MAX, 0), None);
        assert_eq!(at(0, -1), None);
        assert_eq!(at(0, 1_000_000_000), None);
        let now = Timestamp::now_utc();
        assert_eq!(moment(timestamp(now)), Some(now));
    }
}
