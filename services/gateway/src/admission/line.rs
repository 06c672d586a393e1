use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Instant};

use tidegate_types::Lane;
use tokio::sync::oneshot;

use super::{Admission, UnderWay};

/// So many may always wait for room, however few are answered, and so many of one lane.
const LEAST_IN_LINE: usize = 4;

/// Turns that have come and wait for room: those first that are overdue by more seconds, whatever their campaign, and of these whoever asked first.
#[derive(Default)]
pub(super) struct Line {
    waiting: BTreeMap<Key, Waiting>,
    asked: u64,
}

/// A place in the line: by how many seconds its turn is overdue, and how many asked before.
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
    pub(super) lane: Lane,
    pub(super) since: Instant,
    granted: oneshot::Sender<UnderWay>,
}

impl Waiting {
    /// Lets it go to issuance. If it has gone away, what was granted is dropped here.
    pub(super) fn grant(self, under_way: UnderWay) {
        drop(self.granted.send(under_way));
    }
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A place for a turn; `None` if so many wait already, all of them before it. The last of them has to go if this one goes before it.
    pub(super) fn join(
        &mut self,
        lane: Lane,
        overdue_seconds: u64,
        since: Instant,
        most: Most,
    ) -> Option<(Key, oneshot::Receiver<UnderWay>)> {
        self.asked += 1;
        let key = (Reverse(overdue_seconds), self.asked);
        let of_lane = self.waiting.values().filter(|other| other.lane == lane);
        let last = if of_lane.count() >= most.of_lane.max(LEAST_IN_LINE) {
            self.last(|other| other == lane)
        } else if self.waiting.len() >= most.of_all.max(LEAST_IN_LINE) {
            self.last(|_| true)
        } else {
            None
        };
        if let Some(last) = last {
            if last < key {
                return None;
            }
            self.waiting.remove(&last);
        }
        let (granted, receiver) = oneshot::channel();
        let waiting = Waiting {
            lane,
            since,
            granted,
        };
        self.waiting.insert(key, waiting);
        Some((key, receiver))
    }

    fn last(&self, is_meant: impl Fn(Lane) -> bool) -> Option<Key> {
        let mut of_those = self.waiting.iter().rev();
        of_those
            .find(|(_, waiting)| is_meant(waiting.lane))
            .map(|(key, _)| *key)
    }

    /// Takes the first out whose lane is one that it may be.
    pub(super) fn take_first(&mut self, may_be: impl Fn(Lane) -> bool) -> Option<Waiting> {
        let first = self
            .waiting
            .iter()
            .find(|(_, waiting)| may_be(waiting.lane));
        let key = first.map(|(key, _)| *key)?;
        self.waiting.remove(&key)
    }
}

/// A place in the line, given up when this is dropped.
pub(super) struct Place {
    admission: Arc<Admission>,
    key: Key,
    granted: oneshot::Receiver<UnderWay>,
}

impl Place {
    pub(super) fn new(
        admission: Arc<Admission>,
        key: Key,
        granted: oneshot::Receiver<UnderWay>,
    ) -> Self {
        Self {
            admission,
            key,
            granted,
        }
    }

    /// Waits until there is room; `None` if another turn needs this place.
    pub(super) async fn granted(&mut self) -> Option<UnderWay> {
        (&mut self.granted).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.state().line.waiting.remove(&self.key);
    }
}
