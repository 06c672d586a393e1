use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tidegate_types::{OutOfBounds, StoreId, Timestamp};
use time::macros::datetime;
use uuid::Uuid;

use super::{Area, Order, OrderId, StateKind, bounded};

/// How many orders a page holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u8);

impl PageSize {
    /// Takes a number over if it is from 1 to 100; 0 means 20.
    pub fn new(size: u32) -> Result<Self, OutOfBounds> {
        match bounded(size, 0, 100)? {
            0 => Ok(Self(20)),
            size => Ok(Self(size)),
        }
    }

    pub fn get(self) -> u8 {
        self.0
    }

    /// How many to read: one more tells whether there is a next page.
    pub fn and_one(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// A page of what was read, and where the next one begins.
    pub fn page<T, Place>(
        self,
        mut read: Vec<T>,
        place: impl FnOnce(&T) -> Place,
    ) -> Paged<T, Place> {
        let is_last = read.len() <= usize::from(self.0);
        read.truncate(self.0.into());
        let next = read.last().filter(|_| !is_last).map(place);
        (read, next)
    }
}

/// What a page holds, and where the next one begins if there is one.
pub type Paged<T, Place> = (Vec<T>, Option<Place>);

/// A page token that no page has handed out. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be empty or the next_page_token of an earlier page")]
pub struct InvalidPageToken;

/// Where a page ends: the order it ended with. It names a place in time and not a count, so orders
/// placed meanwhile move nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PagePosition {
    /// When that order was made durable, or whatever moment the page's orders are sorted by.
    pub created_at: Timestamp,
    pub order_id: OrderId,
}

impl PagePosition {
    pub const OLDEST: Self = Self::before_all_of(Timestamp::UNIX_EPOCH);
    pub const NEWEST: Self = Self::after_all_of(datetime!(9999-12-31 23:59:59 UTC));

    pub fn after(order: &Order) -> Self {
        Self {
            created_at: order.standing.created_at,
            order_id: order.standing.order_id,
        }
    }

    pub const fn before_all_of(moment: Timestamp) -> Self {
        Self {
            created_at: moment,
            order_id: OrderId(Uuid::nil()),
        }
    }

    pub const fn after_all_of(moment: Timestamp) -> Self {
        Self {
            created_at: moment,
            order_id: OrderId(Uuid::max()),
        }
    }

    pub fn token(self) -> String {
        let microseconds = self.created_at.unix_timestamp_nanos() / 1_000;
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&microseconds.to_be_bytes());
        bytes[16..].copy_from_slice(self.order_id.0.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn parse(token: &str) -> Result<Self, InvalidPageToken> {
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(token);
        let read = |bytes: Vec<u8>| {
            let (time, id) = bytes.split_at_checked(16)?;
            let microseconds = i128::from_be_bytes(time.try_into().ok()?);
            let nanoseconds = microseconds.checked_mul(1_000)?;
            let created_at = Timestamp::from_unix_timestamp_nanos(nanoseconds).ok()?;
            let order_id = OrderId(Uuid::from_slice(id).ok()?);
            // The time before 1970 is no order's, and that long before our era no database's.
            (created_at >= Timestamp::UNIX_EPOCH).then_some(Self {
                created_at,
                order_id,
            })
        };
        decoded.ok().and_then(read).ok_or(InvalidPageToken)
    }
}

/// Which orders of a store are asked for, by the slots in which it makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOrdersQuery {
    pub store: StoreId,
    pub states: Vec<StateKind>,
    /// Those that come after this place, whose time is the beginning of a slot.
    pub after: PagePosition,
    /// Those whose slot begins before this moment.
    pub until: Timestamp,
    pub size: PageSize,
}

impl StoreOrdersQuery {
    /// The same, without slots that begin before this moment.
    pub fn not_before(self, first: Timestamp) -> Self {
        let first = PagePosition::before_all_of(first);
        Self {
            after: self.after.max(first),
            ..self
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoresQuery {
    pub area: Option<Area>,
    /// Those that are closed only, or open only.
    pub is_closed: Option<bool>,
    /// Those whose id comes after this one.
    pub after: Option<StoreId>,
    pub size: PageSize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::to_microsecond;

    #[test]
    fn a_place_survives_as_a_token() {
        let place = PagePosition {
            created_at: to_microsecond(Timestamp::now_utc()),
            order_id: OrderId(Uuid::now_v7()),
        };
        assert_eq!(PagePosition::parse(&place.token()), Ok(place));
    }

    #[test]
    fn a_token_that_no_page_gave_is_refused() {
        let endless = BASE64_URL_SAFE_NO_PAD.encode([0x7f; 32]);
        let before_1970 = BASE64_URL_SAFE_NO_PAD.encode([0xff; 32]);
        for bad in [
            "",
            "x",
            "奶茶",
            &"A".repeat(42),
            &"A".repeat(44),
            &endless,
            &before_1970,
        ] {
            assert_eq!(PagePosition::parse(bad), Err(InvalidPageToken), "{bad}");
        }
    }

    #[test]
    fn a_page_holds_20_unless_told_and_never_more_than_100() {
        assert_eq!(PageSize::new(0).map(PageSize::get), Ok(20));
        assert_eq!(PageSize::new(100).map(PageSize::get), Ok(100));
        assert!(PageSize::new(101).is_err() && PageSize::new(257).is_err());
    }

    #[test]
    fn what_is_older_than_may_be_listed_is_left_out_and_a_later_page_stays() {
        let from = |after| StoreOrdersQuery {
            store: StoreId::parse("s-1").unwrap(),
            states: StateKind::ALL.to_vec(),
            after,
            until: datetime!(2026-02-07 00:00 UTC),
            size: PageSize::new(0).unwrap(),
        };
        let first = datetime!(2026-02-06 00:00 UTC);
        let begins = from(PagePosition::OLDEST).not_before(first).after;
        assert_eq!(begins, PagePosition::before_all_of(first));
        let later = PagePosition::after_all_of(first);
        assert_eq!(from(later).not_before(first).after, later);
    }
}
