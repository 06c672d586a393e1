use std::time::{Duration, Instant};

use tidegate_types::{Lane, Lanes};

use super::{Answered, STALLED_FROM, line::Most};

/// The time over which answers are counted; what can be answered is forgotten ten times as slowly, and only while claims wait: else fewer answers only mean that fewer asked.
const RATE_MEMORY: Duration = Duration::from_secs(1);
const RATE_KEPT: Duration = Duration::from_secs(10);
/// Claims have to wait for so long before it is believed for the first time that as many are answered as can be: of a crowd that is served in less, fewer are counted than could be answered in a second.
const LOADED_FOR: Duration = RATE_MEMORY;
/// A call takes time also if its claims do not wait: at least this is counted on, and at most the other.
const LEAST_SERVICE: Duration = Duration::from_millis(30);
const MOST_SERVICE: Duration = Duration::from_millis(300);
/// How much a new call counts in the mean of that time.
const SHARE_OF_NEWEST: f64 = 0.05;
/// So many may be under way however few were answered, and so many of each lane.
const LEAST_UNDER_WAY: usize = 8;
const LEAST_PER_LANE: usize = 2;
/// One lane has room for so many times its even share, so that one that hangs leaves room for the others.
const LANE_FACTOR: usize = 4;

/// How many claims may be under way at issuance: as many as it answers within the time that they may wait.
pub(super) struct Room {
    by_lane: Vec<usize>,
    under_way: usize,
    answered_at: Option<Instant>,
    loaded_since: Option<Instant>,
    answers_per_second: f64,
    /// What issuance can answer, as far as is known: not before claims had to wait.
    most_per_second: Option<f64>,
    /// How long calls take beside what their claims wait.
    service_seconds: f64,
}

impl Room {
    pub(super) fn new(lanes: Lanes) -> Self {
        Self {
            by_lane: vec![0; usize::from(lanes.get())],
            under_way: 0,
            answered_at: None,
            loaded_since: None,
            answers_per_second: 0.0,
            most_per_second: None,
            service_seconds: LEAST_SERVICE.as_secs_f64(),
        }
    }

    pub(super) fn enter(&mut self, lane: Lane) {
        self.under_way += 1;
        if let Some(of_lane) = self.by_lane.get_mut(usize::from(lane.get())) {
            *of_lane += 1;
        }
    }

    pub(super) fn leave(&mut self, lane: Lane) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(of_lane) = self.by_lane.get_mut(usize::from(lane.get())) {
            *of_lane = of_lane.saturating_sub(1);
        }
    }

    /// How many may stand in line if they are to find room within such a time, as far as is known.
    pub(super) fn answered_within(&self, span: Duration) -> Most {
        let of_all = (self.most_or_now() * span.as_secs_f64()) as usize;
        Most {
            of_all,
            of_lane: self.of_one_lane(of_all),
        }
    }

    /// Whether one more would wait no longer than `wait`, as far as is known: also if no answer comes any more, or claims would heap up where none is served in time. What issuance could do when claims waited last
    /// may be less than it can do now; then claims are answered sooner than that, more of them find room, and it is seen that it can do more.
    pub(super) fn has_room(&self, lane: Lane, wait: Duration) -> bool {
        self.most_per_second
            .is_none_or(|most| self.has_room_of(lane, self.room(most, wait)))
    }

    /// The same in a queue. There it is believed that issuance can do what it does, also if that is not known for long: it is seen at once if it does more.
    pub(super) fn has_room_for_turn(&self, lane: Lane, wait: Duration) -> bool {
        self.has_room_of(lane, self.room(self.most_or_now(), wait))
    }

    /// Whether a turn, of whatever lane, would wait longer than `wait`.
    pub(super) fn is_full_for_turns(&self, wait: Duration) -> bool {
        self.under_way >= self.room(self.most_or_now(), wait)
    }

    fn most_or_now(&self) -> f64 {
        self.most_per_second.unwrap_or(self.answers_per_second)
    }

    /// How many may be under way if so many are answered each second. Whoever just missed a commit waits for as long as one takes, however short that is to be.
    fn room(&self, per_second: f64, wait: Duration) -> usize {
        let wait = wait.as_secs_f64().max(self.service_seconds);
        let answered_in_time = (per_second * (wait + self.service_seconds)) as usize;
        answered_in_time
            .max(LEAST_UNDER_WAY)
            .max(LEAST_PER_LANE * self.by_lane.len())
    }

    fn has_room_of(&self, lane: Lane, room: usize) -> bool {
        let of_lane = self.by_lane.get(usize::from(lane.get()));
        let most = self.of_one_lane(room);
        self.under_way < room && of_lane.is_none_or(|of_lane| *of_lane < most)
    }

    fn of_one_lane(&self, of_all: usize) -> usize {
        (LANE_FACTOR * of_all).div_ceil(self.by_lane.len())
    }

    /// Takes an answer in; `is_loaded` tells that claims have had to wait.
    pub(super) fn count(&mut self, answered: Answered, is_loaded: bool, now: Instant) {
        let elapsed = self
            .answered_at
            .map_or(RATE_MEMORY, |before| now.saturating_duration_since(before));
        self.answered_at = Some(now);
        if answered.queue_delay >= STALLED_FROM {
            return;
        }
        let share = |elapsed: Duration, memory| (-elapsed.div_duration_f64(memory)).exp();
        self.answers_per_second = self.answers_per_second * share(elapsed, RATE_MEMORY)
            + answered.issued as f64 / RATE_MEMORY.as_secs_f64();
        let beside = answered.took.saturating_sub(answered.queue_delay);
        let beside = beside.clamp(LEAST_SERVICE, MOST_SERVICE).as_secs_f64();
        self.service_seconds += SHARE_OF_NEWEST * (beside - self.service_seconds);
        self.learn(elapsed, is_loaded, now);
    }

    fn learn(&mut self, elapsed: Duration, is_loaded: bool, now: Instant) {
        let since = is_loaded.then(|| self.loaded_since.unwrap_or(now));
        self.loaded_since = since;
        let answers = self.answers_per_second;
        // Of a pause nothing is learned, however long it was.
        let forgotten = elapsed.min(RATE_MEMORY).div_duration_f64(RATE_KEPT);
        let kept = if is_loaded { (-forgotten).exp() } else { 1.0 };
        self.most_per_second = match self.most_per_second {
            Some(most) => Some((most * kept).max(answers)),
            None => since
                .filter(|since| now.saturating_duration_since(*since) >= LOADED_FOR)
                .map(|_| answers),
        };
    }
}
