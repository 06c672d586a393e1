mod issued;
mod range;
mod shown;
mod stall;

use std::time::Duration;

pub use issued::Issued;
pub use range::PaceRange;
pub use shown::Shown;
use stall::at_least_leased;

/// How long claims may wait, at gateways for room and at issuance for their commit. The pace is set so that they wait about so long.
const QUEUE_DELAY_TARGET: Duration = Duration::from_millis(100);
const TARGET_SECONDS: f64 = QUEUE_DELAY_TARGET.as_millis() as f64 / 1_000.0;
/// What is tried first when nothing is known.
const FIRST_GUESS_PER_SECOND: f64 = 500.0;
const SLOWEST_PER_SECOND: f64 = 5.0;
const FASTEST_PER_SECOND: f64 = 1_000_000.0;
/// Replicas of issuance hold leases for about this long of what they issue, those they are about to return included. What is on lease when a queue begins tells how fast it can go.
const LEASED_SECONDS: f64 = 4.0;

/// How fast the pace grows while nothing is known of what issuance can do, or it can do much more than of late.
const FAR_BELOW: f64 = 1.5;
/// How much more than it did issuance is offered while its claims wait less than half of the target, and less than the target.
const PROBE: f64 = 1.25;
const PROBE_NEAR_TARGET: f64 = 1.1;
/// How much less while its claims wait too long: so much that the excess is gone after this time. It has to be longer than the lag, or the pace would swing.
const CORRECTED_WITHIN: Duration = Duration::from_secs(3);
/// It is offered this share at least, so that it shows what it can do.
const LEAST_SHARE: f64 = 0.1;
const NOBODY_ANSWERED: f64 = 0.5;
/// Of what issuance does, so much becomes due while claims wait and it is not known yet what it can do.
const UNTIL_KNOWN: f64 = 0.9;
/// From this share of what issuance could do before, the pace grows slowly.
const NEAR_FROM: f64 = 0.8;
/// If a smaller share of what becomes due is used, nothing is learned from it: nobody is there, or something is broken.
const LEAST_SHOW_RATE: f64 = 0.03;
/// If nobody uses turns and fewer than this share of them join, all shoppers are cut off: those who come back are to find their turns.
const LEAST_JOINING: f64 = 0.1;
/// A pace of which issuance feels less than this share is not what makes it slow.
const FELT_FROM: f64 = 0.5;
/// If turns come at less than this share of what issuance bears hardly anybody has waited for one: nothing is learned from those, and the next ones are first turns again.
const HARDLY_FELT: f64 = 0.1;
/// While the limit is not known the pace may still grow to this multiple of itself before whoever waits now is served.
const MAY_GROW_BY: f64 = 8.0;

/// A lower delay replaces a higher one only after this long: gateways report one after the other, and the worst counts.
const WORST_DELAY_HELD: Duration = Duration::from_millis(400);
/// A delay that is older says nothing.
const DELAY_FORGOTTEN_AFTER: Duration = Duration::from_secs(3);
/// Two of these are remembered, so the extremes are those of 15 to 30 s.
const RANGE_SPAN: Duration = Duration::from_secs(15);
/// For so long after a range has begun little has been seen of what issuance can do, and it may be more by so much.
const RANGE_IS_NEW_FOR: Duration = Duration::from_secs(5);
const MAY_BE_MORE_BY: f64 = 1.5;
/// How long it takes on average until a turn that has come is used and issuance's answer has been reported: whoever is next asks about once a second, however long the queue is.
const LAG_SECONDS: f64 = 1.3;
/// As many turns as come in this time come at once at the beginning, because those who have them ask one after the other, within a second. Some of them find no room then: those are back when fewer ask.
const FIRST_TURNS_SECONDS: f64 = 1.5;
/// Whoever finds no room for a turn that has come is back after this time on average.
const BACK_AFTER_SECONDS: f64 = 0.75;
/// How much the wait of those counts beside that at issuance. Some are to be outside, because polls come in bunches, and between them issuance would run short.
const OUTSIDE_WEIGHT: f64 = 2.0 / 5.0;
/// At most so many times as many turns come as claims are wanted. Who comes is seen a second or two later, and if a crowd comes after a stretch that everybody has left, no more of it are due by then.
const MOST_TURNS: f64 = 10.0;

/// How many tickets become due each second, and what is known of it.
///
/// What issuance can do is seen while its claims wait for their commits: it is what it does then. As many turns come as bring that many claims, by the share of turns that were used of late, a little fewer while
/// claims wait longer than they should, and a little more while they do not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pace {
    /// Tickets that become due each second; 0 until the first queue of the campaign begins.
    pub per_second: f64,
    /// The pace of those tickets that are being used now, were all used.
    pub felt_per_second: f64,
    /// Tickets used each second.
    pub used_per_second: f64,
    /// Tickets handed out each second.
    pub joined_per_second: f64,
    /// How often a second a turn that had come found no room.
    pub kept_per_second: f64,
    /// Turns that came, and those that were used, by which the share of those who come is taken.
    pub shown: Shown,
    /// Coupons a second.
    pub issued: Issued,
    /// The delay at issuance of late, that of the gateway which finds it worst.
    pub delay: Option<Delay>,
    /// The extremes of this span and the one before.
    pub recent: PaceRange,
    /// The extremes of the span before.
    pub earlier: PaceRange,
}

/// How long claims waited, at gateways for room and at issuance for their commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// How long.
    pub waited: Duration,
    /// How long ago that was reported.
    pub age: Duration,
}

/// What gateways found since the pace was set last.
#[derive(Debug, Clone, Copy)]
pub struct Findings {
    /// The time since then.
    pub elapsed: Duration,
    /// Due tickets that were used.
    pub used: u64,
    /// Tickets that were handed out.
    pub joined: u64,
    /// Coupons that issuance answered with.
    pub issued: u64,
    /// How often a turn that had come found no room.
    pub kept: u64,
    /// Coupons that are on lease.
    pub leased: u64,
    /// Whether so few wait that turns come as their holders join, and not as fast as the pace.
    pub is_short: bool,
    /// How long claims waited, at gateways for room and at issuance for their commit. `None` if none was answered.
    pub delay: Option<Duration>,
}

impl Pace {
    /// Begins a queue: with what was learned in the one before, or from what issuance holds on lease.
    pub fn begin(&mut self, leased: u64) {
        let known = if self.per_second > 0.0 {
            self.per_second
        } else {
            FIRST_GUESS_PER_SECOND
        };
        self.per_second = at_least_leased(known, leased);
        if self.issued.most_per_second.is_none() {
            self.issued.usual_per_second = Some(leased as f64 / LEASED_SECONDS);
        }
        self.recent = PaceRange::of(self.borne_per_second());
        self.earlier = self.recent;
        self.pause();
    }

    /// Notes that nothing becomes due for now: what issuance feels from here on is not this pace.
    pub fn pause(&mut self) {
        self.felt_per_second = 0.0;
        self.used_per_second = 0.0;
        self.issued.per_second = 0.0;
        self.issued.counted = Duration::ZERO;
        self.issued.loaded = Duration::ZERO;
    }

    /// Sets the pace by what gateways found.
    pub fn steer(&mut self, found: Findings) {
        let (elapsed, used) = (found.elapsed, found.used as f64);
        self.used_per_second = average(self.used_per_second, used, elapsed, LAG_SECONDS);
        let joined = found.joined as f64;
        self.joined_per_second = average(self.joined_per_second, joined, elapsed, LAG_SECONDS);
        let kept = average(
            self.kept_per_second,
            found.kept as f64,
            elapsed,
            LAG_SECONDS,
        );
        // Who came and was sent away has shown up, and when it is served it is no other.
        self.note_shown(
            used + BACK_AFTER_SECONDS * (kept - self.kept_per_second),
            elapsed,
        );
        self.kept_per_second = kept;
        let stood_still = self.stands_still();
        self.note_delay(found);
        if stood_still && !self.stands_still() {
            self.go_on_after_stall(found.leased);
        }
        // A gateway that few claims come to has no answer to tell of in each of its reports.
        let recent = self.delay.filter(|delay| delay.age < WORST_DELAY_HELD);
        let waited = recent.map(|delay| delay.waited);
        let was_known = self.issued.most_per_second.is_some();
        self.issued.learn(found, waited);
        // Until the first turns are used less is leased every second, and what was usual before the queue counts.
        let usual = self.issued.usual_per_second.unwrap_or_default();
        let wanted = self.wanted(usual.max(found.leased as f64 / LEASED_SECONDS));
        self.per_second = wanted.clamp(SLOWEST_PER_SECOND, FASTEST_PER_SECOND);
        if let Some(most) = self.issued.most_per_second.filter(|_| !was_known) {
            // Until now it was tried out what issuance can do, which says nothing of what is to come.
            self.felt_per_second = self.felt_per_second.min(self.per_second);
            self.recent = PaceRange::of(self.per_second.min(most));
            self.earlier = self.recent;
        }
        let pace = if found.is_short {
            self.borne_per_second()
        } else {
            self.felt_or_borne()
        };
        if self.recent.span >= RANGE_SPAN {
            self.earlier = self.recent;
            self.recent = PaceRange::of(pace);
        }
        self.recent.include(pace, elapsed);
    }

    /// How many tickets may become due after this time.
    pub fn allowed(&self, elapsed: Duration) -> f64 {
        let first = if self.is_hardly_felt() {
            self.borne_per_second() * FIRST_TURNS_SECONDS
        } else {
            0.0
        };
        first + self.per_second * elapsed.as_secs_f64()
    }

    /// The pace, as far as issuance is known to bear it, were all turns used.
    pub fn borne_per_second(&self) -> f64 {
        let most = self.issued.most_per_second;
        most.map_or(self.per_second, |most| self.per_second.min(most))
    }

    /// Whether it is known what issuance can do, and it answers.
    pub fn is_known_to_be_borne(&self) -> bool {
        self.issued.most_per_second.is_some() && self.delay.is_some()
    }

    /// Notes how many tickets became due since the pace was set.
    pub fn made_due(&mut self, tickets: f64, elapsed: Duration) {
        self.felt_per_second = average(self.felt_per_second, tickets, elapsed, LAG_SECONDS);
    }

    /// The slowest and the fastest that whoever waits now has to expect, by the last half minute; `None` if nobody can say how long a queue takes, because issuance has not felt its pace yet.
    pub fn expected(&self) -> Option<(f64, f64)> {
        let (recent, earlier) = (self.recent, self.earlier);
        let slowest = recent.slowest.min(earlier.slowest);
        let fastest = recent.fastest.max(earlier.fastest);
        if let Some(most) = self.issued.most_per_second {
            let is_new = recent.span + earlier.span < RANGE_IS_NEW_FOR;
            let may_be = if is_new { MAY_BE_MORE_BY } else { 0.0 };
            return Some((slowest, fastest.max(may_be * most)));
        }
        // Issuance bears this pace and more: from here on it only grows.
        let is_borne = self.delay.is_some() && !self.is_over_target() && self.kept_per_second < 1.0;
        let is_known = is_borne && self.is_felt() && self.is_used();
        is_known.then_some((slowest, MAY_GROW_BY * fastest))
    }

    /// Whether claims wait too long at issuance.
    pub fn is_over_target(&self) -> bool {
        self.delay
            .is_some_and(|delay| delay.waited > QUEUE_DELAY_TARGET)
    }

    /// How fast turns have come of late: a wait is long beside the moments in which the pace is corrected. Where few came because few waited it is what issuance bears.
    fn felt_or_borne(&self) -> f64 {
        let is_known = self.issued.most_per_second.is_some();
        let borne = self.borne_per_second();
        let few_came = is_known && self.felt_per_second < FELT_FROM * borne;
        if self.felt_per_second <= 0.0 || few_came {
            borne
        } else {
            self.felt_per_second
        }
    }

    fn is_hardly_felt(&self) -> bool {
        self.felt_per_second <= HARDLY_FELT * self.borne_per_second()
    }

    fn is_felt(&self) -> bool {
        self.felt_per_second > 0.0 && self.felt_per_second >= FELT_FROM * self.per_second
    }

    fn is_used(&self) -> bool {
        self.used_per_second >= LEAST_SHOW_RATE * self.felt_per_second
    }

    fn is_cut_off(&self) -> bool {
        !self.is_used() && self.joined_per_second < LEAST_JOINING * self.felt_per_second
    }

    fn note_shown(&mut self, used: f64, elapsed: Duration) {
        let came_few = self.felt_per_second > 0.0 && self.is_hardly_felt();
        if self.is_cut_off() || came_few {
            return;
        }
        let due = self.felt_per_second * elapsed.as_secs_f64();
        self.shown.note(due, used, elapsed);
    }

    fn note_delay(&mut self, found: Findings) {
        let known = self.delay.map(|delay| Delay {
            age: delay.age + found.elapsed,
            ..delay
        });
        let new = found.delay.map(|waited| Delay {
            waited,
            age: Duration::ZERO,
        });
        self.delay = match (known, new) {
            (Some(known), Some(new))
                if new.waited < known.waited && known.age < WORST_DELAY_HELD =>
            {
                Some(known)
            }
            (_, Some(new)) => Some(new),
            (known, None) => known.filter(|known| known.age < DELAY_FORGOTTEN_AFTER),
        };
    }

    /// How long claims wait whose turns have come: for room and at issuance, and those that were sent away, by what they weigh.
    fn waited_seconds(&self) -> Option<f64> {
        let delay = self.delay?;
        let issued = self.issued.most_per_second;
        let issued = issued.unwrap_or(self.issued.rate()).max(1.0);
        let outside = self.kept_per_second * BACK_AFTER_SECONDS / issued;
        Some(delay.waited.as_secs_f64() + OUTSIDE_WEIGHT * outside)
    }

    /// `usual` is what issuance does each second as its leases tell: better than nothing while nothing else is known.
    fn wanted(&self, usual: f64) -> f64 {
        let now = self.per_second;
        match (self.waited_seconds(), self.issued.most_per_second) {
            (None, _) if self.is_unanswered() => now.min(NOBODY_ANSWERED * self.felt_per_second),
            // Nobody comes: whoever waits behind a crowd that has gone is not to wait for ever, and if something is broken nobody is to lose a turn for it.
            (None, Some(most)) => self.turns(most).max(self.grown(most)),
            (None, None) => now,
            (Some(waited), Some(most)) => {
                let offered = self.turns(self.offered(waited, most));
                // A stretch of the queue that everybody has left: issuance idles until it is passed.
                if waited < TARGET_SECONDS / 2.0 {
                    offered.max(self.grown(most))
                } else {
                    offered
                }
            }
            (Some(waited), None)
                if (waited <= TARGET_SECONDS || self.idles()) && self.is_used() =>
            {
                now.max(self.grown(f64::INFINITY))
                    .max(self.turns(UNTIL_KNOWN * usual))
            }
            // More turns would only wait for each other.
            (Some(_), None) => now.min(self.turns(UNTIL_KNOWN * self.issued.rate().max(usual))),
        }
    }

    /// As many turns as bring so many claims.
    fn turns(&self, claims: f64) -> f64 {
        claims / self.shown.rate().max(1.0 / MOST_TURNS)
    }

    /// Whether claims hardly wait, so that those who were sent away find room.
    fn idles(&self) -> bool {
        self.delay
            .is_none_or(|delay| delay.waited <= QUEUE_DELAY_TARGET / 2)
    }

    /// The pace one step faster, if issuance, which can do `most`, has felt this one. While all shoppers are cut off it stays as it is, so that they find their turns when they are back.
    fn grown(&self, most: f64) -> f64 {
        if self.is_felt() && !self.is_cut_off() {
            (FAR_BELOW * self.felt_per_second).min(MOST_TURNS * most)
        } else {
            0.0
        }
    }

    /// Claims a second that issuance is offered, by how many seconds they wait there and before it.
    fn offered(&self, waited: f64, most: f64) -> f64 {
        if !self.idles() {
            let less = (waited - TARGET_SECONDS) / CORRECTED_WITHIN.as_secs_f64();
            let is_too_long = less > 0.0;
            let corrected = (1.0 - less).max(LEAST_SHARE);
            return most
                * if is_too_long {
                    corrected
                } else {
                    PROBE_NEAR_TARGET
                };
        }
        let usual = self.issued.usual_per_second.unwrap_or_default();
        most * if most < NEAR_FROM * usual {
            FAR_BELOW
        } else {
            PROBE
        }
    }
}

/// A rate averaged over the last `seconds`, after `count` more in `elapsed`.
fn average(rate: f64, count: f64, elapsed: Duration, seconds: f64) -> f64 {
    let elapsed = elapsed.as_secs_f64();
    let kept = (-elapsed / seconds).exp();
    // Two reports may come at the same instant; what the second one counts is not lost.
    let weight = if elapsed > 0.0 {
        (1.0 - kept) / elapsed
    } else {
        1.0 / seconds
    };
    rate * kept + count * weight
}

#[cfg(test)]
mod tests;
