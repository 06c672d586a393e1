//! Whether issuance keeps up: claims are admitted by how long others wait in its commit queues, and by how many of this gateway are there.
//!
//! Latency at the gateway would mislead: a group commit is slower and better under load. The queue's own delay grows only when more comes than can be committed. It is known only as late as it is long, so a
//! crowd that comes at once is held by what issuance has answered of late: no more are under way than it answers within the time they may wait. Those whose turn has come wait at the door for room, those first
//! who are the most overdue, as long as that takes a moment; and where a queue is short new claims do so after them, so that it comes to an end.

mod asking;
mod line;
mod room;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tidegate_types::{Lane, Lanes};
use tokio::time::timeout;

pub use asking::Asking;
use line::{Line, Place};
use room::Room;

/// Time over which the running mean forgets.
const MEMORY: Duration = Duration::from_millis(200);
/// The newest answer always counts this much, also if many come at one moment.
const LEAST_SHARE_OF_NEWEST: f64 = 0.02;
/// Claims that wait for so long tell of a stall, and nothing of what issuance can do after it.
const STALLED_FROM: Duration = Duration::from_secs(1);
/// New claims are held back when claims wait for so many times the target on average: after a hiccup of the disk that is shorter they are served sooner than a queue could serve them.
const QUEUED_FROM: f64 = 4.0;
/// Once over its target, issuance is trusted again when the mean has fallen to this share of it, so that the door does not flutter.
const TRUSTED_AGAIN_BELOW: f64 = 0.5;
/// Without any answer for this long nothing is known of the delay, and a closed door would never learn that it may open.
const STALE_AFTER: Duration = Duration::from_secs(1);
/// One whose turn has come may wait at issuance for this share of the target.
const TURN_SHARE: f64 = 0.5;
/// A queue costs those in it a second at least, so one begins only when a new claim would have to wait so many times the target.
const NEW_FACTOR: f64 = 5.0;
/// Where turns that have come were sent away, new claims find no more room than they for so long, and none in their line.
const TURNS_FIRST_FOR: Duration = Duration::from_secs(2);
/// While claims wait for longer than this share of the target, as many are answered as can be.
const LOADED_FROM_SHARE: f64 = 0.5;

/// An answer of issuance to a call.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// How long its claims waited for their commit.
    pub queue_delay: Duration,
    /// How long the call took.
    pub took: Duration,
    /// The claims it was about.
    pub claims: usize,
    /// The coupons it brought.
    pub issued: usize,
}

/// Follows issuance's queue delay. Many callers share one.
pub struct Admission {
    target: Duration,
    state: Mutex<State>,
}

struct State {
    mean_seconds: f64,
    answered_at: Option<Instant>,
    is_over_target: bool,
    room: Room,
    /// Of turns that are overdue, which go first.
    overdue_line: Line,
    line: Line,
    turn_sent_away_at: Option<Instant>,
    /// How long claims waited at issuance since the delay was last told.
    waited: Waits,
    /// How long those waited in line who have gone to issuance since then; most of them not at all.
    waited_in_line: Waits,
}

impl Admission {
    /// Admits while claims wait no longer than `target`.
    pub fn new(target: Duration, lanes: Lanes) -> Self {
        let state = State {
            mean_seconds: 0.0,
            answered_at: None,
            is_over_target: false,
            room: Room::new(lanes),
            overdue_line: Line::default(),
            line: Line::default(),
            turn_sent_away_at: None,
            waited: Waits::default(),
            waited_in_line: Waits::default(),
        };
        Self {
            target,
            state: Mutex::new(state),
        }
    }

    /// Takes in what an answer tells.
    pub fn observe(&self, answered: Answered, now: Instant) {
        let target = self.target.as_secs_f64();
        let queue_delay = answered.queue_delay;
        let mut state = self.state();
        let is_loaded = state.mean_seconds > target * LOADED_FROM_SHARE || state.somebody_waits();
        state.room.count(answered, is_loaded, now);
        let claims = u32::try_from(answered.claims).unwrap_or(u32::MAX);
        state.waited.add(queue_delay, claims);
        if queue_delay >= STALLED_FROM {
            // It is over, since it is answered. A door that it closed would be told so by nobody.
            return;
        }
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
    pub fn enter(self: &Arc<Self>, lane: Lane) -> UnderWay {
        self.state().enter(lane, Duration::ZERO);
        self.under_way(lane)
    }

    /// Lets a claim go to issuance while there is a queue, once there is room for it and for whoever goes before it; `None` if there was none in time.
    pub async fn find_room(
        self: &Arc<Self>,
        lane: Lane,
        asking: Asking,
        patience: Duration,
    ) -> Option<UnderWay> {
        let found = self.wait_for_room(lane, asking, patience).await;
        if found.is_none() && asking.is_turn() {
            self.state().turn_sent_away_at = Some(tokio::time::Instant::now().into_std());
        }
        found
    }

    async fn wait_for_room(
        self: &Arc<Self>,
        lane: Lane,
        asking: Asking,
        patience: Duration,
    ) -> Option<UnderWay> {
        let now = tokio::time::Instant::now().into_std();
        let mut place = {
            let mut state = self.state();
            // Those who were sent away come back first.
            if !asking.is_turn() && state.has_sent_turns_away(now) {
                return None;
            }
            // Whoever stands in line at this moment waits for another lane.
            if state.room.has_room_for_turn(lane, self.turn_waits()) {
                state.enter(lane, Duration::ZERO);
                return Some(self.under_way(lane));
            }
            let most = state.room.answered_within(asking.room_within());
            let line = state.line(asking.is_overdue());
            let (key, granted) = line.join(lane, asking.rank(), now, most)?;
            Place {
                admission: Arc::clone(self),
                is_overdue: asking.is_overdue(),
                lane,
                key,
                granted,
            }
        };
        timeout(asking.waits_for().min(patience), place.granted())
            .await
            .ok()?
    }

    /// Whether a new claim may go to issuance at once.
    pub fn may_issue(&self, lane: Lane, now: Instant) -> bool {
        let state = self.state();
        // Also of another campaign: a due turn goes before a new claim.
        let has_room = if state.turns_go_first(now) {
            state.room.has_room_for_turn(lane, self.turn_waits())
        } else {
            state.room.has_room(lane, self.target.mul_f64(NEW_FACTOR))
        };
        state.is_trusted(now) && has_room
    }

    /// How long claims have waited since this was last asked, in line and at issuance, on average; none if no answer came. One late answer is no crowd, so the longest would say little.
    pub fn mean_delay_since_last(&self) -> Option<Duration> {
        let mut state = self.state();
        let in_line = std::mem::take(&mut state.waited_in_line).mean();
        let at_issuance = std::mem::take(&mut state.waited).mean()?;
        Some(at_issuance + in_line.unwrap_or_default())
    }

    fn turn_waits(&self) -> Duration {
        self.target.mul_f64(TURN_SHARE)
    }

    fn under_way(self: &Arc<Self>, lane: Lane) -> UnderWay {
        UnderWay {
            admission: Arc::clone(self),
            lane,
        }
    }

    /// A claim is under way no more, and there may be room for those who wait for it.
    fn leave(self: &Arc<Self>, lane: Lane) {
        let mut state = self.state();
        state.room.leave(lane);
        self.let_in(state, tokio::time::Instant::now().into_std());
    }

    /// Lets those in line go to issuance for whom there is room.
    fn let_in(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now: Instant) {
        let mut granted = Vec::new();
        while let Some((lane, next)) = state.next_in_line(self.turn_waits()) {
            state.enter(lane, next.turn_waited(now));
            granted.push((lane, next));
        }
        drop(state);
        // Who has gone meanwhile gives the room back.
        for (lane, next) in granted {
            next.grant(self.under_way(lane));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, lane: Lane, waited_in_line: Duration) {
        self.room.enter(lane);
        self.waited_in_line.add(waited_in_line, 1);
    }

    /// The first of those in line for whose lane there is room.
    fn next_in_line(&mut self, wait: Duration) -> Option<(Lane, line::Waiting)> {
        if !self.somebody_waits() || self.room.is_full_for_turns(wait) {
            return None;
        }
        let room = &self.room;
        let has_room = |lane| room.has_room_for_turn(lane, wait);
        let overdue = self.overdue_line.take_first(has_room);
        overdue.or_else(|| self.line.take_first(has_room))
    }

    fn line(&mut self, is_overdue: bool) -> &mut Line {
        if is_overdue {
            &mut self.overdue_line
        } else {
            &mut self.line
        }
    }

    fn somebody_waits(&self) -> bool {
        !self.overdue_line.is_empty() || !self.line.is_empty()
    }

    fn is_trusted(&self, now: Instant) -> bool {
        !self.is_over_target || self.is_stale(now)
    }

    fn turns_go_first(&self, now: Instant) -> bool {
        self.line.has_turns() || self.overdue_line.has_turns() || self.has_sent_turns_away(now)
    }

    fn has_sent_turns_away(&self, now: Instant) -> bool {
        let last = self.turn_sent_away_at;
        last.is_some_and(|at| now.saturating_duration_since(at) < TURNS_FIRST_FOR)
    }

    fn is_stale(&self, now: Instant) -> bool {
        self.answered_at
            .is_none_or(|at| now.saturating_duration_since(at) > STALE_AFTER)
    }
}

/// Waits of so many claims.
#[derive(Default)]
struct Waits {
    sum: Duration,
    claims: u32,
}

impl Waits {
    fn add(&mut self, waited: Duration, claims: u32) {
        self.sum += waited * claims;
        self.claims = self.claims.saturating_add(claims);
    }

    fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(self.claims)
    }
}

/// A claim that is under way at issuance.
pub struct UnderWay {
    admission: Arc<Admission>,
    lane: Lane,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.admission.leave(self.lane);
    }
}

#[cfg(test)]
mod tests;
