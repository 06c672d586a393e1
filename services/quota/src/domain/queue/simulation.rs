//! A crowd, a gateway and an issuance that can do so much each second, to see what the pace makes of them.

use std::collections::{BTreeMap, VecDeque};

use super::{
    tests::{Room, campaign},
    *,
};

const TICK_MS: u64 = 10;
const REPORT_MS: u64 = 200;
const NOW_MS: u64 = 1_770_000_000_000;

/// Pseudo-random, and the same in every run.
struct Chance(u64);

impl Chance {
    /// From 0 up to and without 1.
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[derive(Clone, Copy)]
struct Ticket {
    cohort: Cohort,
    draw: u32,
}

struct Simulation {
    now_ms: u64,
    chance: Chance,
    room: Room,
    /// How many wait before each cohort begins, as gateways know it.
    before: BTreeMap<Cohort, f64>,
    waiting: f64,
    news: BTreeMap<Cohort, CohortNews>,
    /// Who asks again when.
    polls: BTreeMap<u64, Vec<Ticket>>,
    /// What issuance can do each second, and what waits there.
    capacity: f64,
    backlog: f64,
    /// The delays of the ticks since the last report.
    delays: Vec<Duration>,
    /// Shoppers who went to issuance, tick by tick.
    arrivals: VecDeque<u64>,
    issued: f64,
    /// How much of it gateways have reported.
    reported: f64,
    busiest_second: u64,
    no_shows: f64,
}

impl Simulation {
    fn new(capacity: f64, leased: u64, no_shows: f64) -> Self {
        Self {
            now_ms: NOW_MS,
            chance: Chance(0x9E37_79B9_7F4A_7C15),
            room: Room::new(QueueCampaign {
                leased,
                ..campaign()
            }),
            before: BTreeMap::new(),
            waiting: 0.0,
            news: BTreeMap::new(),
            polls: BTreeMap::new(),
            capacity,
            backlog: 0.0,
            delays: Vec::new(),
            arrivals: VecDeque::new(),
            issued: 0.0,
            reported: 0.0,
            busiest_second: 0,
            no_shows,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + time::Duration::milliseconds(self.now_ms as i64)
    }

    fn noted(&mut self, cohort: Cohort) -> &mut CohortNews {
        self.news.entry(cohort).or_insert(CohortNews {
            cohort,
            joined: 0,
            served: 0,
            left: 0,
        })
    }

    /// Lets somebody join who asks again within so long.
    fn join(&mut self, cohort: Cohort, within_ms: f64) {
        self.noted(cohort).joined += 1;
        let draw = (self.chance.share() * 4_294_967_296.0) as u32;
        let at = self.now_ms + (within_ms * self.chance.share()) as u64;
        if self.chance.share() >= self.no_shows {
            self.poll(at, Ticket { cohort, draw });
        }
    }

    fn poll(&mut self, at_ms: u64, ticket: Ticket) {
        let slot = at_ms / TICK_MS * TICK_MS + TICK_MS;
        self.polls.entry(slot).or_default().push(ticket);
    }

    /// As gateways tell when to ask again.
    fn poll_after_ms(&mut self, ticket: Ticket) -> u64 {
        let counts = self.room.cohorts.get(&ticket.cohort);
        let within = counts.map_or(0.0, |counts| counts.staying() as f64) * f64::from(ticket.draw)
            / 4_294_967_296.0;
        let before = self.before.get(&ticket.cohort).copied();
        let position = before.unwrap_or(self.waiting) + within;
        let expected = self.room.queue.pace.expected();
        let shortest = expected.map_or(0.0, |(_, fastest)| position / fastest);
        let seconds = (0.8 * shortest).max(position / 10_000.0).clamp(1.0, 30.0);
        (seconds * (1.0 + 0.25 * self.chance.share()) * 1_000.0) as u64
    }

    fn tick(&mut self, joining: u64) {
        self.now_ms += TICK_MS;
        let current = Cohort::of_milliseconds(self.now_ms);
        for _ in 0..joining {
            self.join(current, 1_250.0);
        }
        let polls = self.polls.remove(&self.now_ms).unwrap_or_default();
        let mut arrived = 0;
        for ticket in polls {
            let mark = Watermark {
                cohort: ticket.cohort,
                draw: ticket.draw,
            };
            if mark < self.room.queue.watermark {
                arrived += 1;
                self.noted(ticket.cohort).served += 1;
            } else {
                let after = self.poll_after_ms(ticket);
                self.poll(self.now_ms + after, ticket);
            }
        }
        self.serve(arrived);
        if self.now_ms.is_multiple_of(REPORT_MS) {
            self.report();
        }
    }

    fn serve(&mut self, arrived: u64) {
        self.backlog += arrived as f64;
        let done = self.backlog.min(self.capacity * TICK_MS as f64 / 1_000.0);
        self.backlog -= done;
        self.issued += done;
        let delay = Duration::from_secs_f64(0.005 + self.backlog / self.capacity);
        self.delays.push(delay);
        self.arrivals.push_back(arrived);
        if self.arrivals.len() as u64 > 1_000 / TICK_MS {
            self.arrivals.pop_front();
        }
        let second = self.arrivals.iter().sum();
        self.busiest_second = self.busiest_second.max(second);
    }

    fn report(&mut self) {
        let news = std::mem::take(&mut self.news).into_values().collect();
        let delays = std::mem::take(&mut self.delays);
        let delay = delays
            .iter()
            .sum::<Duration>()
            .checked_div(delays.len() as u32);
        let issued = (self.issued - self.reported) as u64;
        self.reported += issued as f64;
        self.room
            .report_issued(news, false, delay, issued, self.now());
        self.place();
    }

    /// What gateways make of the standing.
    fn place(&mut self) {
        let mark = self.room.queue.watermark;
        let due = |counts: &CohortCounts| mark.due_share(counts.cohort);
        self.before.clear();
        self.waiting = 0.0;
        for counts in self.room.waiting().first.iter() {
            let staying = counts.staying() as f64;
            self.before
                .insert(counts.cohort, self.waiting - staying * due(counts));
            self.waiting += staying * (1.0 - due(counts));
        }
    }

    /// What issuance did each second, as a share of what it can.
    fn run(&mut self, seconds: u64, joining_per_second: f64) -> f64 {
        let (issued, ticks) = (self.issued, seconds * 1_000 / TICK_MS);
        let mut joined = 0.0;
        for tick in 1..=ticks {
            let due = joining_per_second * (tick * TICK_MS) as f64 / 1_000.0;
            let joining = (due - joined).floor();
            joined += joining;
            self.tick(joining as u64);
        }
        (self.issued - issued) / (seconds as f64 * self.capacity)
    }
}

/// Issuance is busy, and tickets that nobody uses make no difference.
#[test]
fn no_shows_are_corrected_for() {
    for no_shows in [0.0, 0.3, 0.7, 0.85] {
        let capacity = 1_000.0;
        let mut simulation = Simulation::new(capacity, 2_000, no_shows);
        let joining = 1.5 * capacity / (1.0 - no_shows);
        simulation.run(20, joining);
        let share = simulation.run(40, joining);
        let busiest = simulation.busiest_second as f64 / capacity;
        assert!(share >= 0.9, "{no_shows}: issuance is busy for {share}");
        assert!(busiest <= 2.0, "{no_shows}: {busiest} times what it can");
    }
}

#[test]
fn an_opening_with_a_crowd_goes_as_fast_as_issuance_can() {
    let capacity = 2_000.0;
    let mut simulation = Simulation::new(capacity, 0, 0.2);
    for _ in 0..200_000 {
        simulation.join(Cohort::BEFORE_OPENING, 2_000.0);
    }
    simulation.run(40, 100.0);
    let share = simulation.run(40, 100.0);
    let busiest = simulation.busiest_second as f64 / capacity;
    assert!(share >= 0.9, "issuance is busy for {share}");
    assert!(busiest <= 2.0, "{busiest} times what it can");
}

#[test]
fn a_queue_does_not_run_away_while_issuance_stands_still() {
    let mut simulation = Simulation::new(2_000.0, 4_000, 0.0);
    simulation.run(20, 3_000.0);
    let before = simulation.room.queue.watermark.cohort;
    simulation.capacity = 1e-3;
    simulation.run(60, 3_000.0);
    let passed = simulation.room.queue.watermark.cohort.get() - before.get();
    assert!(passed <= 5, "{passed} cohorts became due");
    simulation.capacity = 2_000.0;
    simulation.backlog = 0.0;
    simulation.run(30, 3_000.0);
    let share = simulation.run(20, 3_000.0);
    assert!(share >= 0.9, "issuance is busy for {share} again");
}
