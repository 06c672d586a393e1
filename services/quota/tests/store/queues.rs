//! Waiting rooms on a real PostgreSQL: reports of several gateways through several replicas.

use std::time::Duration;

use crate::giveaway::{Giveaway, later, open, terms};
use futures_util::future::join_all;
use tidegate_quota::{
    domain::{
        CohortWaiting, GatewayReport, IssuanceControl, QueueReport, QueueSnapshot, QueueStanding,
    },
    error::QuotaError,
    queues::Queues,
    store::KeptReport,
};
use tidegate_types::{CampaignId, CampaignNumber, Cohort, ReplicaId, Timestamp, Turn};

const STEP: Duration = Duration::from_millis(500);

pub fn second(moment: Timestamp) -> u64 {
    moment.unix_timestamp() as u64
}

fn turn(number: u64, draw: u32) -> Turn {
    let cohort = Cohort::new(number).unwrap();
    Turn { cohort, draw }
}

/// One gateway's reports of one campaign through one replica of quota.
#[derive(Clone)]
pub struct Gateway {
    pub giveaway: Giveaway,
    pub queues: Queues,
    id: ReplicaId,
    campaign: CampaignNumber,
}

impl Gateway {
    pub fn new(giveaway: &Giveaway, id: &str, campaign: CampaignNumber) -> Self {
        let store = giveaway.store.clone();
        Self {
            queues: Queues::new(store, giveaway.metrics.clone()),
            giveaway: giveaway.clone(),
            id: ReplicaId::parse(id).unwrap(),
            campaign,
        }
    }

    /// At which calls of a cohort are held, and which can take so many.
    pub fn holding(&self, number: u64, held: u64, can_take: f64) -> QueueReport {
        QueueReport {
            waiting: vec![CohortWaiting {
                cohort: Cohort::new(number).unwrap(),
                held,
                promised: 0,
                promised_soon: 0,
            }],
            ..self.idle(can_take)
        }
    }

    pub fn idle(&self, can_take: f64) -> QueueReport {
        QueueReport {
            campaign: self.campaign,
            wants_queue: false,
            can_take,
            served_per_second: 0.0,
            able_per_second: 0.0,
            at_door: 0,
            watermark: Turn::FIRST,
            due_soon: 0,
            waiting: Vec::new(),
            promises_ended: 0,
            promises_kept: 0,
        }
    }

    /// Reports, at the moment at which the giveaway is open, what it is holding.
    async fn hold(&self, number: u64, cohort: u64, held: u64, can_take: f64) -> QueueSnapshot {
        let report = self.holding(cohort, held, can_take);
        self.send(number, report, open()).await
    }

    pub async fn send(&self, number: u64, queue: QueueReport, now: Timestamp) -> QueueSnapshot {
        let report = GatewayReport {
            gateway: self.id.clone(),
            number,
            queues: vec![queue],
        };
        let mut snapshots = self.queues.report(&report, now, later()).await.unwrap();
        snapshots.remove(0)
    }

    pub async fn standing(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<(QueueStanding, Vec<KeptReport>), QuotaError> {
        let id = CampaignId::parse(id).unwrap();
        self.queues.standing(&id, now).await
    }
}

pub async fn room() -> (Giveaway, [Gateway; 2]) {
    let (giveaway, campaign) = Giveaway::of(&[1_000]).await;
    let gateways =
        ["gateway-0/1", "gateway-1/1"].map(|id| Gateway::new(&giveaway, id, campaign.number));
    (giveaway, gateways)
}

fn waiting(snapshot: &QueueSnapshot) -> Vec<(u64, u64)> {
    let waiting = snapshot.waiting.iter();
    let waiting = waiting.map(|(cohort, waiting)| (cohort.get(), *waiting));
    waiting.collect()
}

#[tokio::test]
async fn a_report_replaces_the_one_before_and_an_older_one_changes_nothing() {
    let (_, [gateway, other]) = room().await;
    let now = second(open());
    let told = gateway.hold(1, now, 5, 0.0).await;
    assert!(told.is_queueing);
    assert_eq!(waiting(&told), [(now, 5)]);
    let newer = gateway.holding(now, 8, 0.0);
    let told = gateway.send(3, newer.clone(), open()).await;
    assert_eq!(waiting(&told), [(now, 8)]);
    // One that was overtaken on its way, and one whose answer was lost.
    let late = gateway.hold(2, now, 90, 99.0).await;
    assert_eq!(late, told);
    assert_eq!(gateway.send(3, newer, open()).await, told);
    let told = other.hold(1, now - 1, 2, 0.0).await;
    let only = [(now, 8)];
    assert_eq!(waiting(&told), only, "the queue began with this second");
    let told = other.hold(2, now, 2, 0.0).await;
    assert_eq!(waiting(&told), [(now, 10)]);
}

#[tokio::test]
async fn a_report_that_changes_nothing_writes_nothing() {
    let (giveaway, [gateway, _]) = room().await;
    let told = gateway.send(1, gateway.idle(100.0), open()).await;
    assert!(!told.is_queueing);
    assert_eq!(told.remaining, 1_000);
    assert_eq!(told.current_cohort.get(), second(open()));
    let rows = "SELECT (SELECT count(*) FROM queues) + (SELECT count(*) FROM queue_reports)";
    assert_eq!(giveaway.database.ask::<i64>(rows).await, 0);
    let (standing, reports) = gateway.standing("spring", open()).await.unwrap();
    assert!(!standing.snapshot.is_queueing && reports.is_empty());
    let waiting = (standing.waiting(), standing.oldest_joined_at);
    assert_eq!(waiting, (0, None));
    assert_eq!(standing.snapshot.remaining, 1_000);
    let refused = gateway.standing("autumn", open()).await;
    refused!(refused, QuotaError::CampaignNotFound);
}

#[tokio::test]
async fn a_gateway_that_is_silent_no_longer_counts() {
    let (giveaway, [gateway, other]) = room().await;
    let now = second(open());
    gateway.hold(7, now, 5, 0.0).await;
    let told = other.hold(1, now, 7, 0.0).await;
    assert_eq!(waiting(&told), [(now, 12)]);
    giveaway.database.execute("UPDATE queue_reports SET reported_at = reported_at - interval '3 seconds' WHERE gateway_id = 'gateway-0/1'").await;
    // The clock of a replica says nothing about that.
    let much_later = open() + Duration::from_secs(60);
    let told = other.send(2, other.holding(now, 7, 0.0), much_later).await;
    assert_eq!(waiting(&told), [(now, 7)]);
    let holding = || gateway.holding(now, 9, 0.0);
    let late = gateway.send(6, holding(), much_later).await;
    let only = [(now, 7)];
    assert_eq!(waiting(&late), only, "its older report stays an older one");
    let told = gateway.send(8, holding(), much_later).await;
    assert_eq!(waiting(&told), [(now, 16)]);
}

#[tokio::test]
async fn a_queue_ends_when_everybody_is_called() {
    let (_, [gateway, other]) = room().await;
    let now = second(open());
    let wanting = QueueReport {
        wants_queue: true,
        ..other.idle(0.0)
    };
    assert!(other.send(1, wanting.clone(), open()).await.is_queueing);
    let told = gateway.hold(1, now, 20, 30.0).await;
    assert!(!told.is_queueing);
    assert!(told.watermark > Turn::first_of(told.current_cohort));
    assert_eq!(waiting(&told), []);
    // The other's wish was met, and does not begin the queue again; neither does the same report once more.
    let told = gateway.hold(2, now, 3, 0.0).await;
    assert!(!told.is_queueing);
    assert!(!other.send(1, wanting.clone(), open()).await.is_queueing);
    assert!(other.send(2, wanting, open()).await.is_queueing);
}

#[tokio::test]
async fn turns_expire_after_two_minutes_of_serving_time() {
    let (giveaway, [gateway, _]) = room().await;
    let began = second(open());
    let called = gateway.hold(1, began, 100, 50.0).await;
    assert_eq!(called.watermark, turn(began, 1 << 31));
    // Ten minutes in which staff hold the queue are no serving time.
    giveaway.wish("spring", IssuanceControl::QueueOnly, 0).await;
    let from = open() + Duration::from_secs(600);
    let expired_at = async |step: u32| {
        let (number, now) = (2 + u64::from(step), from + step * STEP);
        let full = gateway.holding(began, 100, 0.0);
        gateway.send(number, full, now).await.expired_before
    };
    expired_at(0).await;
    giveaway.wish("spring", IssuanceControl::Open, 1).await;
    for step in 1..=241 {
        assert_eq!(expired_at(step).await, Turn::FIRST, "in step {step}");
    }
    for step in 242..=248 {
        assert_eq!(expired_at(step).await, called.watermark, "in step {step}");
    }
    // Of the marks of 125 seconds three are not needed to tell what expires.
    gateway.queues.tidy(from).await.unwrap();
    assert_eq!(giveaway.database.count("queue_marks").await, 122);
    assert_eq!(expired_at(249).await, called.watermark);
}

#[tokio::test]
async fn two_replicas_move_a_queue_once_for_each_report() {
    let (giveaway, [gateway, _]) = room().await;
    let now = second(open());
    let report = QueueReport {
        promises_ended: 40,
        promises_kept: 20,
        ..gateway.holding(now, 100, 0.0)
    };
    gateway.send(1, report.clone(), open()).await;
    let newer = QueueReport {
        promises_ended: 140,
        promises_kept: 90,
        ..report
    };
    let replicas = [(); 8].map(|()| Gateway::new(&giveaway, "gateway-0/1", gateway.campaign));
    let together = replicas
        .iter()
        .map(|replica| replica.send(2, newer.clone(), open()));
    for told in join_all(together).await {
        assert_eq!(waiting(&told), [(now, 100)]);
    }
    let counted = "SELECT array[promises_ended, promises_kept] FROM queues";
    let counted: Vec<f64> = giveaway.database.ask(counted).await;
    assert_eq!(counted, [100.0, 70.0]);
}

#[tokio::test]
async fn a_paused_or_sold_out_campaign_calls_nobody() {
    let (giveaway, [gateway, _]) = room().await;
    giveaway.wish("spring", IssuanceControl::QueueOnly, 0).await;
    let now = second(open());
    let told = gateway.hold(1, now, 60, 30.0).await;
    assert!(told.is_queueing);
    assert_eq!((told.watermark, told.pace), (turn(now, 0), None));
    giveaway.wish("spring", IssuanceControl::Open, 1).await;
    let none_free = "UPDATE tiers SET settled = settled + free, free = 0";
    giveaway.database.execute(none_free).await;
    let told = gateway.hold(2, now, 60, 30.0).await;
    assert_eq!((told.watermark, told.remaining), (turn(now, 0), 0));
    let all_free = "UPDATE tiers SET free = settled, settled = 0";
    giveaway.database.execute(all_free).await;
    let told = gateway.hold(3, now, 60, 30.0).await;
    assert_eq!(told.watermark, turn(now, 1 << 31));
}

#[tokio::test]
async fn those_who_came_before_the_opening_are_drawn_at_it() {
    let giveaway = Giveaway::start().await;
    let mut terms = terms("spring", &[1_000]);
    terms.opens_at = open() + Duration::from_secs(5);
    let made = giveaway.make(&terms).await;
    let gateway = Gateway::new(&giveaway, "gateway-0/1", made.unwrap().number);
    let told = gateway.hold(1, 0, 200, 50.0).await;
    assert!(told.is_queueing);
    assert_eq!(told.watermark, Turn::FIRST);
    let (standing, _) = gateway.standing("spring", open()).await.unwrap();
    let oldest = (standing.waiting(), standing.oldest_joined_at);
    assert_eq!(oldest, (200, Some(terms.opens_at)));
    let holding = gateway.holding(0, 200, 50.0);
    let told = gateway.send(2, holding, terms.opens_at).await;
    assert_eq!(told.watermark, turn(0, 1 << 30));
}

#[tokio::test]
async fn a_restart_or_a_clock_that_goes_back_costs_nobody_a_place() {
    let (_, [gateway, _]) = room().await;
    let now = second(open());
    let before = gateway.hold(1, now, 100, 50.0).await;
    // Nothing of a queue is in the process: another one with the same database stands where this one stood.
    let giveaway = Giveaway::on(gateway.giveaway.database.clone());
    let gateway = Gateway::new(&giveaway, "gateway-0/1", gateway.campaign);
    let again = gateway.holding(now, 100, 50.0);
    assert_eq!(gateway.send(1, again.clone(), open()).await, before);
    let back = open() - Duration::from_secs(90);
    let told = gateway.send(2, again, back).await;
    assert_eq!(told.watermark, before.watermark);
    assert!(told.current_cohort >= before.current_cohort);
}

#[tokio::test]
async fn what_is_over_is_forgotten() {
    let (giveaway, [gateway, other]) = room().await;
    let now = second(open());
    gateway.hold(1, now, 100, 0.0).await;
    other.hold(1, now, 100, 0.0).await;
    giveaway.database.execute("UPDATE queue_reports SET reported_at = reported_at - interval '25 hours' WHERE gateway_id = 'gateway-0/1'").await;
    gateway.queues.tidy(open()).await.unwrap();
    let known = "SELECT array_agg(gateway_id) FROM queue_reports";
    let known: Vec<String> = giveaway.database.ask(known).await;
    assert_eq!(known, ["gateway-1/1"]);
    // When the campaign is long over, nothing is left of its waiting room.
    let over = open() + Duration::from_secs(3 * 3_600);
    gateway.queues.tidy(over).await.unwrap();
    let rows = "SELECT (SELECT count(*) FROM queues) + (SELECT count(*) FROM queue_reports) + (SELECT count(*) FROM queue_marks)";
    assert_eq!(giveaway.database.ask::<i64>(rows).await, 0);
    let told = other.send(2, other.holding(now, 100, 9.0), over).await;
    assert!(!told.is_queueing);
}
