use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_types::Lane;
use tokio::sync::oneshot;

use super::{Admission, UnderWay, asking::NEW_CLAIM};

/// So many may always wait for room, however few are answered, and so many of one lane.
const LEAST_IN_LINE: usize = 4;

/// Claims that wait for room: those first that have the higher rank, whatever their campaign, and of these whoever asked first.
#[derive(Default)]
pub(super) struct Line {
    /// Only lanes for which somebody waits.
    by_lane: BTreeMap<Lane, BTreeMap<Key, Waiting>>,
    waiting: usize,
    asked: u64,
}

/// A place in the line: its rank, and how many asked before.
pub(super) type Key = (Reverse<u64>, u64);

/// How many may wait for room at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) of_all: usize,
    /// One lane that hangs leaves room for the others.
    pub(super) of_lane: usize,
}

/// One who waits in the line.
pub(super) struct Waiting {
    is_turn: bool,
    since: Instant,
    granted: oneshot::Sender<UnderWay>,
}

impl Waiting {
    /// How long a turn waited; new claims that wait are no sign that turns come too fast.
    pub(super) fn turn_waited(&self, now: Instant) -> Duration {
        if self.is_turn {
            now.saturating_duration_since(self.since)
        } else {
            Duration::ZERO
        }
    }

    /// Lets it go to issuance. If it has gone away, what was granted is dropped here.
    pub(super) fn grant(self, under_way: UnderWay) {
        drop(self.granted.send(under_way));
    }
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether any of those who wait is a turn.
    pub(super) fn has_turns(&self) -> bool {
        let mut first_of_each = self.by_lane.values().filter_map(BTreeMap::first_key_value);
        first_of_each.any(|(_, first)| first.is_turn)
    }

    /// A place for a claim; `None` if so many wait already, all of them before it. The last of them has to go if this one goes before it.
    pub(super) fn join(
        &mut self,
        lane: Lane,
        rank: u64,
        since: Instant,
        most: Most,
    ) -> Option<(Key, oneshot::Receiver<UnderWay>)> {
        self.asked += 1;
        let key = (Reverse(rank), self.asked);
        let of_lane = self.by_lane.get(&lane).map_or(0, BTreeMap::len);
        let last = if of_lane >= most.of_lane.max(LEAST_IN_LINE) {
            self.last_of(lane)
        } else if self.waiting >= most.of_all.max(LEAST_IN_LINE) {
            let last_of_each = self.by_lane.keys().filter_map(|lane| self.last_of(*lane));
            last_of_each.max_by_key(|(_, key)| *key)
        } else {
            None
        };
        if let Some((lane, last)) = last {
            if last < key {
                return None;
            }
            self.remove(lane, last);
        }
        let (granted, receiver) = oneshot::channel();
        let waiting = Waiting {
            is_turn: rank > NEW_CLAIM,
            since,
            granted,
        };
        self.by_lane.entry(lane).or_default().insert(key, waiting);
        self.waiting += 1;
        Some((key, receiver))
    }

    fn last_of(&self, lane: Lane) -> Option<(Lane, Key)> {
        let (key, _) = self.by_lane.get(&lane)?.last_key_value()?;
        Some((lane, *key))
    }

    /// Takes the first out whose lane is one that it may be.
    pub(super) fn take_first(&mut self, may_be: impl Fn(Lane) -> bool) -> Option<(Lane, Waiting)> {
        let lanes = self.by_lane.iter().filter(|(lane, _)| may_be(**lane));
        let first_of_each =
            lanes.filter_map(|(lane, waiting)| Some((*lane, *waiting.first_key_value()?.0)));
        let (lane, first) = first_of_each.min_by_key(|(_, key)| *key)?;
        let waiting = self.remove(lane, first)?;
        Some((lane, waiting))
    }

    pub(super) fn remove(&mut self, lane: Lane, key: Key) -> Option<Waiting> {
        let of_lane = self.by_lane.get_mut(&lane)?;
        let removed = of_lane.remove(&key)?;
        if of_lane.is_empty() {
            self.by_lane.remove(&lane);
        }
        self.waiting -= 1;
        Some(removed)
    }
}

/// A place in the line, given up when this is dropped.
pub(super) struct Place {
    pub(super) admission: Arc<Admission>,
    pub(super) is_overdue: bool,
    pub(super) lane: Lane,
    pub(super) key: Key,
    pub(super) granted: oneshot::Receiver<UnderWay>,
}

impl Place {
    /// Waits until there is room; `None` if another claim needs this place.
    pub(super) async fn granted(&mut self) -> Option<UnderWay> {
        (&mut self.granted).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.line(self.is_overdue).remove(self.lane, self.key);
    }
}
