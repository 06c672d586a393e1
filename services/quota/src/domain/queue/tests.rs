use std::collections::BTreeMap;

use super::*;

mod short;

const NOW: u64 = 1_770_000_000;

/// A campaign that opened a minute ago.
pub(super) fn campaign() -> QueueCampaign {
    QueueCampaign {
        number: CampaignNumber::new(7u32).unwrap(),
        opens_at: at(-60_000),
        closes_at: at(3_600_000),
        issuance: IssuanceControl::Open,
        free: 1_000_000,
        leased: 0,
    }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + time::Duration::milliseconds(NOW as i64 * 1_000 + milliseconds)
}

fn cohort(number: u64) -> Cohort {
    Cohort::new(number).unwrap()
}

fn joined(number: u64, joined: u64) -> CohortNews {
    CohortNews {
        cohort: cohort(number),
        joined,
        served: 0,
        left: 0,
    }
}

/// A queue with its cohorts, without a database.
pub(super) struct Room {
    pub(super) queue: Queue,
    pub(super) campaign: QueueCampaign,
    pub(super) cohorts: BTreeMap<Cohort, CohortCounts>,
    due: BTreeMap<Cohort, u64>,
}

impl Room {
    pub(super) fn new(campaign: QueueCampaign) -> Self {
        Self {
            queue: Queue::default(),
            campaign,
            cohorts: BTreeMap::new(),
            due: BTreeMap::new(),
        }
    }

    pub(super) fn waiting(&self) -> Waiting {
        let first: Vec<_> = self
            .cohorts
            .range(self.queue.watermark.cohort..)
            .map(|(_, counts)| *counts)
            .collect();
        Waiting {
            tickets: first.iter().map(CohortCounts::staying).sum(),
            first,
            is_whole: true,
        }
    }

    pub(super) fn report(
        &mut self,
        cohorts: Vec<CohortNews>,
        wants_queue: bool,
        queue_delay: Option<Duration>,
        now: Timestamp,
    ) {
        self.report_issued(cohorts, wants_queue, queue_delay, 0, now);
    }

    pub(super) fn report_issued(
        &mut self,
        cohorts: Vec<CohortNews>,
        wants_queue: bool,
        queue_delay: Option<Duration>,
        issued: u64,
        now: Timestamp,
    ) {
        let report = QueueReport {
            campaign: self.campaign.number,
            cohorts,
            wants_queue,
            queue_delay,
            issued,
            kept: 0,
            known_version: 0,
        };
        let (elapsed, changes) = self.queue.take_in(&report, &self.campaign, now);
        for change in changes {
            let counts = self.cohorts.entry(change.cohort).or_insert(CohortCounts {
                cohort: change.cohort,
                joined: 0,
                left: 0,
            });
            counts.joined += change.joined;
            counts.left += change.left;
            self.due
                .extend(change.due_second.map(|due| (change.cohort, due)));
        }
        let waiting = self.waiting();
        let passed = self
            .queue
            .advance(&report, &self.campaign, &waiting, elapsed, now);
        let due = self.queue.serving_second(now);
        self.due
            .extend(passed.into_iter().map(|cohort| (cohort, due)));
    }

    /// Lets time pass in steps of 200 ms, with reports in which nothing happened.
    fn pass(&mut self, from_ms: i64, steps: i64) {
        for step in 1..=steps {
            self.report(Vec::new(), false, None, at(from_ms + 200 * step));
        }
    }
}

#[test]
fn a_queue_begins_with_those_who_joined_and_moves_on_at_the_pace() {
    let mut room = Room::new(campaign());
    room.report(vec![joined(NOW, 1_000)], true, None, at(0));
    assert!(room.queue.is_queueing);
    assert_eq!(room.queue.watermark, Watermark::before(cohort(NOW)));
    // The cohort is over after a second, and reported a little later.
    room.pass(0, 6);
    assert_eq!(room.queue.watermark, Watermark::before(cohort(NOW)));
    // Five hundred a second, and at first what comes in 1.5 s besides.
    room.pass(1_200, 2);
    let share = room.queue.watermark.due_share(cohort(NOW));
    assert!((share - 0.95).abs() < 1e-6, "{share}");
    let crowd = room.queue.crowd(&room.campaign, &room.waiting());
    assert_eq!(crowd.tickets, 50);
    room.pass(1_800, 150);
    assert!(room.queue.watermark > Watermark::before(cohort(NOW)));
    assert!(room.due[&cohort(NOW)] >= NOW + 2);
}

#[test]
fn nobody_becomes_due_while_nobody_can_be_served() {
    let held = [
        QueueCampaign {
            issuance: IssuanceControl::QueueOnly,
            ..campaign()
        },
        QueueCampaign {
            issuance: IssuanceControl::Halted,
            ..campaign()
        },
        QueueCampaign {
            free: 0,
            ..campaign()
        },
        QueueCampaign {
            opens_at: at(3_599_000),
            ..campaign()
        },
    ];
    for held in held {
        let mut room = Room::new(held);
        room.report(vec![joined(NOW, 1_000)], false, None, at(0));
        room.pass(0, 50);
        assert!(room.queue.is_queueing);
        assert_eq!(room.queue.watermark, Watermark::before(cohort(NOW)));
        let standing = room.queue.standing(&held, 1, Vec::new(), at(10_250));
        assert_eq!(standing.pace, None);
        assert_eq!(standing.current_cohort, cohort(NOW + 10));
        assert_eq!(standing.current_cohort_age, Duration::from_millis(250));
        // From here on they can, and of the time that was lost no more is made up for than at every beginning.
        room.campaign = campaign();
        room.pass(10_000, 1);
        let share = room.queue.watermark.due_share(cohort(NOW));
        assert!((share - 0.85).abs() < 1e-6, "{share}");
    }
}

#[test]
fn those_who_came_before_the_opening_are_drawn_at_it() {
    let mut room = Room::new(QueueCampaign {
        opens_at: at(1_000),
        ..campaign()
    });
    room.report(vec![joined(0, 600)], false, None, at(0));
    room.report(vec![joined(0, 400)], false, None, at(800));
    assert_eq!(room.queue.watermark, Watermark::START);
    assert!(
        room.queue.is_queueing,
        "nobody is served at once at the opening"
    );
    room.pass(800, 1);
    // Seventeen tenths of a second: 850 of 1,000.
    let share = room.queue.watermark.due_share(Cohort::BEFORE_OPENING);
    assert!((share - 0.85).abs() < 1e-6, "{share}");
    room.report(vec![joined(NOW + 1, 50)], false, None, at(1_200));
    let mut last = room.queue.watermark;
    for step in 1..=50 {
        room.pass(1_000 + 200 * step, 1);
        let mark = room.queue.watermark;
        assert!(mark >= last);
        // Nobody who came after the opening is due before all who came before it.
        let later = mark.due_share(cohort(NOW + 1));
        assert!(later == 0.0 || mark.due_share(Cohort::BEFORE_OPENING) == 1.0);
        last = mark;
    }
    assert!(last >= Watermark::before(cohort(NOW + 2)));
}

#[test]
fn a_queue_ends_when_nobody_waits_and_nobody_wants_it() {
    let mut room = Room::new(campaign());
    room.report(vec![joined(NOW, 10)], true, None, at(0));
    for step in 1..=20 {
        room.report(Vec::new(), true, None, at(200 * step));
    }
    assert!(room.queue.is_queueing);
    room.pass(4_000, 9);
    assert!(room.queue.is_queueing);
    room.report(vec![joined(NOW + 6, 3)], false, None, at(6_000));
    assert!(!room.queue.is_queueing);
    // Whoever joined at the last moment is served at once, and has a turn that expires.
    assert!(Watermark::before(cohort(NOW + 6)) < room.queue.watermark);
    assert!(room.due.contains_key(&cohort(NOW + 6)));
    // The next queue does not begin before its turns.
    room.report(vec![joined(NOW + 60, 3)], true, None, at(60_000));
    assert_eq!(room.queue.watermark, Watermark::before(cohort(NOW + 60)));
}

#[test]
fn who_joins_while_the_queue_is_caught_up_keeps_it_no_longer() {
    let mut room = Room::new(campaign());
    room.report(vec![joined(NOW, 10)], true, None, at(0));
    // A few come every second, far fewer than can be served.
    let mut ended = false;
    for step in 1..=30 {
        let second = NOW + step / 5;
        room.report(vec![joined(second, 2)], false, None, at(200 * step as i64));
        ended |= !room.queue.is_queueing;
    }
    assert!(ended);
}

#[test]
fn a_gateway_that_is_ahead_is_followed_and_one_that_is_far_ahead_is_not() {
    let mut room = Room::new(campaign());
    room.report(vec![joined(NOW + 5, 10)], true, None, at(0));
    assert_eq!(room.queue.clock.cohort(), cohort(NOW + 5));
    room.report(vec![joined(NOW + 3_600, 10)], true, None, at(200));
    assert_eq!(room.queue.clock.cohort(), cohort(NOW + 5));
    assert_eq!(room.cohorts[&cohort(NOW + 5)].joined, 20);
    assert_eq!(room.cohorts.len(), 1);
}

#[test]
fn tickets_that_are_reported_late_are_due_at_once_and_can_expire() {
    let mut room = Room::new(campaign());
    room.report(vec![joined(NOW, 10)], true, None, at(0));
    room.pass(0, 15);
    assert!(room.queue.watermark >= Watermark::before(cohort(NOW + 2)));
    let late = CohortNews {
        left: 4,
        ..joined(NOW + 1, 5)
    };
    room.report(vec![late], false, None, at(3_200));
    assert_eq!(room.due[&cohort(NOW + 1)], NOW + 3);
    // Who gives up a turn that has come makes room for nobody.
    assert_eq!(room.cohorts[&cohort(NOW + 1)].left, 0);
}

#[test]
fn a_turn_is_kept_for_longer_by_the_time_in_which_nobody_was_served() {
    let mut room = Room::new(campaign());
    let answered = Some(Duration::ZERO);
    room.report(vec![joined(NOW, 10)], true, answered, at(0));
    room.pass(0, 5);
    let many = vec![joined(NOW + 1, 100_000)];
    room.report(many, true, answered, at(1_200));
    room.pass(1_200, 4);
    let due = room.due[&cohort(NOW)];
    assert_eq!(room.queue.serving_second(at(2_000)), due + 1);
    // Held, first with reports and then without any.
    room.campaign.issuance = IssuanceControl::QueueOnly;
    room.pass(2_000, 50);
    assert_eq!(room.queue.serving_second(at(900_000)), due + 1);
    room.campaign = campaign();
    room.report(Vec::new(), false, None, at(900_000));
    room.pass(900_000, 5);
    assert_eq!(room.queue.serving_second(at(901_000)), due + 2);
}

#[test]
fn every_change_of_a_cohort_has_a_version_of_its_own() {
    let mut room = Room::new(campaign());
    let news = vec![joined(NOW - 1, 10), joined(NOW, 10)];
    room.report(news, true, None, at(0));
    assert_eq!(room.queue.version, 2);
    room.report(vec![joined(NOW, 10)], true, None, at(200));
    assert_eq!(room.queue.version, 3);
    room.pass(200, 20);
    assert_eq!(room.queue.version, 5);
}

#[test]
fn how_long_the_first_has_waited_counts_from_the_opening() {
    let mut room = Room::new(QueueCampaign {
        opens_at: at(10_000),
        ..campaign()
    });
    room.report(vec![joined(0, 1_000_000)], false, None, at(0));
    room.pass(10_000, 25);
    let crowd = room.queue.crowd(&room.campaign, &room.waiting());
    assert_eq!(crowd.longest_wait, Duration::from_secs(5));
}
