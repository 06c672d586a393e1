use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tidegate_types::{ConsumerId, Lane, Lanes, Lines, ShopperId, StoreId, Timestamp};

use super::{Area, OrderId, OrderState, Slot};

const VERSION: u8 = 1;
const SEAL_BYTES: usize = 16;
const POSITION_BYTES: usize = 8;

/// One change of an order's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    pub order_id: OrderId,
    pub shopper: ShopperId,
    pub store: StoreId,
    pub area: Area,
    /// The state it has got; a rejection without its facts.
    pub state: OrderState,
    pub slot: Slot,
    /// What was ordered; `None` once that is no longer kept.
    pub lines: Option<Lines>,
    pub happened_at: Timestamp,
}

/// Which changes a reader wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedFilter {
    pub store: Option<StoreId>,
    pub area: Option<Area>,
}

/// A cursor that no page of this consumer has handed out. The sentence fits behind the field's
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be empty or the cursor of an earlier page of this consumer")]
pub struct InvalidCursor;

/// How far a reader has come in every lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedCursor(Vec<u64>);

impl FeedCursor {
    /// Before everything.
    pub fn start(lanes: Lanes) -> Self {
        Self(vec![0; lanes.get().into()])
    }

    /// The position in a lane: that of the last event read.
    pub fn position(&self, lane: Lane) -> u64 {
        let position = self.0.get(usize::from(lane.get()));
        position.copied().unwrap_or_default()
    }

    /// Goes on in one lane, and never back. Answers how many positions it has passed over: there
    /// are no gaps, so what was there has been dropped.
    pub fn advance(&mut self, lane: Lane, position: u64) -> u64 {
        let Some(here) = self.0.get_mut(usize::from(lane.get())) else {
            return 0;
        };
        let passed_over = position.saturating_sub(*here).saturating_sub(1);
        *here = position.max(*here);
        passed_over
    }

    /// Whether some lane is further than `end`: nobody can have read there.
    pub fn is_beyond(&self, end: &Self) -> bool {
        self.0.iter().zip(&end.0).any(|(here, end)| here > end)
    }

    /// The lanes in which `end` is further, beginning with `first` and going round.
    pub fn lanes_before(&self, end: &Self, lanes: Lanes, first: u16) -> Vec<Lane> {
        let mut behind: Vec<_> = lanes
            .all()
            .filter(|lane| self.position(*lane) < end.position(*lane))
            .collect();
        let split = behind.partition_point(|lane| lane.get() < first);
        behind.rotate_left(split);
        behind
    }

    /// The cursor as an opaque text, for this consumer only.
    pub fn token(&self, consumer: &ConsumerId) -> String {
        let mut bytes = vec![VERSION];
        for position in &self.0 {
            bytes.extend(position.to_be_bytes());
        }
        let seal = seal(consumer, &bytes);
        bytes.extend(seal);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads [`FeedCursor::token`]. The seal tells mistakes, not attacks: whoever may read the feed
    /// may read all of it.
    pub fn parse(token: &str, consumer: &ConsumerId, lanes: Lanes) -> Result<Self, InvalidCursor> {
        let length = 1 + usize::from(lanes.get()) * POSITION_BYTES + SEAL_BYTES;
        // Looked at before the text is read: it may be of any length.
        if token.len() > length * 4 / 3 + 3 {
            return Err(InvalidCursor);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| InvalidCursor)?;
        if bytes.len() != length {
            return Err(InvalidCursor);
        }
        let (content, found) = bytes.split_at(length - SEAL_BYTES);
        let (version, positions) = content.split_at(1);
        if version != [VERSION] || found != seal(consumer, content) {
            return Err(InvalidCursor);
        }
        let (positions, _) = positions.as_chunks::<POSITION_BYTES>();
        let positions = positions.iter().copied().map(u64::from_be_bytes);
        Ok(Self(positions.collect()))
    }
}

fn seal(consumer: &ConsumerId, content: &[u8]) -> Vec<u8> {
    let sealed = [consumer.as_str().as_bytes(), b"\0", content].concat();
    let seal = digest(&SHA256, &sealed);
    seal.as_ref().iter().take(SEAL_BYTES).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> Lanes {
        Lanes::new(3u16).unwrap()
    }

    fn consumer(name: &str) -> ConsumerId {
        ConsumerId::parse(name).unwrap()
    }

    fn cursor(positions: [u64; 3]) -> FeedCursor {
        FeedCursor(positions.into())
    }

    #[test]
    fn a_cursor_survives_as_a_token_of_its_consumer_and_of_no_other() {
        let here = cursor([7, 0, u64::MAX]);
        let token = here.token(&consumer("kitchen"));
        assert_eq!(
            FeedCursor::parse(&token, &consumer("kitchen"), lanes()),
            Ok(here)
        );
        let others = FeedCursor::parse(&token, &consumer("kitchen-2"), lanes());
        assert_eq!(others, Err(InvalidCursor));
        let four = Lanes::new(4u16).unwrap();
        let other_lanes = FeedCursor::parse(&token, &consumer("kitchen"), four);
        assert_eq!(other_lanes, Err(InvalidCursor));
    }

    #[test]
    fn a_cursor_of_which_anything_was_changed_is_refused() {
        let token = cursor([7, 8, 9]).token(&consumer("kitchen"));
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let parsed = FeedCursor::parse(&changed, &consumer("kitchen"), lanes());
            assert_eq!(parsed, Err(InvalidCursor), "{changed}");
        }
        for garbage in ["x", "奶茶", &token[1..], &"A".repeat(100_000)] {
            let parsed = FeedCursor::parse(garbage, &consumer("kitchen"), lanes());
            assert_eq!(parsed, Err(InvalidCursor));
        }
    }

    #[test]
    fn the_lanes_that_are_behind_are_read_in_turn_from_another_one_each_time() {
        let (here, end) = (cursor([1, 5, 0]), cursor([3, 5, 4]));
        let numbers = |first| -> Vec<u16> {
            let behind = here.lanes_before(&end, lanes(), first);
            behind.into_iter().map(Lane::get).collect()
        };
        assert_eq!(numbers(0), [0, 2]);
        assert_eq!(numbers(1), [2, 0]);
        assert_eq!(numbers(3), [0, 2]);
        assert!(end.is_beyond(&here) && !here.is_beyond(&end));
    }

    #[test]
    fn a_cursor_never_goes_back_and_tells_what_it_passes_over() {
        let mut here = cursor([1, 5, 0]);
        let lane = |number: u16| lanes().lane(number).unwrap();
        assert_eq!(here.advance(lane(1), 4), 0);
        assert_eq!(here.advance(lane(0), 2), 0);
        assert_eq!(here.advance(lane(2), 3), 2, "1 and 2 were not told");
        assert_eq!(here, cursor([2, 5, 3]));
    }
}
