use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use tidegate_gateway::domain::{
    promises::Promises,
    queue::{ASKS_PER_PROCESSOR, Asked, HELD_FOR, Pace, SOONEST_ASK, Snapshot, Stage, Wait, Waiting, ask_after_opening},
    wait_queue::{Key, Rank, WaitQueue},
    window::Answer,
    windows::Windows,
};
use tidegate_quota::domain::{
    CohortWaiting, IssuanceControl, Promises as PromisesKept, Queue, QueueCampaign, QueueReport,
    REPORTS_COUNT_FOR,
};
use tidegate_types::{CampaignNumber, Cohort, Lane, Lanes, Timestamp, Turn};

use super::{
    Outcome, Scenario,
    crowd::{Chance, Shopper},
};

const STEP: f64 = 0.001;
const REPORT_EVERY: f64 = 0.2;
/// A message between two processes takes so long.
const ON_THE_WAY: f64 = 0.002;
/// Nobody is overtaken by whoever came less than so many seconds later.
const OVERTAKEN_FROM: f64 = 2.0;
const OPENED_AT: u64 = 1_790_000_000;
const PROCESSORS: f64 = 2.0;

/// What happens at a moment. Steps of shoppers that have done something else since are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Asks { shopper: usize, step: u32 },
    HeldTooLong { gateway: usize, shopper: usize, key: Key },
    StoodTooLong { gateway: usize, shopper: usize, key: Key },
    Answered { gateway: usize, shopper: usize, sent_us: u64, delay_us: u64 },
    Reports { gateway: usize },
    Hears { gateway: usize },
}

struct Gateway {
    windows: Windows,
    doors: Vec<WaitQueue<usize>>,
    held: WaitQueue<usize>,
    promises: Promises,
    promises_kept: u64,
    able_per_second: f64,
    snapshot: Snapshot,
    wants_queue: bool,
    told: Option<Snapshot>,
}

/// A claim at issuance.
struct Claim {
    gateway: usize,
    shopper: usize,
    sent: f64,
}

pub(super) struct Simulation<'a> {
    scenario: &'a Scenario,
    began: Instant,
    now: f64,
    chance: Chance,
    lanes: Vec<Lane>,
    gateways: Vec<Gateway>,
    queue: Queue,
    campaign: QueueCampaign,
    reports: Vec<Option<(f64, QueueReport)>>,
    shoppers: Vec<Shopper>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    planned: u64,
    issuance: Vec<VecDeque<Claim>>,
    latest_served: f64,
    outcome: Outcome,
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
            windows: Windows::new(lanes, began),
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
                let idle: f64 = self.gateways.iter().map(|gateway| gateway.windows.idle(at)).sum();
                self.outcome.idle_permit_seconds += idle * STEP;
            }
        }
        self.outcome.waits.sort_by(f64::total_cmp);
        self.outcome
    }

    /// Those who came before the opening have a place, and were told to come back within a second after it.
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
    }

    fn newcomer(&mut self, turn: Turn, returns: bool, waits: bool) -> Shopper {
        Shopper {
            turn,
            lane: self.chance.below(self.scenario.lanes),
            came_at: self.now,
            gives_up_at: self.now + self.scenario.patience.as_secs_f64(),
            returns,
            waits,
            was_shown: false,
            estimate: None,
            step: 0,
        }
    }

    fn arrive(&mut self) {
        let rate = (self.scenario.arrivals)(self.now) * STEP;
        for _ in 0..self.chance.about(rate) {
            let gateway = self.chance.below(self.scenario.gateways);
            let turn = Turn {
                cohort: self.gateways[gateway].snapshot.current_cohort(self.instant()),
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
            Event::HeldTooLong { gateway, shopper, key } => {
                if self.gateways[gateway].held.remove(key).is_some() {
                    self.ask(shopper);
                }
            }
            Event::StoodTooLong { gateway, shopper, key } => {
                let lane = self.shoppers[shopper].lane;
                if self.gateways[gateway].doors[lane].remove(key).is_some() {
                    self.send_away(gateway, shopper);
                }
            }
            Event::Answered { gateway, shopper, sent_us, delay_us } => {
                self.answered(gateway, shopper, sent_us, delay_us);
            }
            Event::Reports { gateway } => self.report(gateway),
            Event::Hears { gateway } => self.hear(gateway),
        }
    }

    fn ask(&mut self, shopper: usize) {
        if self.now >= self.shoppers[shopper].gives_up_at {
            return;
        }
        self.outcome.asks += 1;
        let gateway = self.chance.below(self.scenario.gateways);
        self.claim(gateway, shopper);
    }

    /// A claim at a gateway, as its door decides.
    fn claim(&mut self, gateway: usize, shopper: usize) {
        let Shopper { turn, waits, was_shown, lane, .. } = self.shoppers[shopper];
        let snapshot = &self.gateways[gateway].snapshot;
        if snapshot.is_queueing && snapshot.stage(turn) == Stage::Waiting {
            return if waits { self.tell(gateway, shopper) } else { self.join(gateway, shopper) };
        }
        if waits && !was_shown {
            self.shoppers[shopper].was_shown = true;
            self.gateways[gateway].promises_kept += 1;
        }
        self.stand(gateway, shopper, lane);
    }

    /// Goes to issuance if there is a permit, or stands in line for one.
    fn stand(&mut self, gateway: usize, shopper: usize, lane: usize) {
        let now = self.instant();
        let Shopper { turn, waits, .. } = self.shoppers[shopper];
        let rank = if waits { Rank::Turn(turn) } else { Rank::NewClaim };
        let here = &mut self.gateways[gateway];
        if here.windows.has_permit(self.lanes[lane], now) && !here.doors[lane].has_before(rank) {
            return self.send(gateway, shopper);
        }
        here.wants_queue = true;
        let most = here.windows.new_claims_that_may_wait(self.lanes[lane], now);
        if !waits && here.doors[lane].new_claim_count() >= most {
            return self.join(gateway, shopper);
        }
        let key = here.doors[lane].push(rank, shopper);
        let until = self.now + rank.waits_for_permit().as_secs_f64();
        self.plan(until, Event::StoodTooLong { gateway, shopper, key });
    }

    fn send_away(&mut self, gateway: usize, shopper: usize) {
        if self.shoppers[shopper].waits {
            let after = SOONEST_ASK.as_secs_f64() * (1.0 + self.chance.share());
            self.promise(gateway, shopper, self.now + after);
        } else {
            self.join(gateway, shopper);
        }
    }

    fn join(&mut self, gateway: usize, shopper: usize) {
        let snapshot = &self.gateways[gateway].snapshot;
        let current = snapshot.current_cohort(self.instant()).max(snapshot.watermark.cohort);
        self.gateways[gateway].wants_queue = true;
        let one = &mut self.shoppers[shopper];
        one.waits = true;
        one.turn.cohort = one.turn.cohort.max(current);
        self.tell(gateway, shopper);
    }

    /// Holds the call of one whose turn may come soon, and tells the others when to ask again.
    fn tell(&mut self, gateway: usize, shopper: usize) {
        let (now, turn) = (self.instant(), self.shoppers[shopper].turn);
        let here = &mut self.gateways[gateway];
        let asked = Asked {
            position: here.snapshot.position(turn, now),
            fastest_per_second: here.snapshot.fastest_per_second.max(here.able_per_second),
        };
        let earliest = now + asked.ask_after(self.chance.share());
        let most = ASKS_PER_PROCESSOR * PROCESSORS + here.able_per_second;
        let at = if asked.is_near() {
            earliest
        } else {
            here.promises.free_from(earliest, most)
        };
        let after = at - now;
        if let Some(pace) = here.snapshot.pace.filter(|_| self.shoppers[shopper].estimate.is_none())
            && let Some(wait) = Wait::at(asked.position, pace, after)
        {
            self.shoppers[shopper].estimate = Some(self.now + wait.longest.as_secs_f64());
        }
        if asked.may_be_held() && self.shoppers[shopper].returns {
            let key = self.gateways[gateway].held.push(Rank::Turn(turn), shopper);
            let held = self.gateways[gateway].held.turn_count();
            self.outcome.most_held = self.outcome.most_held.max(held);
            let until = self.now + HELD_FOR.as_secs_f64();
            return self.plan(until, Event::HeldTooLong { gateway, shopper, key });
        }
        self.promise(gateway, shopper, self.now + after.as_secs_f64());
    }

    fn promise(&mut self, gateway: usize, shopper: usize, back_at: f64) {
        let at = self.began + Duration::from_secs_f64(back_at);
        let one = &mut self.shoppers[shopper];
        one.step += 1;
        let (turn, step, returns) = (one.turn, one.step, one.returns);
        self.gateways[gateway].promises.add(turn, at);
        if returns {
            self.plan(back_at + ON_THE_WAY, Event::Asks { shopper, step });
        }
    }

    fn send(&mut self, gateway: usize, shopper: usize) {
        let lane = self.shoppers[shopper].lane;
        let now = self.instant();
        self.gateways[gateway].windows.begin(self.lanes[lane], now);
        let sent = self.now;
        self.issuance[lane].push_back(Claim { gateway, shopper, sent });
    }

    /// Commits what the credit allows; what is left of it stays only while there is work.
    fn commit(&mut self, lane: usize, credit: f64) -> f64 {
        let count = (credit as usize).min(self.issuance[lane].len());
        let commit_every = self.scenario.commit_every.as_secs_f64();
        for Claim { gateway, shopper, sent } in self.issuance[lane].drain(..count).collect::<Vec<_>>() {
            let delay = (self.now - sent - commit_every).max(0.0);
            let (sent_us, delay_us) = (micros(sent), micros(delay));
            let at = self.now + ON_THE_WAY;
            self.plan(at, Event::Answered { gateway, shopper, sent_us, delay_us });
        }
        let left = credit - count as f64;
        if self.issuance[lane].is_empty() { left.min(1.0) } else { left }
    }

    fn answered(&mut self, gateway: usize, shopper: usize, sent_us: u64, delay_us: u64) {
        let Shopper { came_at, waits, lane, estimate, .. } = self.shoppers[shopper];
        let answer = Answer {
            delay: Duration::from_micros(delay_us),
            took: Duration::from_micros(micros(self.now) - sent_us),
        };
        let (now, lane_of) = (self.instant(), self.lanes[lane]);
        self.gateways[gateway].windows.end(lane_of, Some(answer), now);
        self.outcome.served[self.now as usize] += 1;
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

    fn report(&mut self, gateway: usize) {
        self.plan(self.now + REPORT_EVERY, Event::Reports { gateway });
        let now = self.instant();
        let here = &mut self.gateways[gateway];
        let watermark = here.snapshot.watermark;
        here.promises.end(watermark, now);
        let counted = here.promises.count(watermark, now);
        let capacity = here.windows.measure(now);
        here.able_per_second = capacity.able_per_second;
        let mut waiting: std::collections::BTreeMap<_, _> = counted
            .waiting
            .iter()
            .map(|(cohort, coming)| {
                let waiting = CohortWaiting {
                    cohort: *cohort,
                    held: 0,
                    promised: coming.all,
                    promised_soon: coming.soon,
                };
                (*cohort, waiting)
            })
            .collect();
        for turn in here.held.turns() {
            let none = CohortWaiting { cohort: turn.cohort, held: 0, promised: 0, promised_soon: 0 };
            waiting.entry(turn.cohort).or_insert(none).held += 1;
        }
        let report = QueueReport {
            campaign: self.campaign.number,
            wants_queue: std::mem::take(&mut here.wants_queue),
            can_take: capacity.can_take,
            served_per_second: capacity.served_per_second,
            able_per_second: capacity.able_per_second,
            at_door: here.doors.iter().map(WaitQueue::turn_count).sum::<usize>() as u64,
            watermark,
            due_soon: counted.due_soon,
            waiting: waiting.into_values().collect(),
            promises_ended: here.promises.ended(),
            promises_kept: here.promises_kept,
        };
        self.take_in(gateway, report);
    }

    /// Quota takes the report in, moves the queue on, and answers.
    fn take_in(&mut self, gateway: usize, report: QueueReport) {
        let before = self.reports[gateway].as_ref().map_or((0, 0), |(_, before)| {
            (before.promises_ended, before.promises_kept)
        });
        let news = PromisesKept {
            ended: report.promises_ended.saturating_sub(before.0) as f64,
            kept: report.promises_kept.saturating_sub(before.1) as f64,
        };
        self.reports[gateway] = Some((self.now, report));
        let live: Vec<_> = self
            .reports
            .iter()
            .flatten()
            .filter(|(at, _)| self.now - at < REPORTS_COUNT_FOR.as_secs_f64())
            .map(|(_, report)| report.clone())
            .collect();
        let now = timestamp(self.now);
        self.queue.advance(&live, news, &self.campaign, now);
        let waiting = self.queue.waiting(&live);
        let told = self.queue.snapshot(&self.campaign, &waiting, Turn::FIRST, now);
        let pace = told.pace.and_then(|pace| Pace::new(pace.slowest, pace.fastest));
        let snapshot = Snapshot {
            is_known: true,
            is_queueing: told.is_queueing,
            clock: Duration::from_secs(told.current_cohort.get()) + told.current_cohort_age,
            watermark: told.watermark,
            expired_before: told.expired_before,
            pace,
            fastest_per_second: told.fastest_per_second,
            remaining: told.remaining,
            received_at: self.began,
            waiting: Waiting::of(told.waiting),
        };
        self.gateways[gateway].told = Some(snapshot);
        self.plan(self.now + 2.0 * ON_THE_WAY, Event::Hears { gateway });
    }

    fn hear(&mut self, gateway: usize) {
        let now = self.instant();
        let here = &mut self.gateways[gateway];
        let Some(told) = here.told.take() else { return };
        let told = Snapshot { received_at: now, ..told };
        here.snapshot = told.after(&here.snapshot);
        let reached = if here.snapshot.is_queueing {
            here.snapshot.watermark
        } else {
            Turn::LAST
        };
        while let Some((_, shopper)) = self.gateways[gateway].held.pop_before(reached) {
            self.shoppers[shopper].was_shown = true;
            let lane = self.shoppers[shopper].lane;
            self.stand(gateway, shopper, lane);
        }
    }

    /// Calls break off, and their callers ask again; what was promised to it is forgotten.
    fn restart_first_gateway(&mut self) {
        let now = self.instant();
        let lanes = Lanes::new(u16::try_from(self.lanes.len()).expect("few lanes")).expect("lanes");
        let here = &mut self.gateways[0];
        let mut cut = Vec::new();
        while let Some((_, shopper)) = here.held.pop() {
            cut.push(shopper);
        }
        for door in &mut here.doors {
            while let Some((_, shopper)) = door.pop() {
                cut.push(shopper);
            }
        }
        here.windows = Windows::new(lanes, now);
        here.promises = Promises::new(now);
        here.promises_kept = 0;
        let clock = here.snapshot.clone();
        here.snapshot = Snapshot { pace: None, fastest_per_second: 0.0, ..clock };
        for shopper in cut {
            self.ask(shopper);
        }
    }

    fn plan(&mut self, at: f64, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((micros(at), self.planned, event)));
    }

    fn instant(&self) -> Instant {
        self.began + Duration::from_secs_f64(self.now)
    }
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(OPENED_AT) + Duration::from_secs_f64(seconds)
}
