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
