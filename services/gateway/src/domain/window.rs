//! A window: how many claims of one lane may be in flight at issuance, steered by the worst delay
//! on their way.

use std::time::{Duration, Instant};

use super::tuning::{BACK_OFF, GROWTH_PER_SECOND, MOMENT, SOONEST_ASK, TARGET_DELAY};

/// A claim that is in flight for longer has waited somewhere, whoever does not say so.
const MAY_TAKE: Duration = TARGET_DELAY.saturating_mul(4);
/// How much a new call counts in the mean of their time.
const SHARE_OF_NEWEST: f64 = 0.05;

/// What an answer tells of the way to issuance and back.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// How long it had to wait there.
    pub waited: Duration,
    /// How long it was in flight.
    pub took: Duration,
}

#[derive(Debug, Clone)]
pub struct Window {
    least: f64,
    first: f64,
    size: f64,
    /// How large it was when nothing was answered any more, until something is in time again.
    before_silence: f64,
    in_flight: usize,
    call_seconds: f64,
    /// Nothing was ever over the target, so that the window grows as fast as answers come.
    is_probing: bool,
    shrunk_at: Option<Instant>,
    /// When no permit was left last.
    exhausted_at: Option<Instant>,
    /// When the last answer came, or the first claim went out after a time without any.
    answered_at: Option<Instant>,
    answered: u64,
}

impl Window {
    /// A window that begins with `size` permits, and has `least` at least.
    pub fn new(size: f64, least: f64) -> Self {
        Self {
            least: least.max(1.0),
            first: size.max(1.0),
            size: size.max(1.0),
            before_silence: 0.0,
            in_flight: 0,
            call_seconds: TARGET_DELAY.as_secs_f64() / 4.0,
            is_probing: true,
            shrunk_at: None,
            exhausted_at: None,
            answered_at: None,
            answered: 0,
        }
    }

    /// Whether another claim may go.
    pub fn has_permit(&self, now: Instant) -> bool {
        (self.in_flight as f64) < self.permits(now)
    }

    pub fn begin(&mut self, now: Instant) {
        if self.in_flight == 0 {
            self.answered_at = Some(now);
        }
        self.in_flight += 1;
        if !self.has_permit(now) {
            self.exhausted_at = Some(now);
        }
    }

    /// A claim is in flight no more: answered, or given up.
    pub fn end(&mut self, answer: Option<Answer>, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(Answer { waited, took }) = answer else {
            return;
        };
        let delay = waited.max(took.saturating_sub(MAY_TAKE));
        // What silence took away is given up only now, when somebody answers.
        let left = self.permits(now).max(self.least);
        if left < self.size {
            self.before_silence = self.before_silence.max(self.size);
            self.size = left;
        }
        self.answered_at = Some(now);
        self.answered += 1;
        self.call_seconds += SHARE_OF_NEWEST * (took.as_secs_f64() - self.call_seconds);
        if delay > TARGET_DELAY {
            self.is_probing = false;
            if is_over(self.shrunk_at, self.round_trip(), now) {
                self.shrink(delay);
                self.shrunk_at = Some(now);
            }
            return;
        }
        // What stood still is about as fast as it was. Half of that is safe to go on from.
        self.size = self
            .size
            .max(std::mem::take(&mut self.before_silence) / 2.0);
        if self.was_exhausted(now) {
            self.size += if self.is_probing {
                1.0
            } else {
                // Two a round trip. Where that is long as many as it began with each second, so
                // that of two gateways the smaller one catches up, or what keeps pace with a demand.
                let each_second = (self.first / self.size).max(GROWTH_PER_SECOND - 1.0);
                (2.0 / self.size).max(each_second * self.call_seconds)
            };
        }
    }

    /// How long a call takes, as measured of late.
    pub fn call_time(&self) -> Duration {
        Duration::from_secs_f64(self.call_seconds)
    }

    /// Claims that could go at once.
    pub fn idle(&self, now: Instant) -> f64 {
        (self.permits(now) - self.in_flight as f64).max(0.0)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Claims that were answered since the beginning.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// How many claims a second would be answered if it were full, as long as it never was. Claims
    /// that nobody answers say how long a call takes before an answer can.
    pub fn untried_per_second(&self, now: Instant) -> Option<f64> {
        let call_seconds = self.call_seconds.max(self.silence(now).as_secs_f64());
        // One that stays full is not used anew, and is exhausted all the same.
        let is_untried = self.is_probing && self.has_permit(now) && !self.was_exhausted(now);
        is_untried.then_some(self.size / call_seconds.max(0.005))
    }

    /// A window that nobody fills says nothing of how much it could be.
    fn was_exhausted(&self, now: Instant) -> bool {
        let within = 2 * self.round_trip();
        self.exhausted_at
            .is_some_and(|at| now.saturating_duration_since(at) <= within)
    }

    /// For how long claims have been in flight without any answer.
    fn silence(&self, now: Instant) -> Duration {
        let since = self.answered_at.filter(|_| self.in_flight > 0);
        since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    fn round_trip(&self) -> Duration {
        Duration::from_secs_f64(self.call_seconds.max(0.05))
    }

    /// Proportional to how far the delay is over the target.
    fn shrink(&mut self, delay: Duration) {
        let excess = 1.0 - TARGET_DELAY.div_duration_f64(delay);
        self.size = (self.size * (1.0 - BACK_OFF * excess)).max(self.least);
    }

    /// While claims are out and none is answered, the window falls by half each second, to what
    /// lets a probe through from time to time: nothing that is refused here depends on an answer
    /// that never comes.
    pub(super) fn permits(&self, now: Instant) -> f64 {
        let silent = self.silence(now).saturating_sub(MOMENT);
        if self.in_flight == 0 || silent.is_zero() {
            return self.size;
        }
        let probes = 1.0 + silent.div_duration_f64(SOONEST_ASK);
        let left = self.size * (-silent.as_secs_f64()).exp2();
        left.max(probes.min(self.size.max(1.0)))
    }
}

fn is_over(at: Option<Instant>, time: Duration, now: Instant) -> bool {
    at.is_none_or(|at| now.saturating_duration_since(at) > time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn answer(delay: Duration) -> Option<Answer> {
        Some(Answer {
            waited: delay,
            took: delay + 5 * MS,
        })
    }

    /// Fills the window and answers all of it, `rounds` times.
    fn rounds(window: &mut Window, delay: Duration, rounds: u32, from: Instant) -> Instant {
        let mut now = from;
        for _ in 0..rounds {
            let mut sent = 0;
            while window.has_permit(now) {
                window.begin(now);
                sent += 1;
            }
            now += delay + 5 * MS;
            for _ in 0..sent {
                window.end(answer(delay), now);
            }
        }
        now
    }

    #[test]
    fn it_grows_fast_while_nothing_was_over_the_target_and_slowly_afterwards() {
        let mut window = Window::new(8.0, 1.0);
        let now = rounds(&mut window, 10 * MS, 3, Instant::now());
        assert_eq!(window.size, 64.0);
        let now = rounds(&mut window, 300 * MS, 1, now);
        let shrunk = window.size;
        assert!(shrunk < 50.0, "{shrunk}");
        rounds(&mut window, 10 * MS, 3, now);
        assert!(window.size < shrunk + 8.0, "{}", window.size);
    }

    #[test]
    fn where_calls_take_long_a_small_window_grows_as_it_began_each_second_and_a_large_one_by_a_quarter()
     {
        for (size, grown) in [(20.0, 45.0..60.0), (400.0, 450.0..500.0)] {
            let mut window = Window::new(64.0, 1.0);
            (window.size, window.is_probing, window.call_seconds) = (size, false, 0.3);
            let now = Instant::now();
            // Three rounds of a third of a second.
            for round in 1..=3 {
                while window.has_permit(now) {
                    window.begin(now);
                }
                for _ in 0..window.in_flight {
                    let (waited, took) = (Duration::ZERO, 300 * MS);
                    window.end(Some(Answer { waited, took }), now + 300 * MS * round);
                }
            }
            assert!(grown.contains(&window.size), "{}", window.size);
        }
    }

    #[test]
    fn it_shrinks_once_a_round_trip_and_keeps_one_permit() {
        let mut window = Window::new(100.0, 1.0);
        let now = rounds(&mut window, 500 * MS, 1, Instant::now());
        assert!((60.0..80.0).contains(&window.size), "{}", window.size);
        rounds(&mut window, 10_000 * MS, 50, now);
        assert_eq!(window.size, 1.0);
        assert!(window.has_permit(now));
        let mut window = Window::new(100.0, 16.0);
        rounds(&mut window, 10_000 * MS, 50, now);
        assert_eq!(window.size, 16.0);
    }

    #[test]
    fn a_call_that_takes_long_has_waited_though_nobody_says_so() {
        let mut window = Window::new(100.0, 1.0);
        let now = Instant::now();
        for (took, size) in [(450, 100.0), (600, 80.0)] {
            window.begin(now);
            let (waited, took) = (Duration::ZERO, took * MS);
            window.end(Some(Answer { waited, took }), now);
            assert_eq!(window.size, size);
        }
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut window = Window::new(100.0, 1.0);
        let now = Instant::now();
        for _ in 0..1_000 {
            window.begin(now);
            window.end(answer(10 * MS), now);
        }
        assert_eq!(window.size, 100.0);
    }

    #[test]
    fn what_it_could_serve_is_not_told_of_a_window_that_hangs() {
        let began = Instant::now();
        let mut window = Window::new(64.0, 1.0);
        let untried = window.untried_per_second(began).unwrap();
        assert_eq!(untried, 64.0 / 0.025);
        for _ in 0..32 {
            window.begin(began);
        }
        assert_eq!(window.untried_per_second(began), Some(untried));
        assert_eq!(window.untried_per_second(began + 800 * MS), Some(80.0));
        while window.has_permit(began) {
            window.begin(began);
        }
        for after in [0, 100, 500, 900] {
            let later = began + after * MS;
            assert_eq!(
                window.untried_per_second(later),
                None,
                "full for {after} ms"
            );
        }
    }

    #[test]
    fn without_answers_it_falls_and_lets_a_probe_through_from_time_to_time() {
        let mut window = Window::new(64.0, 1.0);
        let began = Instant::now();
        while window.has_permit(began) {
            window.begin(began);
        }
        for _ in 0..60 {
            window.end(None, began);
        }
        assert_eq!(window.in_flight, 4);
        let after = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(window.idle(after(1)), 60.0);
        assert!(window.idle(after(3)) < 16.0);
        assert!(window.has_permit(after(10)), "a probe");
        // The first answer ends the silence, and the window grows again from there.
        window.end(answer(MS), after(10));
        assert!(window.has_permit(after(10)));
        rounds(&mut window, MS, 3, after(10));
        assert!(window.size > 64.0, "{}", window.size);
    }

    #[test]
    fn after_a_silence_it_goes_on_from_half_of_what_it_was() {
        let mut window = Window::new(64.0, 1.0);
        let now = rounds(&mut window, 10 * MS, 3, Instant::now());
        let now = rounds(&mut window, 110 * MS, 1, now);
        let before = window.size;
        assert!(before > 400.0, "{before}");
        // All are answered that waited for six seconds, and then those that came afterwards.
        let now = rounds(&mut window, 6_000 * MS, 1, now);
        assert!(window.size < before / 8.0, "{}", window.size);
        rounds(&mut window, 10 * MS, 1, now);
        let again = window.size;
        assert!(again > before * 0.49 && again < before * 0.6, "{again}");
        // Once: what is too much now shrinks again, and stays so.
        let now = rounds(&mut window, 300 * MS, 5, now + 100 * MS);
        let shrunk = window.size;
        rounds(&mut window, 10 * MS, 1, now);
        assert!(window.size < shrunk * 1.2, "{}", window.size);
    }
}
