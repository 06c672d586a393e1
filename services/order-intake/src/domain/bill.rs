use tidegate_types::Money;

/// What an order costs. Never negative, and never more than its total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    total: Money,
    discount_minor_units: i64,
}

impl Bill {
    /// What a coupon leaves to pay: it takes off its face value, or the total if that is less.
    /// `None` if it is of another currency.
    pub fn with_coupon(total: Money, face_value: Money) -> Option<Self> {
        let discount_minor_units = face_value.minor_units.clamp(0, total.minor_units);
        (face_value.currency == total.currency).then_some(Self {
            total,
            discount_minor_units,
        })
    }

    pub fn discount(self) -> Money {
        Money {
            minor_units: self.discount_minor_units,
            ..self.total
        }
    }

    pub fn amount_to_pay(self) -> Money {
        Money {
            // The discount is from 0 to the total.
            minor_units: self.total.minor_units - self.discount_minor_units,
            ..self.total
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::CurrencyCode;

    use super::*;

    fn money(minor_units: i64, currency: &str) -> Money {
        Money {
            currency: CurrencyCode::parse(currency).unwrap(),
            minor_units,
        }
    }

    #[test]
    fn a_coupon_takes_off_its_face_value_and_never_more_than_the_total() {
        let bill = |total, face_value| {
            let bill = Bill::with_coupon(money(total, "CNY"), money(face_value, "CNY")).unwrap();
            (
                bill.discount().minor_units,
                bill.amount_to_pay().minor_units,
            )
        };
        assert_eq!(bill(2_500, 1_000), (1_000, 1_500));
        assert_eq!(bill(2_500, 2_500), (2_500, 0));
        assert_eq!(bill(2_500, 9_000), (2_500, 0));
        assert_eq!(bill(0, 9_000), (0, 0));
    }

    #[test]
    fn a_coupon_of_another_currency_takes_off_nothing() {
        assert_eq!(
            Bill::with_coupon(money(2_500, "CNY"), money(1_000, "USD")),
            None
        );
    }
}
