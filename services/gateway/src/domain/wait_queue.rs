//! Calls that wait: for a permit, or for their turn to come. Those first whose turn is first, and
//! those without a turn last, as they came.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use tidegate_types::Turn;

use super::tuning::{MOMENT, SOONEST_ASK};

/// How long one whose turn has come waits for a permit: then its turn is kept, and it comes back.
pub const TURNS_WAIT: Duration = MOMENT;
/// How long a claim without a turn waits: then it gets a position in the queue.
pub const ARRIVALS_WAIT: Duration = SOONEST_ASK;

/// Whoever has a lower one goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// One whose turn has come, or will.
    Turn(Turn),
    /// An order that was sent so many times before, and told to come back.
    Again(Reverse<u32>),
    /// One without a turn: a claim that has no position in a queue, or an order.
    Arrival,
}

impl Rank {
    pub fn of_order(sent_before: u32) -> Self {
        match sent_before {
            0 => Self::Arrival,
            times => Self::Again(Reverse(times)),
        }
    }
}

/// One call's position in the queue.
pub type Key = (Rank, u64);

/// Those who wait, in the order in which they go.
#[derive(Debug)]
pub struct WaitQueue<T> {
    waiting: BTreeMap<Key, T>,
    turns: usize,
    came: u64,
}

impl<T> Default for WaitQueue<T> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            turns: 0,
            came: 0,
        }
    }
}

impl<T> WaitQueue<T> {
    /// Somebody waits from now on.
    pub fn push(&mut self, rank: Rank, one: T) -> Key {
        self.came += 1;
        let key = (rank, self.came);
        self.waiting.insert(key, one);
        self.turns += usize::from(rank != Rank::Arrival);
        key
    }

    /// Somebody waits no longer.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let removed = self.waiting.remove(&key)?;
        self.turns -= usize::from(key.0 != Rank::Arrival);
        Some(removed)
    }

    pub fn pop(&mut self) -> Option<(Key, T)> {
        let key = *self.waiting.first_key_value()?.0;
        self.remove(key).map(|one| (key, one))
    }

    /// Takes the first out if its turn is before this one.
    pub fn pop_before(&mut self, watermark: Turn) -> Option<(Turn, T)> {
        let key = *self.waiting.first_key_value()?.0;
        match key.0 {
            Rank::Turn(turn) if turn < watermark => self.remove(key).map(|one| (turn, one)),
            Rank::Turn(_) | Rank::Again(_) | Rank::Arrival => None,
        }
    }

    /// Whether somebody waits who goes before this rank.
    pub fn has_before(&self, rank: Rank) -> bool {
        let first = self.waiting.first_key_value();
        first.is_some_and(|((first, _), _)| *first <= rank)
    }

    /// The turns of those who wait, in order.
    pub fn turns(&self) -> impl Iterator<Item = Turn> {
        self.waiting.keys().map_while(|(rank, _)| match rank {
            Rank::Turn(turn) => Some(*turn),
            Rank::Again(_) | Rank::Arrival => None,
        })
    }

    /// How many of them have a turn.
    pub fn turn_count(&self) -> usize {
        self.turns
    }

    /// How many have none.
    pub fn arrival_count(&self) -> usize {
        self.len() - self.turns
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::Cohort;

    use super::*;

    fn turn(cohort: u64) -> Turn {
        Turn::first_of(Cohort::new(cohort).unwrap())
    }

    #[test]
    fn turns_go_in_their_order_and_arrivals_after_them_as_they_came() {
        let mut queue = WaitQueue::default();
        queue.push(Rank::Arrival, "new");
        queue.push(Rank::Arrival, "newer");
        queue.push(Rank::Turn(turn(9)), "late");
        let early = queue.push(Rank::Turn(turn(5)), "early");
        assert_eq!((queue.turn_count(), queue.arrival_count()), (2, 2));
        assert!(queue.has_before(Rank::Arrival) && queue.has_before(Rank::Turn(turn(5))));
        assert!(!queue.has_before(Rank::Turn(turn(4))));
        assert_eq!(queue.pop_before(turn(5)), None);
        assert_eq!(queue.remove(early), Some("early"));
        assert_eq!(queue.remove(early), None);
        let mut order = Vec::new();
        while let Some((_, one)) = queue.pop() {
            order.push(one);
        }
        assert_eq!(order, ["late", "new", "newer"]);
        assert!(queue.is_empty() && queue.turn_count() == 0);
    }

    #[test]
    fn orders_that_were_sent_before_go_first_and_those_most_often_sent_before_all() {
        let mut queue = WaitQueue::default();
        for sent_before in [0, 1, 3, 0, 2, 1] {
            queue.push(Rank::of_order(sent_before), sent_before);
        }
        assert_eq!(
            queue.arrival_count(),
            2,
            "the others find a place in any case"
        );
        let order = std::iter::from_fn(|| queue.pop()).map(|(_, sent_before)| sent_before);
        assert_eq!(order.collect::<Vec<_>>(), [3, 2, 1, 1, 0, 0]);
    }
}
