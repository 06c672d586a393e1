//! The shared messages of the contract, to and from the domain's types.

mod changes;

use std::{collections::HashMap, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use tidegate_proto::r#type::v1 as proto;
use tidegate_types::{
    CurrencyCode, FieldViolation, Lines, Money, OrderLine, Quantity, Reason, Refusal, Retry,
    ShopperId, Sku, Timestamp, UnitPrice, Violations,
};

pub use changes::{change_query, changes};

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

/// An amount from the wire; `None` if it has no currency.
pub fn money_from(money: proto::Money) -> Option<Money> {
    Some(Money {
        currency: CurrencyCode::parse(&money.currency_code).ok()?,
        minor_units: money.minor_units,
    })
}

/// The lines of a basket from the wire, noting every bad field under `lines`.
pub fn lines(bad: &mut Violations, lines: &[proto::OrderLine]) -> Option<Lines> {
    if lines.len() > Lines::MAX {
        return bad.check("lines", Lines::new(Vec::new()));
    }
    let read: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(place, line)| order_line(bad, place, line))
        .collect();
    let read = read.into_iter().collect::<Option<Vec<_>>>()?;
    bad.check("lines", Lines::new(read))
}

fn order_line(bad: &mut Violations, place: usize, line: &proto::OrderLine) -> Option<OrderLine> {
    let sku = bad.check(format_args!("lines[{place}].sku"), Sku::parse(&line.sku));
    let quantity = bad.check(
        format_args!("lines[{place}].quantity"),
        Quantity::new(line.quantity),
    );
    let Some(price) = &line.unit_price else {
        bad.add(format_args!("lines[{place}].unit_price"), "must be set");
        return None;
    };
    let currency = bad.check(
        format_args!("lines[{place}].unit_price.currency_code"),
        CurrencyCode::parse(&price.currency_code),
    );
    let minor_units = price.minor_units;
    let unit_price = currency.and_then(|currency| {
        bad.check(
            format_args!("lines[{place}].unit_price.minor_units"),
            UnitPrice::new(Money {
                currency,
                minor_units,
            }),
        )
    });
    Some(OrderLine {
        sku: sku?,
        quantity: quantity?,
        unit_price: unit_price?,
    })
}

/// A shopper where only membership matters: the first eight bytes of the SHA-256 of its id.
pub fn shopper_hash(shopper: &ShopperId) -> u64 {
    let hash = digest(&SHA256, shopper.as_str().as_bytes());
    let first = hash.as_ref().iter().take(size_of::<u64>());
    first.fold(0, |number, byte| number << 8 | u64::from(*byte))
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
        violations: refusal
            .violations
            .iter()
            .map(|bad| proto::FieldViolation {
                field: bad.field.clone(),
                description: bad.description.clone(),
            })
            .collect(),
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
    let violations = refusal.violations.into_iter().map(|bad| FieldViolation {
        field: bad.field,
        description: bad.description,
    });
    match reason_from(refusal.reason) {
        Some(reason) => Refusal {
            reason,
            retry,
            metadata: refusal.metadata.into_iter().collect(),
            violations: violations.collect(),
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
        let numbers = (1..1_000).filter(|number| proto::Reason::try_from(*number).is_ok());
        assert_eq!(
            numbers
                .filter(|number| reason_from(*number).is_some())
                .count(),
            Reason::ALL.len()
        );
    }

    #[test]
    fn a_shopper_has_the_same_hash_in_every_version() {
        let shopper = ShopperId::parse("abc").unwrap();
        assert_eq!(shopper_hash(&shopper), 0xba78_16bf_8f01_cfea);
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
