//! Who said to come back when. A position in a queue counts as long as its holder keeps coming back
//! as told: nothing else tells one who waits from one who has gone.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use tidegate_types::{Cohort, Turn};

use super::tuning::{MOST_SELDOM, REPORT_INTERVAL};

/// Promises are kept by such spans of time.
const SLOT: Duration = Duration::from_millis(50);
/// Whoever comes within this time is counted on: by then quota knows of it and has answered twice.
pub const SOON: Duration = REPORT_INTERVAL.saturating_mul(2);

/// Promises to come back, by when they are due.
#[derive(Debug)]
pub struct Promises {
    began: Instant,
    /// The number of the first slot that is kept.
    first: u64,
    slots: VecDeque<Slot>,
    total: u64,
    ended: u64,
}

/// Those who come back in one span of time.
#[derive(Debug, Default)]
struct Slot {
    count: u64,
    /// By cohort, what they drew: four bytes a promise.
    draws: BTreeMap<Cohort, Vec<u32>>,
}

/// How many of one cohort will come back whose turns have not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coming {
    pub all: u64,
    /// Those who will be there soon.
    pub soon: u64,
}

/// All promises at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Holders of turns that have come who will be there soon.
    pub due_soon: u64,
    pub waiting: BTreeMap<Cohort, Coming>,
}

impl Promises {
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            first: 0,
            slots: VecDeque::new(),
            total: 0,
            ended: 0,
        }
    }

    /// The first moment from this one on at which no more come back than can be answered.
    pub fn free_from(&self, earliest: Instant, most_per_second: f64) -> Instant {
        let most = (most_per_second * SLOT.as_secs_f64()).max(1.0) as u64;
        let from = self.slot(earliest).saturating_sub(self.first) as usize;
        let is_free = |slot: &&Slot| slot.count < most;
        let latest = MOST_SELDOM.div_duration_f64(SLOT) as usize;
        let later = self.slots.iter().skip(from).take(latest);
        let full = later.take_while(|slot| !is_free(slot)).count();
        earliest + SLOT * u32::try_from(full).unwrap_or(u32::MAX)
    }

    /// The holder of a turn will be back at this moment.
    pub fn add(&mut self, turn: Turn, back_at: Instant) {
        let index = self.slot(back_at).saturating_sub(self.first) as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            slot.count += 1;
            slot.draws.entry(turn.cohort).or_default().push(turn.draw);
            self.total += 1;
        }
    }

    /// The holder of a turn that had promised to be back at this moment need not.
    pub fn take_back(&mut self, turn: Turn, back_at: Instant) {
        let index = self.slot(back_at).checked_sub(self.first);
        let slot = index.and_then(|index| self.slots.get_mut(index as usize));
        let Some(slot) = slot else { return };
        let draws = slot.draws.entry(turn.cohort).or_default();
        if let Some(at) = draws.iter().position(|draw| *draw == turn.draw) {
            draws.swap_remove(at);
            slot.count -= 1;
            self.total -= 1;
        }
    }

    /// Forgets the promises that had to be kept by now, and counts those of turns that had come.
    pub fn end(&mut self, watermark: Turn, now: Instant) {
        let current = self.slot(now);
        while self.first < current {
            let Some(slot) = self.slots.pop_front() else {
                self.first = current;
                break;
            };
            self.first += 1;
            self.total -= slot.count;
            for (cohort, draws) in slot.draws {
                self.ended += due(cohort, &draws, watermark);
            }
        }
    }

    /// All that are still to be kept.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Promises of turns that had come by when they were to be kept, since the beginning.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Those that are still to be kept.
    pub fn count(&self, watermark: Turn, now: Instant) -> Counted {
        let soon = self.slot(now + SOON);
        let mut counted = Counted::default();
        for (number, slot) in (self.first..).zip(&self.slots) {
            let is_soon = number <= soon;
            for (cohort, draws) in &slot.draws {
                let due = due(*cohort, draws, watermark);
                if is_soon {
                    counted.due_soon += due;
                }
                let waiting = draws.len() as u64 - due;
                if waiting > 0 {
                    let coming = counted.waiting.entry(*cohort).or_default();
                    coming.all += waiting;
                    coming.soon += if is_soon { waiting } else { 0 };
                }
            }
        }
        counted
    }

    fn slot(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos() / SLOT.as_nanos()).unwrap_or(u64::MAX)
    }
}

fn due(cohort: Cohort, draws: &[u32], watermark: Turn) -> u64 {
    let is_due = |draw: &&u32| {
        Turn {
            cohort,
            draw: **draw,
        } < watermark
    };
    if cohort < watermark.cohort {
        draws.len() as u64
    } else if cohort > watermark.cohort {
        0
    } else {
        draws.iter().filter(is_due).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn turn(cohort: u64, draw: u32) -> Turn {
        Turn {
            cohort: Cohort::new(cohort).unwrap(),
            draw,
        }
    }

    #[test]
    fn a_promise_counts_until_it_was_to_be_kept() {
        let now = Instant::now();
        let mut promises = Promises::new(now);
        promises.add(turn(5, 7), now + 200 * MS);
        promises.add(turn(5, 9), now + 2_000 * MS);
        promises.add(turn(6, 1), now + 2_000 * MS);
        let watermark = turn(5, 8);
        let counted = promises.count(watermark, now);
        assert_eq!(counted.due_soon, 1);
        let waiting: Vec<_> = counted.waiting.into_values().collect();
        assert_eq!(waiting, [Coming { all: 1, soon: 0 }; 2]);
        promises.end(watermark, now + 300 * MS);
        assert_eq!(promises.ended(), 1);
        let counted = promises.count(watermark, now + 1_800 * MS);
        assert_eq!(counted.due_soon, 0);
        let waiting: Vec<_> = counted.waiting.into_values().collect();
        assert_eq!(waiting, [Coming { all: 1, soon: 1 }; 2]);
        promises.end(watermark, now + 3_000 * MS);
        assert_eq!(promises.ended(), 1, "the others had no turn to use");
        assert_eq!(promises.count(watermark, now), Counted::default());
    }

    #[test]
    fn whoever_is_held_meanwhile_need_not_keep_its_promise() {
        let now = Instant::now();
        let mut promises = Promises::new(now);
        let back_at = now + 2_000 * MS;
        promises.add(turn(5, 7), back_at);
        promises.add(turn(5, 9), back_at);
        promises.take_back(turn(5, 7), back_at);
        promises.take_back(turn(5, 7), back_at);
        promises.take_back(turn(4, 9), back_at);
        promises.take_back(turn(5, 9), now);
        promises.take_back(turn(5, 9), back_at + 60_000 * MS);
        assert_eq!(promises.total(), 1);
        promises.end(Turn::LAST, back_at + 1_000 * MS);
        assert_eq!(promises.ended(), 1);
    }

    #[test]
    fn no_more_are_told_to_come_back_at_a_time_than_can_be_answered() {
        let now = Instant::now();
        let mut promises = Promises::new(now);
        let mut told = Vec::new();
        for draw in 0..1_000 {
            let back_at = promises.free_from(now + 100 * MS, 200.0);
            promises.add(turn(5, draw), back_at);
            told.push((back_at - now).as_millis());
        }
        assert_eq!(told[0], 100);
        assert_eq!(told[9], 100);
        assert_eq!(told[10], 150);
        assert!((5_000..5_200).contains(&told[999]), "{}", told[999]);
        for draw in 0..100_000 {
            promises.add(turn(5, draw), promises.free_from(now, 200.0));
        }
        let last = promises.free_from(now, 200.0) - now;
        assert!(last <= MOST_SELDOM, "{last:?}");
    }
}
