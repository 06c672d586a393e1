use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tidegate_types::{OutOfBounds, Timestamp};
use time::macros::datetime;
use uuid::Uuid;

use super::{Order, OrderId};

const DEFAULT_SIZE: u8 = 20;
const MAX_SIZE: u8 = 100;

/// How many orders a page holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u8);

impl PageSize {
    /// Takes a number over if it is from 1 to 100; 0 means 20.
    pub fn new(size: u32) -> Result<Self, OutOfBounds> {
        match u8::try_from(size) {
            Ok(0) => Ok(Self(DEFAULT_SIZE)),
            Ok(size @ 1..=MAX_SIZE) => Ok(Self(size)),
            _ => Err(OutOfBounds {
                min: 0,
                max: MAX_SIZE.into(),
            }),
        }
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

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
    pub const OLDEST: Self = Self {
        created_at: Timestamp::UNIX_EPOCH,
        order_id: OrderId(Uuid::nil()),
    };
    pub const NEWEST: Self = Self {
        created_at: datetime!(9999-12-31 23:59:59 UTC),
        order_id: OrderId(Uuid::max()),
    };

    pub fn after(order: &Order) -> Self {
        Self {
            created_at: order.standing.created_at,
            order_id: order.standing.order_id,
        }
    }

    pub fn before_all_of(moment: Timestamp) -> Self {
        Self {
            created_at: moment,
            order_id: OrderId(Uuid::nil()),
        }
    }

    pub fn after_all_of(moment: Timestamp) -> Self {
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
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| InvalidPageToken)?;
        let (time, id) = bytes.split_at_checked(16).ok_or(InvalidPageToken)?;
        let microseconds = i128::from_be_bytes(time.try_into().map_err(|_| InvalidPageToken)?);
        let nanoseconds = microseconds.checked_mul(1_000).ok_or(InvalidPageToken)?;
        // The time before 1970 is no order's, and that long before our era no database's.
        let created_at = Timestamp::from_unix_timestamp_nanos(nanoseconds)
            .ok()
            .filter(|moment| *moment >= Timestamp::UNIX_EPOCH)
            .ok_or(InvalidPageToken)?;
        Ok(Self {
            created_at,
            order_id: OrderId(Uuid::from_slice(id).map_err(|_| InvalidPageToken)?),
        })
    }
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
}
