//! What an order asks for. Parsed by the gateway, so that it can name every bad field, and by order-intake, which trusts nobody.

use crate::{Money, OutOfBounds, PrintedText, numbers::bounded};

/// What an order line names: a product.
pub type Sku = PrintedText<64>;

const MAX_LINES: usize = 50;
/// In minor units.
const MAX_UNIT_PRICE: i64 = 10_000_000;
/// In minor units. No basket of a shop comes near it, and every sum of money about an order fits.
const MAX_TOTAL: i64 = 1_000_000_000;

bounded! {
    /// How many of a product: 1 to 99.
    Quantity(u8) 1..=99;
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

impl OrderLine {
    /// What the line comes to, in minor units; `None` if that does not fit.
    fn price(&self) -> Option<i64> {
        let price = self.unit_price.get().minor_units;
        price.checked_mul(self.quantity.get().into())
    }
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
    /// A sum that no shop asks for.
    #[error("must come to at most {MAX_TOTAL} minor units")]
    Total,
}

/// A basket: 1 to 50 lines, all in one currency, that come to a sum within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    lines: Vec<OrderLine>,
    total: Money,
}

impl Lines {
    /// The most lines there are; looked at before the lines themselves are read.
    pub const MAX: usize = MAX_LINES;

    /// Takes lines over if they make a basket.
    pub fn new(lines: Vec<OrderLine>) -> Result<Self, InvalidLines> {
        let Some(first) = lines.first().filter(|_| lines.len() <= MAX_LINES) else {
            return Err(InvalidLines::Count);
        };
        let currency = first.unit_price.0.currency;
        let is_other = |line: &OrderLine| line.unit_price.0.currency != currency;
        if lines.iter().any(is_other) {
            return Err(InvalidLines::Currencies);
        }
        let mut prices = lines.iter().map(OrderLine::price);
        let sum = prices.try_fold(0i64, |sum, price| sum.checked_add(price?));
        let sum = sum.filter(|sum| *sum <= MAX_TOTAL);
        let total = Money {
            currency,
            minor_units: sum.ok_or(InvalidLines::Total)?,
        };
        Ok(Self { lines, total })
    }

    /// The lines.
    pub fn as_slice(&self) -> &[OrderLine] {
        &self.lines
    }

    /// What all of them come to.
    pub fn total(&self) -> Money {
        self.total
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
        let refused = |lines| Lines::new(lines).unwrap_err();
        let (yuan, dollars) = (line("a", 1, "CNY"), line("a", 1, "USD"));
        assert_eq!(refused(vec![]), InvalidLines::Count);
        assert_eq!(refused(vec![yuan.clone(); 51]), InvalidLines::Count);
        assert_eq!(
            refused(vec![yuan.clone(), dollars]),
            InvalidLines::Currencies
        );
        assert!(Lines::new(vec![yuan; 50]).is_ok());
    }

    #[test]
    fn a_basket_knows_its_total_and_refuses_one_beyond_the_bound() {
        let lines = Lines::new(vec![line("a", 2, "CNY"), line("b", 3, "CNY")]).unwrap();
        assert_eq!(lines.total().minor_units, 5 * 1_500);
        assert_eq!(lines.total().currency.as_str(), "CNY");
        let mut dear = line("a", 50, "CNY");
        dear.unit_price.0.minor_units = MAX_UNIT_PRICE;
        assert!(Lines::new(vec![dear.clone(); 2]).is_ok());
        assert_eq!(Lines::new(vec![dear; 3]), Err(InvalidLines::Total));
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
