//! Whether issuance keeps up: claims are admitted by how long others wait in its commit queues, and by how many of this gateway are there.
//!
//! Latency at the gateway would mislead: a group commit is slower and better under load. The queue's own delay grows only when more comes than can be committed. It is known only as late as it is long, so a
//! crowd that comes at once is held by what issuance has answered of late: no more are under way than it answers within the time they may wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Time over which the running mean forgets.
const MEMORY: Duration = Duration::from_millis(200);
/// The newest answer always counts this much, also if many come at one moment.
const LEAST_SHARE_OF_NEWEST: f64 = 0.02;
/// New claims are held back when claims wait for so many times the target on average.
const QUEUED_FROM: f64 = 2.0;
/// Once over its target, issuance is trusted again when the mean has fallen to this share of it, so that the door does not flutter.
const TRUSTED_AGAIN_BELOW: f64 = 0.5;
/// Without any answer for this long nothing is known of the delay, and a closed door would never learn that it may open.
const STALE_AFTER: Duration = Duration::from_secs(1);
/// One whose turn has just come may wait at issuance for this share of the target, and the longer ago that was the more: where not all find room, those who were first are served first.
const JUST_DUE_SHARE: f64 = 0.75;
/// From here on all turns are equally overdue.
const OVERDUE_MOST: Duration = Duration::from_secs(4);
/// A queue costs those in it a second at least, so one begins only when a new claim would have to wait so many times the target.
const NEW_FACTOR: f64 = 3.0;
/// While claims wait for longer than this share of the target, as many are answered as can be.
const LOADED_FROM_SHARE: f64 = 0.5;
/// The time over which answers are counted; what can be answered is forgotten ten times as slowly, and only while claims wait: else fewer answers only mean that fewer asked.
const RATE_MEMORY: Duration = Duration::from_secs(1);
const RATE_KEPT: Duration = Duration::from_secs(10);
/// A commit takes time also if nobody waits for it.
const COMMIT: Duration = Duration::from_millis(30);
/// So many may be under way however few were answered.
const LEAST_UNDER_WAY: usize = 16;

/// Follows issuance's queue delay. Many callers share one.
pub struct Admission {
    target: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mean_seconds: f64,
    answered_at: Option<Instant>,
    is_over_target: bool,
    under_way: usize,
    answers_per_second: f64,
    /// What issuance can answer, as far as is known: not before claims had to wait.
    most_per_second: Option<f64>,
    /// Of the answers since the delay was last told: how long they waited together, and how many they are.
    waited: Duration,
    answers: u32,
}

impl Admission {
    /// Admits while claims wait no longer than `target`.
    pub fn new(target: Duration) -> Self {
        Self {
            target,
            state: Mutex::default(),
        }
    }

    /// An answer told how long its claims waited for their commit.
    pub fn observe(&self, queue_delay: Duration, answers: usize, now: Instant) {
        let target = self.target.as_secs_f64();
        let mut state = self.state();
        let is_loaded = state.mean_seconds > target * LOADED_FROM_SHARE;
        state.count(answers, is_loaded, now);
        let answers = u32::try_from(answers).unwrap_or(u32::MAX);
        state.waited += queue_delay * answers;
        state.answers += answers;
        let newest = queue_delay.as_secs_f64();
        let share = state.answered_at.map_or(1.0, |before| {
            let since = now.saturating_duration_since(before).as_secs_f64();
            (1.0 - (-since / MEMORY.as_secs_f64()).exp()).max(LEAST_SHARE_OF_NEWEST)
        });
        state.mean_seconds += share * (newest - state.mean_seconds);
        state.answered_at = Some(now);
        state.is_over_target = if state.is_over_target {
            state.mean_seconds > target * TRUSTED_AGAIN_BELOW
        } else {
            // Both: one late claim is no crowd, and a crowd that has just been served is none any more.
            state.mean_seconds > target * QUEUED_FROM && newest > target
        };
    }

    /// A claim goes to issuance, and is under way there as long as this is held.
    pub fn enter(self: &Arc<Self>) -> UnderWay {
        self.state().under_way += 1;
        UnderWay(Arc::clone(self))
    }

    /// Whether a claim whose turn has come may go to issuance now. Those who came after it by `overdue` have their turn as well.
    pub fn may_take_turn(&self, overdue: Duration) -> bool {
        let overdue = overdue.min(OVERDUE_MOST).div_duration_f64(OVERDUE_MOST);
        let share = JUST_DUE_SHARE + (1.0 - JUST_DUE_SHARE) * overdue;
        self.state().has_room(self.target.mul_f64(share))
    }

    /// Whether a new claim may go to issuance at once.
    pub fn may_issue(&self, now: Instant) -> bool {
        let state = self.state();
        let is_trusted = !state.is_over_target || state.is_stale(now);
        is_trusted && state.has_room(self.target.mul_f64(NEW_FACTOR))
    }

    /// The mean delay since this was last asked; none if no answer came. One late answer is no crowd, so the longest would say little.
    pub fn mean_delay_since_last(&self) -> Option<Duration> {
        let mut state = self.state();
        let waited = std::mem::take(&mut state.waited);
        waited.checked_div(std::mem::take(&mut state.answers))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_stale(&self, now: Instant) -> bool {
        self.answered_at
            .is_none_or(|at| now.saturating_duration_since(at) > STALE_AFTER)
    }

    /// Whether one more would wait no longer than `wait`, as far as is known: also if no answer comes any more, or claims would heap up where none is served in time. What issuance could do when claims waited last
    /// may be less than it can do now; then claims are answered sooner than that, more of them find room, and it is seen that it can do more.
    fn has_room(&self, wait: Duration) -> bool {
        self.most_per_second.is_none_or(|most| {
            let answered_in_time = most * (wait + COMMIT).as_secs_f64();
            self.under_way < (answered_in_time as usize).max(LEAST_UNDER_WAY)
        })
    }

    fn count(&mut self, answers: usize, is_loaded: bool, now: Instant) {
        let elapsed = self
            .answered_at
            .map_or(RATE_MEMORY, |before| now.saturating_duration_since(before));
        let share = |memory: Duration| (-elapsed.as_secs_f64() / memory.as_secs_f64()).exp();
        self.answers_per_second = self.answers_per_second * share(RATE_MEMORY)
            + answers as f64 / RATE_MEMORY.as_secs_f64();
        let kept = if is_loaded { share(RATE_KEPT) } else { 1.0 };
        let now = self.answers_per_second;
        self.most_per_second = match self.most_per_second {
            Some(most) => Some((most * kept).max(now)),
            None => is_loaded.then_some(now),
        };
    }
}

/// A claim that is under way at issuance.
pub struct UnderWay(Arc<Admission>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way = state.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(100);
    const STEP: Duration = Duration::from_millis(10);

    /// Answers one after the other; the moment of the last.
    fn answers(admission: &Admission, mut now: Instant, delay_ms: u64, count: u32) -> Instant {
        for _ in 0..count {
            now += STEP;
            admission.observe(Duration::from_millis(delay_ms), 1, now);
        }
        now
    }

    #[test]
    fn claims_are_held_back_while_issuance_is_over_its_target_and_not_by_one_late_answer() {
        let admission = Arc::new(Admission::new(TARGET));
        let now = answers(&admission, Instant::now(), 20, 50);
        let now = answers(&admission, now, 500, 1);
        assert!(admission.may_issue(now), "one late answer is no crowd");
        let now = answers(&admission, now, 500, 20);
        assert!(!admission.may_issue(now));
        let now = answers(&admission, now, 80, 40);
        assert!(!admission.may_issue(now), "just below the target");
        let now = answers(&admission, now, 10, 40);
        assert!(admission.may_issue(now));
    }

    #[test]
    fn many_answers_of_one_moment_count_as_well() {
        let (admission, now) = (Arc::new(Admission::new(TARGET)), Instant::now());
        admission.observe(Duration::ZERO, 1, now);
        (0..200).for_each(|_| admission.observe(TARGET * 10, 1, now));
        assert!(!admission.may_issue(now));
    }

    #[test]
    fn the_door_opens_again_when_nobody_answers_any_more() {
        let admission = Arc::new(Admission::new(TARGET));
        let now = answers(&admission, Instant::now(), 500, 20);
        assert!(!admission.may_issue(now + STALE_AFTER));
        assert!(admission.may_issue(now + STALE_AFTER + STEP));
    }

    #[test]
    fn no_more_are_under_way_than_are_answered_in_time() {
        let admission = Arc::new(Admission::new(TARGET));
        // Two hundred a second, each of which waits for 80 ms.
        let mut now = Instant::now();
        for _ in 0..1_000 {
            now += STEP;
            admission.observe(Duration::from_millis(80), 2, now);
        }
        let under_way: Vec<_> = (0..21).map(|_| admission.enter()).collect();
        assert!(!admission.may_take_turn(Duration::ZERO));
        assert!(admission.may_take_turn(OVERDUE_MOST), "and was first");
        let more: Vec<_> = (0..5).map(|_| admission.enter()).collect();
        assert!(!admission.may_take_turn(OVERDUE_MOST), "26 take 130 ms");
        assert!(admission.may_issue(now), "nobody waits in a queue");
        let many: Vec<_> = (0..40).map(|_| admission.enter()).collect();
        assert!(!admission.may_issue(now), "66 take 330 ms");
        let later = now + STALE_AFTER * 2;
        assert!(!admission.may_issue(later), "and nobody answers");
        drop((under_way, more, many));
        assert!(admission.may_issue(now));
    }

    #[test]
    fn a_crowd_finds_no_more_room_after_a_quiet_hour_and_more_when_issuance_can_do_more() {
        let admission = Arc::new(Admission::new(TARGET));
        let now = answers(&admission, Instant::now(), 80, 1_000);
        let now = answers(&admission, now + Duration::from_secs(3_600), 1, 1);
        let under_way: Vec<_> = (0..16).map(|_| admission.enter()).collect();
        assert!(
            !admission.may_take_turn(OVERDUE_MOST),
            "100 a second as before"
        );
        let mut now = now;
        for _ in 0..200 {
            now += STEP;
            admission.observe(Duration::from_millis(1), 5, now);
        }
        assert!(admission.may_take_turn(Duration::ZERO), "500 a second");
        drop(under_way);
    }

    #[test]
    fn a_crowd_is_not_held_back_while_nobody_waits() {
        let admission = Arc::new(Admission::new(TARGET));
        let now = answers(&admission, Instant::now(), 5, 100);
        let _under_way: Vec<_> = (0..10_000).map(|_| admission.enter()).collect();
        assert!(admission.may_issue(now));
    }

    #[test]
    fn the_mean_delay_is_told_once() {
        let admission = Arc::new(Admission::new(TARGET));
        assert_eq!(admission.mean_delay_since_last(), None);
        let now = answers(&admission, Instant::now(), 30, 1);
        answers(&admission, now, 20, 1);
        let mean = Some(Duration::from_millis(25));
        assert_eq!(admission.mean_delay_since_last(), mean);
        assert_eq!(admission.mean_delay_since_last(), None);
    }
}
