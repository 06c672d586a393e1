use aws_lc_rs::digest::{Context, SHA256};
use tidegate_types::{CouponCode, Money, OutOfBounds, RequestId, ShopperId, StoreId, Timestamp};

use super::PrintedText;

/// What an order line names: a product.
pub type Sku = PrintedText<64>;

const MAX_LINES: usize = 50;
const MAX_QUANTITY: u8 = 99;
/// In minor units; keeps the sum of a basket far inside an `i64`.
const MAX_UNIT_PRICE: i64 = 10_000_000;

/// How many of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity(u8);

impl Quantity {
    /// Takes a number over if it is from 1 to 99.
    pub fn new(quantity: impl TryInto<u8>) -> Result<Self, OutOfBounds> {
        match quantity.try_into() {
            Ok(quantity @ 1..=MAX_QUANTITY) => Ok(Self(quantity)),
            _ => Err(OutOfBounds {
                min: 1,
                max: MAX_QUANTITY.into(),
            }),
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// The price of one of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitPrice(Money);

impl UnitPrice {
    /// Takes an amount over if it is not negative and at most 10,000,000 minor units.
    pub fn new(money: Money) -> Result<Self, OutOfBounds> {
        if (0..=MAX_UNIT_PRICE).contains(&money.minor_units) {
            Ok(Self(money))
        } else {
            Err(OutOfBounds {
                min: 0,
                max: MAX_UNIT_PRICE.unsigned_abs(),
            })
        }
    }

    /// The amount.
    pub fn get(self) -> Money {
        self.0
    }
}

/// One line of a basket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// The price of one.
    pub unit_price: UnitPrice,
}

/// Why lines do not make a basket. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLines {
    /// None, or too many.
    #[error("must be 1 to {MAX_LINES} lines")]
    Count,
    /// Prices that cannot be added.
    #[error("must all be in one currency")]
    Currencies,
}

/// A basket: 1 to 50 lines, all in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines(Vec<OrderLine>);

impl Lines {
    /// The most lines there are; looked at before the lines themselves are read.
    pub const MAX: usize = MAX_LINES;

    /// Takes lines over if they make a basket.
    pub fn new(lines: Vec<OrderLine>) -> Result<Self, InvalidLines> {
        let Some(first) = lines.first().filter(|_| lines.len() <= MAX_LINES) else {
            return Err(InvalidLines::Count);
        };
        let currency = first.unit_price.0.currency;
        if lines
            .iter()
            .any(|line| line.unit_price.0.currency != currency)
        {
            return Err(InvalidLines::Currencies);
        }
        Ok(Self(lines))
    }

    /// The lines.
    pub fn as_slice(&self) -> &[OrderLine] {
        &self.0
    }
}

/// What a shopper asks for: the part of an order that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whose order it is.
    pub shopper: ShopperId,
    /// The caller's name for it, the same on every retry.
    pub request_id: RequestId,
    /// The store that is to make it.
    pub store: StoreId,
    /// What is wanted.
    pub lines: Lines,
    /// The coupon that pays for it.
    pub coupon_code: CouponCode,
    /// The latest time at which it is wanted.
    pub latest_acceptable_at: Option<Timestamp>,
}

impl Draft {
    /// SHA-256 over everything but the key (shopper, request id). Two drafts of one key with the same hash are the same order; part of the data format, so it must never change.
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hash = ContentHash(Context::new(&SHA256));
        hash.text(self.store.as_str());
        hash.text(&self.coupon_code.reveal());
        hash.number(
            self.latest_acceptable_at
                .map_or(i128::MIN, Timestamp::unix_timestamp_nanos),
        );
        for line in self.lines.as_slice() {
            hash.text(line.sku.as_str());
            hash.number(line.quantity.0.into());
            hash.text(line.unit_price.0.currency.as_str());
            hash.number(line.unit_price.0.minor_units.into());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.0.finish().as_ref());
        bytes
    }
}

/// Writes fields so that no two different lists of fields are the same bytes: texts go behind their length.
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
mod tests {
    use std::collections::HashSet;

    use tidegate_types::CurrencyCode;

    use super::*;

    fn line(sku: &str, quantity: u32, currency: &str) -> OrderLine {
        let money = Money {
            currency: CurrencyCode::parse(currency).unwrap(),
            minor_units: 1_500,
        };
        OrderLine {
            sku: Sku::parse(sku).unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
            unit_price: UnitPrice::new(money).unwrap(),
        }
    }

    fn draft() -> Draft {
        Draft {
            shopper: ShopperId::parse("alice").unwrap(),
            request_id: RequestId::parse("r-1").unwrap(),
            store: StoreId::parse("s-1").unwrap(),
            lines: Lines::new(vec![line("oolong", 1, "CNY"), line("taro", 2, "CNY")]).unwrap(),
            coupon_code: CouponCode::parse("0123456789ABCDEF").unwrap(),
            latest_acceptable_at: None,
        }
    }

    #[test]
    fn a_basket_has_1_to_50_lines_of_one_currency() {
        assert_eq!(Lines::new(vec![]), Err(InvalidLines::Count));
        assert_eq!(
            Lines::new(vec![line("a", 1, "CNY"); 51]),
            Err(InvalidLines::Count)
        );
        assert_eq!(
            Lines::new(vec![line("a", 1, "CNY"), line("a", 1, "USD")]),
            Err(InvalidLines::Currencies)
        );
        assert!(Lines::new(vec![line("a", 1, "CNY"); 50]).is_ok());
    }

    #[test]
    fn quantities_and_prices_keep_to_their_bounds() {
        assert!(Quantity::new(0u32).is_err() && Quantity::new(100u32).is_err());
        assert_eq!(Quantity::new(99u32).map(Quantity::get), Ok(99));
        let price = |minor_units| {
            UnitPrice::new(Money {
                currency: CurrencyCode::parse("CNY").unwrap(),
                minor_units,
            })
        };
        assert!(price(-1).is_err() && price(MAX_UNIT_PRICE + 1).is_err());
        assert!(price(0).is_ok() && price(MAX_UNIT_PRICE).is_ok());
    }

    #[test]
    fn each_part_of_the_content_changes_the_hash_and_the_key_does_not() {
        let same_content = Draft {
            shopper: ShopperId::parse("bob").unwrap(),
            request_id: RequestId::parse("r-2").unwrap(),
            ..draft()
        };
        assert_eq!(draft().content_hash(), same_content.content_hash());
        let changed = |change: fn(&mut Draft)| {
            let mut draft = draft();
            change(&mut draft);
            draft.content_hash()
        };
        let hashes = HashSet::from([
            draft().content_hash(),
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
