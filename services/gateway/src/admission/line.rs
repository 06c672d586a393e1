use std::{collections::BTreeMap, sync::Arc, time::Instant};

use tidegate_types::Lane;
use tokio::sync::oneshot;

use super::{Admission, UnderWay};
use crate::domain::queue::Turn;

/// So many may always wait for room, however few are answered.
const LEAST_IN_LINE: usize = 4;

/// Turns that have come and wait for room, the earliest first, of whatever campaign. Two of one turn are told apart by who asked first.
#[derive(Default)]
pub(super) struct Line {
    waiting: BTreeMap<Key, Waiting>,
    asked: u64,
}

/// A turn's place in the line.
pub(super) type Key = (Turn, u64);

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

    /// A place for a turn; `None` if `most` wait already, all of them of earlier turns. The latest of them has to go if it is later than this one.
    pub(super) fn join(
        &mut self,
        lane: Lane,
        turn: Turn,
        since: Instant,
        most: usize,
    ) -> Option<(Key, oneshot::Receiver<UnderWay>)> {
        self.asked += 1;
        let key = (turn, self.asked);
        if self.waiting.len() >= most.max(LEAST_IN_LINE) {
            let last = self.waiting.last_entry()?;
            if *last.key() < key {
                return None;
            }
            last.remove();
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

    /// Takes the earliest out whose lane is one that it may be.
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

    /// Waits until there is room; `None` if an earlier turn needs this place.
    pub(super) async fn granted(&mut self) -> Option<UnderWay> {
        (&mut self.granted).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.state().line.waiting.remove(&self.key);
    }
}
