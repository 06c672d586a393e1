use aws_lc_rs::digest::{Context, SHA256};
use tidegate_types::{CouponCode, Lines, RequestId, ShopperId, StoreId, Timestamp};

/// What a shopper asks for: the part of an order that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub shopper: ShopperId,
    /// The caller's name for it, the same on every retry.
    pub request_id: RequestId,
    pub store: StoreId,
    pub lines: Lines,
    pub coupon_code: CouponCode,
    pub latest_acceptable_at: Option<Timestamp>,
}

/// What is known of a draft's coupon code before anything is booked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was made for this shopper.
    True,
    /// It was not.
    False,
    /// Nobody can tell until its key is back.
    KeyMissing,
    /// Nobody could tell in time.
    Unknown,
}

impl Verdict {
    /// Whether a slot may be booked for it.
    pub fn may_book(self) -> bool {
        matches!(self, Self::True | Self::Unknown)
    }
}

impl Draft {
    /// What requests are told apart by.
    pub fn key(&self) -> (ShopperId, RequestId) {
        (self.shopper.clone(), self.request_id.clone())
    }

    /// SHA-256 over everything but the key (shopper, request id). Two drafts of one key with the
    /// same hash are the same order; part of the data format, so it must never change.
    pub fn content_hash(&self) -> Vec<u8> {
        let mut hash = ContentHash(Context::new(&SHA256));
        hash.text(self.store.as_str());
        hash.text(&self.coupon_code.reveal());
        hash.number(
            self.latest_acceptable_at
                .map_or(i128::MIN, Timestamp::unix_timestamp_nanos),
        );
        for line in self.lines.as_slice() {
            hash.text(line.sku.as_str());
            hash.number(line.quantity.get().into());
            hash.text(line.unit_price.get().currency.as_str());
            hash.number(line.unit_price.get().minor_units.into());
        }
        hash.0.finish().as_ref().to_vec()
    }
}

/// Writes fields so that no two different lists of fields are the same bytes: texts go behind their
/// length.
struct ContentHash(Context);

impl ContentHash {
    fn text(&mut self, text: &str) {
        self.number(text.len() as i128);
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, number: i128) {
        self.0.update(&number.to_be_bytes());
    }
}

#[cfg(test)]
fn line(sku: &str, quantity: u32, currency: &str) -> tidegate_types::OrderLine {
    use tidegate_types::{CurrencyCode, Money, OrderLine, Quantity, Sku, UnitPrice};

    let money = Money {
        currency: CurrencyCode::parse(currency).unwrap(),
        minor_units: 1_250,
    };
    OrderLine {
        sku: Sku::parse(sku).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
        unit_price: UnitPrice::new(money).unwrap(),
    }
}

#[cfg(test)]
impl Draft {
    /// One of alice's for drinks of 37.50 yuan.
    pub(crate) fn sample() -> Self {
        let lines = vec![line("oolong", 1, "CNY"), line("taro", 2, "CNY")];
        Self {
            shopper: ShopperId::parse("alice").unwrap(),
            request_id: RequestId::parse("r-1").unwrap(),
            store: StoreId::parse("s-1").unwrap(),
            lines: Lines::new(lines).unwrap(),
            coupon_code: CouponCode::parse("0123456789ABCDEF").unwrap(),
            latest_acceptable_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_part_of_the_content_changes_the_hash_and_the_key_does_not() {
        let same_content = Draft {
            shopper: ShopperId::parse("bob").unwrap(),
            request_id: RequestId::parse("r-2").unwrap(),
            ..Draft::sample()
        };
        assert_eq!(Draft::sample().content_hash(), same_content.content_hash());
        let changed = |change: fn(&mut Draft)| {
            let mut draft = Draft::sample();
            change(&mut draft);
            draft.content_hash()
        };
        let hashes = HashSet::from([
            Draft::sample().content_hash(),
            changed(|draft| draft.store = StoreId::parse("s-2").unwrap()),
            changed(|draft| draft.coupon_code = CouponCode::parse("0123456789ABCDEG").unwrap()),
            changed(|draft| draft.latest_acceptable_at = Some(Timestamp::UNIX_EPOCH)),
            changed(|draft| draft.lines = Lines::new(vec![line("oolong", 1, "CNY")]).unwrap()),
            changed(|draft| {
                draft.lines =
                    Lines::new(vec![line("taro", 2, "CNY"), line("oolong", 1, "CNY")]).unwrap();
            }),
            changed(|draft| {
                draft.lines =
                    Lines::new(vec![line("oolong", 1, "USD"), line("taro", 2, "USD")]).unwrap();
            }),
        ]);
        assert_eq!(hashes.len(), 7);
    }
}
