use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tidegate_rpc::refusal::Waiting;
use tidegate_telemetry::Registry;
use tidegate_types::{Cohort, RequestId, ShopperId, Turn};
use tokio::time::timeout;

use super::*;
use crate::domain::{
    campaign::Campaign,
    queue::{Pace, Snapshot, Stage, Waiting as WhoWaits},
    ticket::sample_keys,
};

const SECOND: Duration = Duration::from_secs(1);
const NOW: u64 = 1_790_000_000;

fn room() -> WaitingRoom {
    let metrics = QueueMetrics::register(&mut Registry::default());
    WaitingRoom::new(true, sample_keys(), metrics)
}

fn queue(room: &WaitingRoom) -> Arc<Queue> {
    room.queue(Campaign::sample().number)
}

/// A claim of a shopper's, and what is made of it.
struct Claim {
    campaign: Campaign,
    shopper: ShopperId,
    request_id: RequestId,
}

impl Claim {
    fn of(shopper: &str, request_id: &str) -> Self {
        Self {
            campaign: Campaign::sample(),
            shopper: ShopperId::parse(shopper).unwrap(),
            request_id: RequestId::parse(request_id).unwrap(),
        }
    }

    fn attempt(&self) -> ClaimAttempt<'_> {
        ClaimAttempt {
            campaign: &self.campaign,
            key: ClaimKey {
                campaign: self.campaign.number,
                shopper: &self.shopper,
                request_id: &self.request_id,
            },
            tier: None,
            patience: None,
            now: Moment::now(),
        }
    }
}

fn cohort(after: u64) -> Cohort {
    Cohort::new(NOW + after).unwrap()
}

/// What quota tells: it is ten seconds after the queue began, turns of the first `called` seconds
/// have come, and so many of each second after those wait.
fn told(called: u64, of_each: u64) -> Snapshot {
    let waiting = (called..10).map(|second| (cohort(second), of_each));
    Snapshot {
        is_known: true,
        is_queueing: true,
        clock: Duration::from_secs(NOW + 10),
        watermark: Turn::first_of(cohort(called)),
        pace: Pace::new(100.0, 200.0),
        able_per_second: 200.0,
        remaining: 1_000_000,
        waiting: WhoWaits::of(waiting),
        ..Snapshot::unknown(Instant::now())
    }
}

fn apply(room: &WaitingRoom, snapshot: Snapshot) {
    queue(room).apply(snapshot);
}

#[test]
fn a_claim_made_again_finds_its_turn_whatever_its_request_id() {
    let (room, first, again) = (room(), Claim::of("ann", "r-1"), Claim::of("ann", "r-2"));
    apply(&room, told(0, 500));
    assert_eq!(room.recall(first.attempt()), None);
    let place = room.queue_up(first.attempt(), None).unwrap();
    for claim in [&first, &again] {
        let recalled = room.recall(claim.attempt()).unwrap();
        assert_eq!(recalled.turn, place.ticket.turn);
    }
    let other = room
        .queue_up(Claim::of("bob", "r-1").attempt(), None)
        .unwrap();
    assert_ne!(other.ticket.turn.draw, place.ticket.turn.draw);
}

#[test]
fn fifty_request_ids_of_one_shopper_are_one_who_waits() {
    let room = room();
    apply(&room, told(0, 500));
    for number in 0..50 {
        let claim = Claim::of("bot", &format!("r-{number}"));
        let ticket = room.recall(claim.attempt());
        let position = room.queue_up(claim.attempt(), ticket).unwrap();
        room.promise(claim.attempt(), &position);
    }
    let state = queue(&room).report(Instant::now());
    let waiting: u64 = state.waiting.values().map(|of| of.promised).sum();
    assert_eq!(waiting, 1);
    assert_eq!(room.0.metrics.joined.get(), 1);
}

#[test]
fn whoever_would_not_wait_as_long_takes_no_position_and_gives_up_the_one_it_had() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    let waits_for = |patience| ClaimAttempt {
        patience: Some(patience),
        ..claim.attempt()
    };
    apply(&room, told(0, 500));
    // Some 5,000 are ahead, of whom at most 200 are served each second.
    let refused = room.queue_up(waits_for(20 * SECOND), None);
    let Err(GatewayError::WaitTooLong { shortest }) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        (24 * SECOND..26 * SECOND).contains(&shortest),
        "{shortest:?}"
    );
    assert_eq!(room.recall(claim.attempt()), None);
    let position = room.queue_up(waits_for(30 * SECOND), None).unwrap();
    room.promise(claim.attempt(), &position);
    let ticket = Some(position.ticket);
    assert!(room.queue_up(waits_for(10 * SECOND), ticket).is_err());
    assert_eq!(room.recall(claim.attempt()), None);
    assert_eq!(room.0.metrics.left.get(), 1);
}

#[test]
fn a_told_position_never_grows() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    apply(&room, told(0, 10));
    let first = room.queue_up(claim.attempt(), None).unwrap();
    let before = first.ticket.told_position.unwrap();
    apply(&room, told(0, 1_000));
    let later = room.queue_up(claim.attempt(), Some(first.ticket)).unwrap();
    assert_eq!(later.ticket.told_position, Some(before));
    apply(&room, told(9, 10));
    let last = room.queue_up(claim.attempt(), Some(later.ticket)).unwrap();
    assert!(last.ticket.told_position.unwrap() < before);
}

#[test]
fn whoever_is_behind_the_stock_is_told_so_and_keeps_the_position() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    let short = Snapshot {
        remaining: 10,
        ..told(0, 100)
    };
    apply(&room, short);
    let position = room.queue_up(claim.attempt(), None).unwrap();
    assert!(matches!(position.why, Waiting::BehindStock { .. }));
    assert!(room.recall(claim.attempt()).is_some());
    apply(&room, told(0, 100));
    let again = room.queue_up(claim.attempt(), Some(position.ticket));
    assert!(matches!(again.unwrap().why, Waiting::ForOthers { .. }));
}

#[tokio::test]
async fn a_call_whose_turn_may_come_soon_is_held_until_it_does() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    apply(&room, told(9, 20));
    let position = room.queue_up(claim.attempt(), None).unwrap();
    assert!(position.may_be_held);
    let deadline = Instant::now() + 5 * SECOND;
    let (mut held, until) = room.hold(claim.attempt(), &position, deadline).unwrap();
    assert!(until > Instant::now() + SECOND / 2 && until < deadline - 3 * SECOND);
    assert!(
        room.hold(claim.attempt(), &position, deadline).is_none(),
        "of one shopper one call is held"
    );
    assert!(timeout(SECOND / 10, held.called()).await.is_err());
    let state = queue(&room).report(Instant::now());
    assert_eq!(state.waiting.values().map(|of| of.held).sum::<u64>(), 1);
    let all_called = Snapshot {
        watermark: Turn::LAST,
        ..told(9, 20)
    };
    apply(&room, all_called);
    timeout(SECOND, held.called()).await.unwrap();
}

#[tokio::test]
async fn a_stream_counts_as_there_in_place_of_its_promise_and_is_called_when_its_turn_comes() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    apply(&room, told(0, 500));
    let position = room.queue_up(claim.attempt(), None).unwrap();
    room.promise(claim.attempt(), &position);
    let who_waits = || {
        let waiting = queue(&room).report(Instant::now()).waiting;
        let sum = |of: fn(&queue::CohortWaiting) -> u64| waiting.values().map(of).sum::<u64>();
        (sum(|of| of.held), sum(|of| of.promised))
    };
    assert_eq!(who_waits(), (0, 1));
    let until = Instant::now() + 60 * SECOND;
    let hold = || room.hold_stream(claim.attempt(), &position.ticket, until);
    let mut held = hold().unwrap();
    assert_eq!(who_waits(), (1, 0));
    assert!(hold().is_none(), "of one shopper one stream is held");
    assert!(timeout(SECOND / 20, held.called()).await.is_err());
    drop(held);
    assert_eq!(who_waits(), (0, 0));
    let mut held = hold().unwrap();
    apply(&room, told(11, 0));
    assert!(timeout(SECOND, held.called()).await.is_ok());
}

#[test]
fn a_call_that_has_little_time_left_or_is_far_behind_is_not_held() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    apply(&room, told(9, 20));
    let near = room.queue_up(claim.attempt(), None).unwrap();
    let soon = Instant::now() + SECOND / 2;
    assert!(room.hold(claim.attempt(), &near, soon).is_none());
    apply(&room, told(0, 1_000));
    let far = Claim::of("bob", "r-1");
    let position = room.queue_up(far.attempt(), None).unwrap();
    let deadline = Instant::now() + 5 * SECOND;
    assert!(room.hold(far.attempt(), &position, deadline).is_none());
    assert!(position.ask_after >= 4 * SECOND, "{:?}", position.ask_after);
}

#[test]
fn a_position_counts_for_as_long_as_its_holder_comes_back() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    apply(&room, told(0, 1_000));
    let position = room.queue_up(claim.attempt(), None).unwrap();
    room.promise(claim.attempt(), &position);
    let waits = |at| {
        queue(&room)
            .report(at)
            .waiting
            .values()
            .map(|of| of.promised)
            .sum::<u64>()
    };
    let now = Instant::now();
    assert_eq!(waits(now), 1);
    assert_eq!(waits(now + position.ask_after + SECOND), 0);
}

#[test]
fn a_promise_that_is_kept_is_counted_once_however_often_its_holder_asks() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    apply(&room, told(0, 10));
    let attempt = claim.attempt();
    let ticket = room.queue_up(attempt, None).unwrap().ticket;
    let kept = |attempt| {
        for _ in 0..3 {
            room.shown(attempt, &ticket);
        }
        let state = queue(&room).report(Instant::now());
        state.promises_kept
    };
    assert_eq!(kept(attempt), 1);
    let mut again = attempt;
    again.now.utc += 2 * SECOND;
    assert_eq!(kept(again), 2, "it was told to come back, and did");
}

#[test]
fn whoever_joins_while_turns_of_this_second_have_come_is_behind_them() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    let all_called = Snapshot {
        watermark: Turn::first_of(cohort(12)),
        ..told(9, 20)
    };
    apply(&room, all_called);
    assert!(room.may_be_served(claim.attempt()));
    let position = room.queue_up(claim.attempt(), None).unwrap();
    assert_eq!(position.ticket.turn.cohort, cohort(12));
    assert_eq!(
        room.stage(claim.attempt(), &position.ticket),
        Stage::Waiting
    );
}

#[test]
fn those_who_came_before_the_opening_wait_until_the_order_is_drawn() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    let opens_at = Timestamp::now_utc() + SECOND;
    let position = room
        .before_opening(claim.attempt(), None, opens_at)
        .unwrap();
    room.promise(claim.attempt(), &position);
    assert_eq!(position.ticket.turn.cohort, Cohort::BEFORE_OPENING);
    assert!(position.ask_after <= 2 * SECOND);
    assert!(queue(&room).is_queueing(Instant::now()));
    assert!(!room.may_be_served(Claim::of("late", "r-1").attempt()));
}

#[test]
fn a_turn_that_finds_no_permit_stays_away_for_longer_where_many_wait_at_the_door() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    apply(&room, told(0, 500));
    let able = 100_f64.to_bits();
    room.0.able_per_second.store(able, Ordering::Relaxed);
    let ticket = room.queue_up(claim.attempt(), None).unwrap().ticket;
    let away = |at_door| {
        let met = room.turn_not_served(claim.attempt(), ticket, GatewayError::Full, at_door);
        met.unwrap().ask_after
    };
    for _ in 0..20 {
        assert!((SECOND / 4..=SECOND / 2).contains(&away(10)));
        assert_eq!(away(1_000), SECOND);
    }
}

#[test]
fn a_turn_that_finds_no_permit_is_kept_and_one_that_is_refused_for_good_is_not() {
    let (room, claim) = (room(), Claim::of("ann", "r-1"));
    apply(&room, told(0, 10));
    let ticket = room.queue_up(claim.attempt(), None).unwrap().ticket;
    let met = |error| room.turn_not_served(claim.attempt(), ticket, error, 0);
    let kept = met(GatewayError::Full).unwrap();
    assert_eq!(kept.why, Waiting::ForServing);
    assert_eq!(queue(&room).promises(), 1, "it comes back");
    assert!(kept.ask_after < SECOND);
    assert!(queue(&room).report(Instant::now()).wants_queue);
    assert!(matches!(
        met(GatewayError::CampaignClosed),
        Err(GatewayError::CampaignClosed)
    ));
    assert!(matches!(
        met(GatewayError::NoAnswer),
        Err(GatewayError::NoAnswer)
    ));
}
