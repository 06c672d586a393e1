use std::time::Duration;

use tidegate_gateway::domain::{
    queue::{Asked, HELD_FOR, Pace, Stage, Wait, latest_ask},
    tuning::{ASKS_PER_PROCESSOR, SOONEST_ASK},
    wait_queue::{ARRIVALS_WAIT, Rank, TURNS_WAIT},
};

use super::{
    crowd::Shopper,
    simulation::{Claim, Event, ON_THE_WAY, PROCESSORS, Simulation},
};

impl Simulation<'_> {
    pub(super) fn ask(&mut self, shopper: usize) {
        if self.now >= self.shoppers[shopper].gives_up_at {
            return;
        }
        self.outcome.asks += 1;
        let gateway = self.chance.below(self.scenario.gateways);
        self.claim(gateway, shopper);
    }

    /// A claim at a gateway, as its door decides.
    pub(super) fn claim(&mut self, gateway: usize, shopper: usize) {
        let Shopper {
            turn, waits, lane, ..
        } = self.shoppers[shopper];
        let snapshot = &self.gateways[gateway].snapshot;
        if snapshot.is_queueing && snapshot.stage(turn) == Stage::Waiting {
            return if waits {
                self.tell(gateway, shopper)
            } else {
                self.join(gateway, shopper)
            };
        }
        if waits {
            self.gateways[gateway].promises_kept += 1;
        }
        self.stand(gateway, shopper, lane);
    }

    /// Goes to issuance if there is a permit, or stands in line for one.
    pub(super) fn stand(&mut self, gateway: usize, shopper: usize, lane: usize) {
        let now = self.instant();
        let Shopper { turn, waits, .. } = self.shoppers[shopper];
        let (rank, wait) = if waits {
            (Rank::Turn(turn), TURNS_WAIT)
        } else {
            (Rank::Arrival, ARRIVALS_WAIT)
        };
        let here = &mut self.gateways[gateway];
        if here.windows.has_permit(self.lanes[lane], now) && !here.doors[lane].has_before(rank) {
            return self.send(gateway, shopper);
        }
        here.wants_queue = true;
        let most = (here.windows).arrivals_that_may_wait(self.lanes[lane], wait, now);
        if !waits && here.doors[lane].arrival_count() >= most {
            return self.join(gateway, shopper);
        }
        let key = here.doors[lane].push(rank, shopper);
        let until = self.now + wait.as_secs_f64();
        self.plan(
            until,
            Event::StoodTooLong {
                gateway,
                shopper,
                key,
            },
        );
    }

    pub(super) fn send_away(&mut self, gateway: usize, shopper: usize) {
        if self.shoppers[shopper].waits {
            let after = SOONEST_ASK.as_secs_f64() * (1.0 + self.chance.share());
            self.promise(gateway, shopper, self.now + after);
        } else {
            self.join(gateway, shopper);
        }
    }

    pub(super) fn join(&mut self, gateway: usize, shopper: usize) {
        let snapshot = &self.gateways[gateway].snapshot;
        let current = snapshot
            .current_cohort(self.instant())
            .max(snapshot.watermark.cohort);
        self.gateways[gateway].wants_queue = true;
        let one = &mut self.shoppers[shopper];
        one.waits = true;
        one.turn.cohort = one.turn.cohort.max(current);
        self.tell(gateway, shopper);
    }

    /// Holds the call of one whose turn may come soon, and tells the others when to ask again.
    pub(super) fn tell(&mut self, gateway: usize, shopper: usize) {
        let (now, turn) = (self.instant(), self.shoppers[shopper].turn);
        let here = &mut self.gateways[gateway];
        let asked = Asked {
            position: here.snapshot.position(turn, now),
            able_per_second: here.snapshot.able_per_second.max(here.able_per_second),
            fastest_per_second: here.snapshot.pace.map_or(0.0, Pace::fastest),
            latest: latest_ask(here.promises.total(), ASKS_PER_PROCESSOR * PROCESSORS),
        };
        let earliest = now + asked.ask_after(self.chance.share());
        let budget = ASKS_PER_PROCESSOR * PROCESSORS;
        let most = asked.most_asks_per_second(budget, here.able_per_second);
        let after = here.promises.free_from(earliest, most) - now;
        if let Some(pace) = here
            .snapshot
            .pace
            .filter(|_| self.shoppers[shopper].estimate.is_none())
            && let Some(wait) = Wait::at(asked.position, pace, after)
        {
            self.shoppers[shopper].estimate = Some(self.now + wait.longest.as_secs_f64());
        }
        if asked.may_be_held() && self.shoppers[shopper].returns {
            let key = self.gateways[gateway].held.push(Rank::Turn(turn), shopper);
            let held = self.gateways[gateway].held.turn_count();
            self.outcome.most_held = self.outcome.most_held.max(held);
            let until = self.now + HELD_FOR.as_secs_f64();
            return self.plan(
                until,
                Event::HeldTooLong {
                    gateway,
                    shopper,
                    key,
                },
            );
        }
        self.promise(gateway, shopper, self.now + after.as_secs_f64());
    }

    pub(super) fn promise(&mut self, gateway: usize, shopper: usize, back_at: f64) {
        let at = self.began + Duration::from_secs_f64(back_at);
        let one = &mut self.shoppers[shopper];
        one.step += 1;
        let (turn, step, returns) = (one.turn, one.step, one.returns);
        self.gateways[gateway].promises.add(turn, at);
        self.outcome.longest_away = self.outcome.longest_away.max(back_at - self.now);
        if returns {
            self.plan(back_at + ON_THE_WAY, Event::Asks { shopper, step });
        }
    }

    pub(super) fn send(&mut self, gateway: usize, shopper: usize) {
        let lane = self.shoppers[shopper].lane;
        let now = self.instant();
        self.gateways[gateway].windows.begin(self.lanes[lane], now);
        let sent = self.now;
        self.issuance[lane].push_back(Claim {
            gateway,
            shopper,
            sent,
        });
    }
}
