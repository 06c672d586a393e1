use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tidegate_rpc::refusal::Waiting;
use tidegate_telemetry::Registry;
use tidegate_types::{CampaignId, Reason, Refusal, RequestId, ShopperId, TierId};

use super::*;
use crate::domain::{
    campaign::{Campaign, Issuing, Tier},
    queue::{Cohort, CohortStanding, Stage, Turn, Word},
};

mod fill_in;

const FIRST: u64 = 1_770_379_200;

fn room() -> WaitingRoom {
    let key = BASE64_STANDARD.encode([7; 32]);
    let json = format!(r#"{{"active":1,"keys":{{"1":"{key}"}}}}"#);
    let metrics = QueueMetrics::register(&mut Registry::default());
    WaitingRoom::new(true, Keyring::from_json(&json).unwrap(), metrics)
}

fn campaign() -> Campaign {
    let opens_at = Timestamp::UNIX_EPOCH + Duration::from_secs(FIRST);
    Campaign {
        id: CampaignId::parse("tea").unwrap(),
        number: CampaignNumber::new(7u32).unwrap(),
        opens_at,
        closes_at: opens_at + Duration::from_secs(3_600),
        tiers: vec![Tier {
            id: TierId::parse("tea").unwrap(),
            is_gone: false,
        }],
        issuing: Issuing::Open,
        sold_out: false,
        redeeming: true,
        extended_valid_until: None,
        settled: 0,
        revision: 1,
    }
}

fn cohort(second: u64) -> Cohort {
    Cohort::new(FIRST + second).unwrap()
}

/// What quota says at `second`, when `joined` came in every second before.
fn word(second: u64, joined: u64, remaining: u64) -> Word {
    Word {
        is_queueing: true,
        current_cohort: cohort(second),
        current_cohort_age: Duration::ZERO,
        received_at: Instant::now(),
        watermark: Turn {
            cohort: cohort(0),
            draw: 0,
        },
        pace: None,
        version: second,
        oldest_cohort: cohort(0),
        remaining,
        serving_second: second,
        cohorts: (0..second)
            .map(|second| CohortStanding {
                cohort: cohort(second),
                joined,
                left: 0,
                due_second: None,
            })
            .collect(),
    }
}

/// One shopper at the door of one campaign.
struct Shopper {
    campaign: Campaign,
    shopper: ShopperId,
    request_id: RequestId,
}

impl Shopper {
    fn new(shopper: &str, request_id: &str) -> Self {
        Self {
            campaign: campaign(),
            shopper: ShopperId::parse(shopper).unwrap(),
            request_id: RequestId::parse(request_id).unwrap(),
        }
    }

    fn visit(&self) -> Visit<'_> {
        Visit {
            campaign: &self.campaign,
            holder: Holder {
                campaign: self.campaign.number,
                shopper: &self.shopper,
                request_id: &self.request_id,
            },
            tier: None,
            now: Moment::now(),
        }
    }

    fn queue_up(&self, room: &WaitingRoom, ticket: Option<Ticket>) -> Place {
        room.queue_up(self.visit(), ticket).unwrap()
    }

    fn queue(&self, room: &WaitingRoom) -> Arc<Queue> {
        room.queue(self.campaign.number)
    }
}

fn position(place: &Place) -> u64 {
    match place.why {
        Waiting::ForOthers { position, .. } | Waiting::ForStaff { position, .. } => position,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_position_never_grows() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    ann.queue(&room).hear(word(10, 100, 1_000_000));
    let first = ann.queue_up(&room, None);
    assert_eq!(position(&first), 1_001);
    // Other gateways report late that far more came before.
    ann.queue(&room).hear(word(20, 5_000, 1_000_000));
    let ticket = room.read(&first.shown, ann.visit().holder).unwrap();
    let second = ann.queue_up(&room, Some(ticket));
    assert_eq!(position(&second), 1_001);
    ann.queue(&room).hear(word(21, 10, 1_000_000));
    let ticket = room.read(&second.shown, ann.visit().holder).unwrap();
    let third = ann.queue_up(&room, Some(ticket));
    assert!(position(&third) < 200, "{third:?}");
}

#[test]
fn who_claims_again_within_a_second_is_counted_once_and_gains_nothing() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    ann.queue(&room).hear(word(10, 0, 1_000));
    let first = ann.queue_up(&room, None);
    let again = Shopper::new("ann", "r-2").queue_up(&room, None);
    assert_eq!(first.ticket.turn, again.ticket.turn);
    Shopper::new("bob", "r-1").queue_up(&room, None);
    let news = ann.queue(&room).take_news();
    assert_eq!(news.cohorts.len(), 1);
    assert_eq!(news.cohorts[0].1.joined, 2);
    assert_eq!(ann.queue(&room).take_news().cohorts, []);
}

#[test]
fn a_claim_without_its_ticket_has_the_place_it_had_and_another_request_id_has_not() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    ann.queue(&room).hear(word(10, 100, 1_000_000));
    assert_eq!(room.recall(ann.visit()), None);
    let first = ann.queue_up(&room, None);
    ann.queue(&room).hear(word(60, 100, 1_000_000));
    assert_eq!(room.recall(Shopper::new("ann", "r-2").visit()), None);
    let recalled = room.recall(ann.visit()).unwrap();
    assert_eq!(recalled.turn, first.ticket.turn);
    room.serve(ann.visit(), &first.ticket);
    assert_eq!(room.recall(ann.visit()), None);
}

#[test]
fn another_request_id_joins_the_cohort_of_its_own_time_and_is_counted_there_once() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    ann.queue(&room).hear(word(10, 100, 1_000_000));
    let first = ann.queue_up(&room, None);
    ann.queue(&room).hear(word(60, 100, 1_000_000));
    ann.queue(&room).take_news();
    let other = Shopper::new("ann", "r-2");
    let joined = other.queue_up(&room, room.recall(other.visit()));
    assert_eq!(joined.ticket.turn.cohort, cohort(60));
    assert!(position(&joined) > position(&first));
    let again = other.queue_up(&room, room.recall(other.visit()));
    assert_eq!(again.ticket.turn, joined.ticket.turn);
    let news = ann.queue(&room).take_news().cohorts;
    assert_eq!((news.len(), news[0].1.joined), (1, 1));
}

#[test]
fn behind_the_stock_no_ticket_is_given_and_one_that_was_given_is_kept() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    ann.queue(&room).hear(word(10, 1, 11));
    let place = ann.queue_up(&room, None);
    let bob = Shopper::new("bob", "r-1");
    let refused = room.queue_up(bob.visit(), None);
    let ticket_kept = match refused {
        Err(GatewayError::BehindStock { ticket_kept }) => ticket_kept,
        other => panic!("{other:?}"),
    };
    assert!(!ticket_kept);
    ann.queue(&room).hear(word(11, 1, 5));
    let refused = room.queue_up(ann.visit(), Some(place.ticket));
    assert!(matches!(
        refused,
        Err(GatewayError::BehindStock { ticket_kept: true })
    ));
    ann.queue(&room).hear(word(12, 1, 500));
    ann.queue_up(&room, Some(place.ticket));
}

#[test]
fn before_the_opening_everybody_joins_one_cohort_and_keeps_the_place() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let opens_at = ann.campaign.opens_at;
    let early = |ticket| room.before_opening(ann.visit(), ticket, opens_at).unwrap();
    let first = early(None);
    assert_eq!(first.ticket.turn.cohort, Cohort::BEFORE_OPENING);
    assert_eq!(early(Some(first.ticket)).ticket, first.ticket);
    assert_eq!(
        early(None).ticket,
        first.ticket,
        "a lost ticket is drawn again"
    );
    assert_eq!(ann.queue(&room).take_news().cohorts[0].1.joined, 1);
    // From the opening on nobody overtakes them while quota has not said that the queue has begun.
    assert!(ann.queue(&room).is_queueing(Instant::now()));
}

#[test]
fn once_a_claim_has_to_wait_the_next_ones_do_not_overtake_it() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let (queue, now) = (ann.queue(&room), Instant::now());
    assert!(!queue.is_queueing(now));
    queue.want(now);
    assert!(queue.is_queueing(now + Duration::from_millis(900)));
    assert!(!queue.is_queueing(now + Duration::from_secs(1)));
    assert!(queue.take_news().wants_queue);
    assert!(!queue.take_news().wants_queue, "it is told once");
}

#[test]
fn a_place_is_given_up_once_and_only_before_its_turn() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let queue = ann.queue(&room);
    queue.hear(word(10, 1, 1_000));
    let place = ann.queue_up(&room, None);
    queue.take_news();
    (0..2).for_each(|_| room.leave(ann.visit(), &place.ticket));
    let news = queue.take_news().cohorts;
    assert_eq!((news.len(), news[0].1.left), (1, 1));
    // Another gateway does not know whether that was counted already.
    let elsewhere = self::room();
    let other_queue = ann.queue(&elsewhere);
    other_queue.hear(word(10, 1, 1_000));
    elsewhere.leave(ann.visit(), &place.ticket);
    assert_eq!(other_queue.take_news().cohorts, []);
    let bob = Shopper::new("bob", "r-1");
    let due = bob.queue_up(&room, None);
    queue.take_news();
    let served = Word {
        watermark: Turn {
            cohort: cohort(100),
            draw: 0,
        },
        ..word(100, 1, 1_000)
    };
    queue.hear(served);
    assert_eq!(queue.stage(due.ticket.turn), Stage::Due);
    room.leave(bob.visit(), &due.ticket);
    assert_eq!(queue.take_news().cohorts, []);
}

#[test]
fn a_due_ticket_is_counted_as_served_once_however_often_its_claim_is_sent() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let place = ann.queue_up(&room, None);
    ann.queue(&room).take_news();
    (0..3).for_each(|_| room.serve(ann.visit(), &place.ticket));
    assert_eq!(ann.queue(&room).take_news().cohorts[0].1.served, 1);
}

#[test]
fn a_database_that_was_set_back_does_not_stop_the_queue() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let queue = ann.queue(&room);
    queue.hear(word(20, 1, 1_000));
    queue.hear(word(10, 1, 5));
    let standing = queue.standing();
    assert_eq!(
        (standing.word().version, standing.word().remaining),
        (10, 5)
    );
    // What was counted later is not there any more.
    assert_eq!(standing.word().cohorts.len(), 10);
}

#[test]
fn coupons_that_were_issued_are_told_once_and_begin_no_queue() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    (0..3).for_each(|_| room.issued(ann.campaign.number));
    let news = ann.queue(&room).take_news();
    assert_eq!((news.issued, news.wants_queue), (3, false));
    assert_eq!(ann.queue(&room).take_news().issued, 0);
}

#[test]
fn quota_hears_of_every_turn_that_could_not_be_used() {
    let refused = |reason| GatewayError::Refused(Refusal::after(reason, Duration::ZERO));
    for (met, kept) in [
        (GatewayError::Full, Some(Waiting::ForServing)),
        (refused(Reason::Overloaded), Some(Waiting::ForServing)),
        (refused(Reason::QueueFull), Some(Waiting::ForServing)),
        (refused(Reason::StockReturning), Some(Waiting::ForStock)),
        (GatewayError::NoAnswer, None),
    ] {
        let (room, ann) = (room(), Shopper::new("ann", "r-1"));
        let ticket = ann.queue_up(&room, None).ticket;
        ann.queue(&room).take_news();
        let place = room.turn_met(ann.visit(), ticket, met);
        assert_eq!(place.ok().map(|place| place.why), kept);
        assert!(ann.queue(&room).take_news().wants_queue, "{kept:?}");
    }
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let ticket = ann.queue_up(&room, None).ticket;
    ann.queue(&room).take_news();
    let verdict = refused(Reason::ShopperLimitReached);
    assert!(room.turn_met(ann.visit(), ticket, verdict).is_err());
    assert!(!ann.queue(&room).take_news().wants_queue);
}

#[test]
fn a_turn_that_found_no_room_comes_back_within_a_second() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let ticket = ann.queue_up(&room, None).ticket;
    let soonest = Duration::from_millis(500);
    for _ in 0..100 {
        let place = room.turn_met(ann.visit(), ticket, GatewayError::Full);
        let poll_after = place.unwrap().poll_after;
        assert!(
            (soonest..soonest * 2).contains(&poll_after),
            "{poll_after:?}"
        );
    }
}

#[test]
fn a_claim_that_went_to_issuance_is_remembered_until_it_certainly_came_to_nothing() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let holder = ann.visit().holder;
    assert!(!room.was_handed_over(holder));
    assert!(room.hand_over(holder));
    assert!(room.was_handed_over(holder));
    assert!(!room.hand_over(holder), "it went there before");
    assert!(!room.was_handed_over(Shopper::new("ann", "r-2").visit().holder));
    room.take_back(holder);
    assert!(!room.was_handed_over(holder));
}

#[test]
fn a_claim_without_a_coupon_is_looked_up_again_when_its_campaign_has_changed() {
    let (room, mut ann) = (room(), Shopper::new("ann", "r-1"));
    room.looked_up(ann.visit());
    assert!(room.was_looked_up(ann.visit()));
    assert!(!room.was_looked_up(Shopper::new("ann", "r-2").visit()));
    ann.campaign.revision += 1;
    assert!(!room.was_looked_up(ann.visit()));
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_a_new_campaign_waits_a_moment_for_quotas_word_and_is_not_guessed_at() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let number = ann.campaign.number;
    let unknown = room.knows_queue(number).await;
    assert!(matches!(unknown, Err(GatewayError::NotReady)));
    let told = async {
        tokio::time::sleep(WORD_WITHIN / 2).await;
        ann.queue(&room).hear(word(10, 1, 1_000));
        room.note(Heard::Standings, true);
    };
    let (known, ()) = tokio::join!(room.knows_queue(number), told);
    assert!(known.is_ok());
}

#[test]
fn a_gateway_is_ready_once_it_knows_the_queues_of_all_campaigns_or_that_there_are_none() {
    for heard in [Heard::Standings, Heard::NoQueues] {
        let room = room();
        let ready = room.ready();
        room.note(heard, false);
        room.note(Heard::Nothing, true);
        assert!(!*ready.borrow(), "{heard:?}");
        room.note(heard, true);
        assert!(*ready.borrow(), "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_keeps_no_queues_is_not_waited_for() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    room.note(Heard::NoQueues, true);
    assert!(room.knows_queue(ann.campaign.number).await.is_ok());
}
