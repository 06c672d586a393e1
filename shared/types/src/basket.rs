//! What an order asks for. Parsed by the gateway, so that it can name every bad field, and by order-intake, which trusts nobody.

use crate::{Money, OutOfBounds, PrintedText};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CurrencyCode;

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
}
