use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use tidegate_gateway::domain::{
    promises::Promises,
    queue::{Snapshot, ask_after_opening},
    tuning::{ASKS_PER_PROCESSOR, REPORT_INTERVAL},
    wait_queue::{Key, WaitQueue},
    window::Answer,
    windows::Windows,
};
use tidegate_quota::domain::{IssuanceControl, Queue, QueueCampaign, QueueReport};
use tidegate_types::{CampaignNumber, Cohort, Lane, Lanes, Timestamp, Turn};

use super::{
    Outcome, Scenario,
    crowd::{Chance, Shopper},
};

const STEP: f64 = 0.001;
pub(super) const REPORT_EVERY: f64 = REPORT_INTERVAL.as_secs_f64();
/// A message between two processes takes so long.
pub(super) const ON_THE_WAY: f64 = 0.002;
/// Nobody is overtaken by whoever came less than so many seconds later.
const OVERTAKEN_FROM: f64 = 2.0;
const OPENED_AT: u64 = 1_790_000_000;
pub(super) const PROCESSORS: f64 = 2.0;

/// What happens at a moment. Steps of shoppers that have done something else since are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Asks {
        shopper: usize,
        step: u32,
    },
    HeldTooLong {
        gateway: usize,
        shopper: usize,
        key: Key,
    },
    StoodTooLong {
        gateway: usize,
        shopper: usize,
        key: Key,
    },
    Answered {
        gateway: usize,
        shopper: usize,
        sent_us: u64,
        delay_us: u64,
    },
    Reports {
        gateway: usize,
    },
    Hears {
        gateway: usize,
    },
}

pub(super) struct Gateway {
    pub(super) windows: Windows,
    pub(super) doors: Vec<WaitQueue<usize>>,
    pub(super) held: WaitQueue<usize>,
    pub(super) promises: Promises,
    pub(super) promises_kept: u64,
    pub(super) able_per_second: f64,
    pub(super) snapshot: Snapshot,
    pub(super) wants_queue: bool,
    pub(super) told: Option<Snapshot>,
}

pub(super) struct Claim {
    pub(super) gateway: usize,
    pub(super) shopper: usize,
    pub(super) sent: f64,
}

pub(super) struct Simulation<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) began: Instant,
    pub(super) now: f64,
    pub(super) chance: Chance,
    pub(super) lanes: Vec<Lane>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) queue: Queue,
    pub(super) campaign: QueueCampaign,
    pub(super) reports: Vec<Option<(f64, QueueReport)>>,
    pub(super) shoppers: Vec<Shopper>,
    pub(super) events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    pub(super) planned: u64,
    pub(super) issuance: Vec<VecDeque<Claim>>,
    pub(super) latest_served: f64,
    pub(super) outcome: Outcome,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let began = Instant::now();
        let lanes = Lanes::new(u16::try_from(scenario.lanes).expect("few lanes")).expect("lanes");
        let opens_at = timestamp(0.0);
        let campaign = QueueCampaign {
            number: CampaignNumber::new(7u32).expect("a number"),
            opens_at,
            closes_at: opens_at + Duration::from_secs(86_400),
            issuance: IssuanceControl::Open,
            free: 1_000_000_000,
            leased: 0,
        };
        let gateway = || Gateway {
            windows: Windows::of_claims(lanes, began),
            doors: (0..scenario.lanes).map(|_| WaitQueue::default()).collect(),
            held: WaitQueue::default(),
            promises: Promises::new(began),
            promises_kept: 0,
            able_per_second: 0.0,
            snapshot: Snapshot {
                clock: Duration::from_secs(OPENED_AT),
                ..Snapshot::unknown(began)
            },
            wants_queue: false,
            told: None,
        };
        Self {
            scenario,
            began,
            now: 0.0,
            chance: Chance::new(scenario.seed),
            lanes: lanes.all().collect(),
            gateways: (0..scenario.gateways).map(|_| gateway()).collect(),
            queue: Queue::default(),
            campaign,
            reports: vec![None; scenario.gateways],
            shoppers: Vec::new(),
            events: BinaryHeap::new(),
            planned: 0,
            issuance: (0..scenario.lanes).map(|_| VecDeque::new()).collect(),
            latest_served: 0.0,
            outcome: Outcome {
                served: vec![0; scenario.seconds as usize + 1],
                in_flight: vec![0.0; scenario.seconds as usize + 1],
                ..Outcome::default()
            },
        }
    }

    pub(super) fn run(mut self) -> Outcome {
        self.wait_for_opening();
        for gateway in 0..self.scenario.gateways {
            let share = (gateway + 1) as f64 / self.scenario.gateways as f64;
            self.plan(REPORT_EVERY * share, Event::Reports { gateway });
        }
        let commit_every = self.scenario.commit_every.as_secs_f64();
        let mut commits_at: Vec<f64> = (1..=self.scenario.lanes)
            .map(|lane| commit_every * lane as f64 / self.scenario.lanes as f64)
            .collect();
        let mut credit = vec![0.0; self.scenario.lanes];
        let mut restarts_at = self.scenario.gateway_restarts_at;
        for step in 1..=(self.scenario.seconds as f64 / STEP) as u64 {
            self.now = step as f64 * STEP;
            if restarts_at.take_if(|at| *at <= self.now).is_some() {
                self.restart_first_gateway();
            }
            self.arrive();
            while let Some(Reverse((at_us, _, _))) = self.events.peek()
                && *at_us <= micros(self.now)
                && let Some(Reverse((_, _, event))) = self.events.pop()
            {
                self.happen(event);
            }
            for lane in 0..self.scenario.lanes {
                if self.now >= commits_at[lane] {
                    commits_at[lane] += commit_every;
                    let share = (self.scenario.capacity)(self.now) / self.scenario.lanes as f64;
                    credit[lane] = self.commit(lane, credit[lane] + share * commit_every);
                }
            }
            if self.queue.is_queueing {
                let at = self.instant();
                let idle: f64 = self
                    .gateways
                    .iter()
                    .map(|gateway| gateway.windows.idle(at))
                    .sum();
                self.outcome.idle_permit_seconds += idle * STEP;
            }
        }
        self.outcome.waits.sort_by(f64::total_cmp);
        self.outcome
    }

    /// Those who came before the opening have a place, and were told to come back within a second
    /// after it.
    fn wait_for_opening(&mut self) {
        for shopper in 0..self.scenario.early {
            let turn = Turn {
                cohort: Cohort::BEFORE_OPENING,
                draw: self.chance.draw(),
            };
            let one = self.newcomer(turn, true, true);
            self.shoppers.push(one);
            let gateway = self.chance.below(self.scenario.gateways);
            let waiting = (self.scenario.early / self.scenario.gateways) as u64;
            let after = ask_after_opening(turn, waiting, ASKS_PER_PROCESSOR * PROCESSORS);
            let back_at = after.as_secs_f64();
            self.promise(gateway, shopper, back_at);
        }
        if self.scenario.early > 0 {
            self.report_before_opening();
        }
    }

    fn newcomer(&mut self, turn: Turn, returns: bool, waits: bool) -> Shopper {
        Shopper {
            turn,
            lane: self.chance.below(self.scenario.lanes),
            came_at: self.now,
            gives_up_at: self.now + self.scenario.patience.as_secs_f64(),
            returns,
            waits,
            estimate: None,
            step: 0,
        }
    }

    fn arrive(&mut self) {
        let rate = (self.scenario.arrivals)(self.now) * STEP;
        for _ in 0..self.chance.about(rate) {
            let gateway = self.chance.below(self.scenario.gateways);
            let turn = Turn {
                cohort: self.gateways[gateway]
                    .snapshot
                    .current_cohort(self.instant()),
                draw: self.chance.draw(),
            };
            let returns = self.chance.share() < self.scenario.returning;
            let one = self.newcomer(turn, returns, false);
            self.shoppers.push(one);
            self.claim(gateway, self.shoppers.len() - 1);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Asks { shopper, step } if self.shoppers[shopper].step == step => {
                self.ask(shopper);
            }
            Event::Asks { .. } => {}
            Event::HeldTooLong {
                gateway,
                shopper,
                key,
            } => {
                if self.gateways[gateway].held.remove(key).is_some() {
                    self.ask(shopper);
                }
            }
            Event::StoodTooLong {
                gateway,
                shopper,
                key,
            } => {
                let lane = self.shoppers[shopper].lane;
                if self.gateways[gateway].doors[lane].remove(key).is_some() {
                    self.send_away(gateway, shopper);
                }
            }
            Event::Answered {
                gateway,
                shopper,
                sent_us,
                delay_us,
            } => {
                self.answered(gateway, shopper, sent_us, delay_us);
            }
            Event::Reports { gateway } => self.report(gateway),
            Event::Hears { gateway } => self.hear(gateway),
        }
    }

    /// Commits what the credit allows; what is left of it stays only while there is work.
    fn commit(&mut self, lane: usize, credit: f64) -> f64 {
        let count = (credit as usize).min(self.issuance[lane].len());
        let commit_every = self.scenario.commit_every.as_secs_f64();
        for Claim {
            gateway,
            shopper,
            sent,
        } in self.issuance[lane].drain(..count).collect::<Vec<_>>()
        {
            let delay = (self.now - sent - commit_every).max(0.0);
            let (sent_us, delay_us) = (micros(sent), micros(delay));
            let at = self.now + ON_THE_WAY;
            self.plan(
                at,
                Event::Answered {
                    gateway,
                    shopper,
                    sent_us,
                    delay_us,
                },
            );
        }
        let left = credit - count as f64;
        if self.issuance[lane].is_empty() {
            left.min(1.0)
        } else {
            left
        }
    }

    fn answered(&mut self, gateway: usize, shopper: usize, sent_us: u64, delay_us: u64) {
        let Shopper {
            came_at,
            waits,
            lane,
            estimate,
            ..
        } = self.shoppers[shopper];
        let answer = Answer {
            waited: Duration::from_micros(delay_us),
            took: Duration::from_micros(micros(self.now) - sent_us),
        };
        let (now, lane_of) = (self.instant(), self.lanes[lane]);
        self.gateways[gateway]
            .windows
            .end(lane_of, Some(answer), now);
        self.outcome.served[self.now as usize] += 1;
        self.outcome.in_flight[self.now as usize] += answer.took.as_secs_f64();
        if waits {
            self.outcome.waits.push(self.now - came_at);
        }
        if let Some(by) = estimate {
            self.outcome.estimates.0 += 1;
            self.outcome.estimates.1 += u64::from(self.now <= by);
        }
        self.outcome.overtaken += u64::from(self.latest_served - came_at > OVERTAKEN_FROM);
        self.latest_served = self.latest_served.max(came_at);
        while self.gateways[gateway].windows.has_permit(lane_of, now)
            && let Some((_, next)) = self.gateways[gateway].doors[lane].pop()
        {
            self.send(gateway, next);
        }
    }

    pub(super) fn plan(&mut self, at: f64, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((micros(at), self.planned, event)));
    }

    pub(super) fn instant(&self) -> Instant {
        self.began + Duration::from_secs_f64(self.now)
    }
}

pub(super) fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

pub(super) fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(OPENED_AT) + Duration::from_secs_f64(seconds)
}
