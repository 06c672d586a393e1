use std::{collections::BTreeMap, time::Duration};

use tidegate_gateway::domain::{
    promises::Promises,
    queue::{Pace, Snapshot, Waiting},
    wait_queue::WaitQueue,
    windows::Windows,
};
use tidegate_quota::domain::{
    CohortWaiting, Promises as PromisesKept, QueueReport, REPORTS_COUNT_FOR,
};
use tidegate_types::{Lanes, Turn};

use super::simulation::{Event, ON_THE_WAY, REPORT_EVERY, Simulation, timestamp};

impl Simulation<'_> {
    pub(super) fn report(&mut self, gateway: usize) {
        self.plan(self.now + REPORT_EVERY, Event::Reports { gateway });
        self.tell_quota(gateway);
    }

    /// While those who came early wait, all have told quota what they can take, and have heard it.
    pub(super) fn report_before_opening(&mut self) {
        for _ in 0..2 {
            for gateway in 0..self.scenario.gateways {
                self.tell_quota(gateway);
                self.hear(gateway);
            }
        }
    }

    fn tell_quota(&mut self, gateway: usize) {
        let now = self.instant();
        let here = &mut self.gateways[gateway];
        let watermark = here.snapshot.watermark;
        here.promises.end(watermark, now);
        let counted = here.promises.count(watermark, now);
        let capacity = here.windows.measure(now);
        here.able_per_second = capacity.able_per_second;
        let mut waiting: BTreeMap<_, _> = counted
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
            let none = CohortWaiting {
                cohort: turn.cohort,
                held: 0,
                promised: 0,
                promised_soon: 0,
            };
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
    pub(super) fn take_in(&mut self, gateway: usize, report: QueueReport) {
        let before = self.reports[gateway]
            .as_ref()
            .map_or((0, 0), |(_, before)| {
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
        let told = self.queue.snapshot(&self.campaign, &live, Turn::FIRST, now);
        let pace = told
            .pace
            .and_then(|pace| Pace::new(pace.slowest, pace.fastest));
        let snapshot = Snapshot {
            is_known: true,
            is_queueing: told.is_queueing,
            clock: Duration::from_secs(told.current_cohort.get()) + told.current_cohort_age,
            watermark: told.watermark,
            expired_before: told.expired_before,
            pace,
            able_per_second: told.able_per_second,
            remaining: told.remaining,
            received_at: self.began,
            waiting: Waiting::of(told.waiting),
        };
        self.gateways[gateway].told = Some(snapshot);
        self.plan(self.now + 2.0 * ON_THE_WAY, Event::Hears { gateway });
    }

    pub(super) fn hear(&mut self, gateway: usize) {
        let now = self.instant();
        let here = &mut self.gateways[gateway];
        let Some(told) = here.told.take() else { return };
        let told = Snapshot {
            received_at: now,
            ..told
        };
        here.snapshot = told.after(&here.snapshot);
        let reached = if here.snapshot.is_queueing {
            here.snapshot.watermark
        } else {
            Turn::LAST
        };
        while let Some((_, shopper)) = self.gateways[gateway].held.pop_before(reached) {
            let lane = self.shoppers[shopper].lane;
            self.stand(gateway, shopper, lane);
        }
    }

    /// Calls break off, and their callers ask again; what was promised to it is forgotten.
    pub(super) fn restart_first_gateway(&mut self) {
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
        here.windows = Windows::of_claims(lanes, now);
        here.promises = Promises::new(now);
        here.promises_kept = 0;
        let clock = here.snapshot.clone();
        here.snapshot = Snapshot {
            pace: None,
            able_per_second: 0.0,
            ..clock
        };
        for shopper in cut {
            self.ask(shopper);
        }
    }
}
