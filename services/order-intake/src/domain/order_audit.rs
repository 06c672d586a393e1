use tidegate_types::{CouponCode, ShopperId, Timestamp};

use super::OrderId;

/// One slot of a store: what is booked, and what is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotBooks {
    pub starts_at: Timestamp,
    pub booked: u64,
    /// What the store could make when it was booked last.
    pub capacity: u64,
    /// Orders that hold a place in it.
    pub orders: u64,
}

/// An order, and what must be true of its coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBooks {
    pub order_id: OrderId,
    pub shopper: ShopperId,
    pub coupon_code: CouponCode,
    /// Whether the coupon must, or must not, pay for it; neither while it is undecided.
    pub is_paid: Option<bool>,
    /// Whether the coupon pays for another order here as well.
    pub is_paid_twice: bool,
}

impl OrderBooks {
    /// Whether issuance says otherwise, which has the coupon pay for `paying`.
    pub fn differs_from(&self, paying: Option<OrderId>) -> bool {
        let is_paid = paying == Some(self.order_id);
        self.is_paid.is_some_and(|must| must != is_paid)
    }
}

/// What an audit of orders found in what it covered, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderAudit {
    pub slots: u64,
    pub slots_from: Option<Timestamp>,
    /// Slots in which more is booked, or to be made, than the store said it can make.
    pub slots_over_capacity: u64,
    /// Slots in which something else is booked than is ordered.
    pub slots_booked_otherwise: u64,
    pub orders: u64,
    /// Orders whose coupon pays for another one as well.
    pub orders_paid_twice: u64,
    /// Paid orders whose coupon pays for another one, or for none, at issuance.
    pub orders_without_coupon: u64,
    /// Orders that gave their coupon back, while it pays for them at issuance.
    pub coupons_not_given_back: u64,
    pub is_complete: bool,
}

impl OrderAudit {
    /// Takes a slot in. What it says is booked is held against its orders only if it begins at
    /// `orders_since` or later: of what is older, orders may have been forgotten.
    pub fn slot(&mut self, books: &SlotBooks, orders_since: Timestamp) {
        self.slots += 1;
        self.slots_from = Some(books.starts_at);
        if books.booked.max(books.orders) > books.capacity {
            self.slots_over_capacity += 1;
        }
        let may_lack_orders = books.starts_at < orders_since && books.orders < books.booked;
        if books.orders != books.booked && !may_lack_orders {
            self.slots_booked_otherwise += 1;
        }
    }

    /// How many things are not as they must be.
    pub fn differences(&self) -> u64 {
        self.slots_over_capacity
            + self.slots_booked_otherwise
            + self.orders_paid_twice
            + self.orders_without_coupon
            + self.coupons_not_given_back
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Slots over capacity, and slots booked otherwise, of one in which so many are booked, can be
    /// made and are ordered.
    fn found(booked: u64, capacity: u64, orders: u64, orders_since: Timestamp) -> (u64, u64) {
        let mut audit = OrderAudit::default();
        let books = SlotBooks {
            starts_at: Timestamp::UNIX_EPOCH,
            booked,
            capacity,
            orders,
        };
        audit.slot(&books, orders_since);
        (audit.slots_over_capacity, audit.slots_booked_otherwise)
    }

    #[test]
    fn a_slot_makes_what_is_booked_and_no_more_than_it_can() {
        let found = |capacity, orders| found(3, capacity, orders, Timestamp::UNIX_EPOCH);
        assert_eq!(found(3, 3), (0, 0));
        assert_eq!(found(2, 3), (1, 0));
        assert_eq!(found(3, 4), (1, 1));
        assert_eq!(found(3, 2), (0, 1));
    }

    #[test]
    fn orders_that_may_be_forgotten_are_not_missed() {
        let later = Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(1);
        assert_eq!(found(3, 3, 2, later), (0, 0));
        assert_eq!(found(3, 9, 4, later), (0, 1));
    }

    #[test]
    fn a_paid_order_is_what_its_coupon_pays_for_and_an_ended_one_is_not() {
        let order = |is_paid| OrderBooks {
            order_id: OrderId(Uuid::from_u128(1)),
            shopper: ShopperId::parse("ann").unwrap(),
            coupon_code: CouponCode::parse("0123456789ABCDEF").unwrap(),
            is_paid,
            is_paid_twice: false,
        };
        let (this, another) = (OrderId(Uuid::from_u128(1)), OrderId(Uuid::from_u128(2)));
        let differs =
            |is_paid| [Some(this), Some(another), None].map(|id| order(is_paid).differs_from(id));
        assert_eq!(differs(Some(true)), [false, true, true]);
        assert_eq!(differs(Some(false)), [true, false, false]);
        assert_eq!(differs(None), [false, false, false]);
    }
}
