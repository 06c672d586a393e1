//! Waiting rooms on a real PostgreSQL: reports of several gateways through several replicas.

use std::time::Duration;

use crate::database::{TestDatabase, with_database};
use crate::giveaway::{Giveaway, call, later, open, terms, wish};
use tidegate_quota::{
    domain::{CohortWaiting, GatewayReport, IssuanceControl, QueueReport, QueueSnapshot},
    queues::Queues,
};
use tidegate_types::{CampaignNumber, Cohort, ReplicaId, Timestamp, Turn};

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
    pub queues: Queues,
    id: ReplicaId,
    campaign: CampaignNumber,
}

impl Gateway {
    pub fn new(
        giveaway: &Giveaway,
        database: &TestDatabase,
        id: &str,
        campaign: CampaignNumber,
    ) -> Self {
        Self {
            queues: Queues::new(database.store.clone(), giveaway.metrics.clone()),
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

    pub async fn send(&self, number: u64, queue: QueueReport, now: Timestamp) -> QueueSnapshot {
        let report = GatewayReport {
            gateway: self.id.clone(),
            number,
            queues: vec![queue],
        };
        let mut snapshots = self.queues.report(&report, now, later()).await.unwrap();
        snapshots.remove(0)
    }
}

/// Two gateways and a campaign of a thousand coupons.
pub async fn room(database: &TestDatabase) -> (Giveaway, [Gateway; 2]) {
    let giveaway = Giveaway::new(&database.store);
    let campaign = giveaway.create("spring", &[1_000]).await;
    let gateways = ["gateway-0/1", "gateway-1/1"]
        .map(|id| Gateway::new(&giveaway, database, id, campaign.number));
    (giveaway, gateways)
}

fn waiting(snapshot: &QueueSnapshot) -> Vec<(u64, u64)> {
    let waiting = snapshot.waiting.iter();
    waiting
        .map(|(cohort, waiting)| (cohort.get(), *waiting))
        .collect()
}

pub async fn one<T>(database: &TestDatabase, query: &'static str) -> T
where
    T: for<'a> sqlx::Decode<'a, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    let value = sqlx::query_scalar(query).fetch_one(&database.pool).await;
    value.unwrap()
}

async fn change(database: &TestDatabase, statement: &'static str) {
    let changed = sqlx::query(statement).execute(&database.pool).await;
    assert!(changed.unwrap().rows_affected() > 0);
}

#[tokio::test]
async fn a_report_replaces_the_one_before_and_an_older_one_changes_nothing() {
    with_database(async |database| {
        let (_, [gateway, other]) = room(&database).await;
        let now = second(open());
        let told = gateway.send(1, gateway.holding(now, 5, 0.0), open()).await;
        assert!(told.is_queueing);
        assert_eq!(waiting(&told), [(now, 5)]);
        let newer = gateway.holding(now, 8, 0.0);
        let told = gateway.send(3, newer.clone(), open()).await;
        assert_eq!(waiting(&told), [(now, 8)]);
        // One that was overtaken on its way, and one whose answer was lost.
        let late = gateway
            .send(2, gateway.holding(now, 90, 99.0), open())
            .await;
        assert_eq!(late, told);
        assert_eq!(gateway.send(3, newer, open()).await, told);
        let told = other.send(1, other.holding(now - 1, 2, 0.0), open()).await;
        assert_eq!(
            waiting(&told),
            [(now, 8)],
            "the queue began with this second"
        );
        let told = other.send(2, other.holding(now, 2, 0.0), open()).await;
        assert_eq!(waiting(&told), [(now, 10)]);
    })
    .await;
}

#[tokio::test]
async fn a_report_without_news_writes_nothing() {
    with_database(async |database| {
        let (_, [gateway, _]) = room(&database).await;
        let told = gateway.send(1, gateway.idle(100.0), open()).await;
        assert!(!told.is_queueing);
        assert_eq!(told.remaining, 1_000);
        assert_eq!(told.current_cohort.get(), second(open()));
        let rows = "SELECT (SELECT count(*) FROM queues) + (SELECT count(*) FROM queue_reports)";
        assert_eq!(one::<i64>(&database, rows).await, 0);
    })
    .await;
}

#[tokio::test]
async fn turns_are_called_for_what_gateways_can_take() {
    with_database(async |database| {
        let (_, [gateway, other]) = room(&database).await;
        let now = second(open());
        gateway
            .send(1, gateway.holding(now, 100, 0.0), open())
            .await;
        let told = other.send(1, other.holding(now, 100, 0.0), open()).await;
        assert_eq!(told.watermark, turn(now, 0));
        let told = gateway
            .send(2, gateway.holding(now, 100, 50.0), open())
            .await;
        assert_eq!(told.watermark, turn(now, 1 << 30));
        // Fifty of those of whom both have not heard are on their way, and fifty more are called.
        let told = other.send(2, other.holding(now, 100, 50.0), open()).await;
        assert_eq!(told.watermark, turn(now, 1 << 31));
        assert_eq!(waiting(&told), [(now, 100)]);
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_is_silent_no_longer_counts() {
    with_database(async |database| {
        let (_, [gateway, other]) = room(&database).await;
        let now = second(open());
        gateway.send(7, gateway.holding(now, 5, 0.0), open()).await;
        let told = other.send(1, other.holding(now, 7, 0.0), open()).await;
        assert_eq!(waiting(&told), [(now, 12)]);
        change(&database, "UPDATE queue_reports SET reported_at = reported_at - interval '3 seconds' WHERE gateway_id = 'gateway-0/1'").await;
        // The clock of a replica says nothing about that.
        let much_later = open() + Duration::from_secs(60);
        let told = other.send(2, other.holding(now, 7, 0.0), much_later).await;
        assert_eq!(waiting(&told), [(now, 7)]);
        let late = gateway.send(6, gateway.holding(now, 9, 0.0), much_later).await;
        assert_eq!(waiting(&late), [(now, 7)], "its older report stays an older one");
        let told = gateway.send(8, gateway.holding(now, 9, 0.0), much_later).await;
        assert_eq!(waiting(&told), [(now, 16)]);
    })
    .await;
}

#[tokio::test]
async fn a_queue_ends_when_everybody_is_called() {
    with_database(async |database| {
        let (_, [gateway, other]) = room(&database).await;
        let now = second(open());
        let wanting = QueueReport {
            wants_queue: true,
            ..other.idle(0.0)
        };
        assert!(other.send(1, wanting.clone(), open()).await.is_queueing);
        let told = gateway
            .send(1, gateway.holding(now, 20, 30.0), open())
            .await;
        assert!(!told.is_queueing);
        assert!(told.watermark > Turn::first_of(told.current_cohort));
        assert_eq!(waiting(&told), []);
        // The other's wish was met, and does not begin the queue again; neither does the same report once more.
        let told = gateway.send(2, gateway.holding(now, 3, 0.0), open()).await;
        assert!(!told.is_queueing);
        assert!(!other.send(1, wanting.clone(), open()).await.is_queueing);
        assert!(other.send(2, wanting, open()).await.is_queueing);
    })
    .await;
}

#[tokio::test]
async fn turns_expire_after_two_minutes_of_serving_time() {
    with_database(async |database| {
        let (giveaway, [gateway, _]) = room(&database).await;
        let began = second(open());
        let full = gateway.holding(began, 100, 0.0);
        let called = gateway
            .send(1, gateway.holding(began, 100, 50.0), open())
            .await;
        assert_eq!(called.watermark, turn(began, 1 << 31));
        // Ten minutes in which staff hold the queue are no serving time.
        let hold = wish("spring", IssuanceControl::QueueOnly, 0);
        giveaway.set(&hold).await.unwrap();
        let from = open() + Duration::from_secs(600);
        gateway.send(2, full.clone(), from).await;
        let resume = wish("spring", IssuanceControl::Open, 1);
        giveaway.set(&resume).await.unwrap();
        for step in 1..=240 {
            let told = gateway
                .send(2 + u64::from(step), full.clone(), from + step * STEP)
                .await;
            assert_eq!(told.expired_before, Turn::FIRST, "in step {step}");
        }
        let told = gateway.send(243, full.clone(), from + 241 * STEP).await;
        assert_eq!(told.expired_before, Turn::FIRST);
        let told = gateway.send(244, full.clone(), from + 242 * STEP).await;
        assert_eq!(told.expired_before, called.watermark);
        for step in 243..=248 {
            gateway
                .send(2 + u64::from(step), full.clone(), from + step * STEP)
                .await;
        }
        // Of the marks of 125 seconds three are not needed to tell what expires.
        gateway.queues.tidy(from).await.unwrap();
        assert_eq!(
            one::<i64>(&database, "SELECT count(*) FROM queue_marks").await,
            122
        );
        let told = gateway.send(251, full, from + 249 * STEP).await;
        assert_eq!(told.expired_before, called.watermark);
    })
    .await;
}

#[tokio::test]
async fn two_replicas_move_a_queue_once_for_each_report() {
    with_database(async |database| {
        let (giveaway, [gateway, _]) = room(&database).await;
        let now = second(open());
        let report = QueueReport {
            promises_ended: 40,
            promises_kept: 20,
            ..gateway.holding(now, 100, 0.0)
        };
        gateway.send(1, report.clone(), open()).await;
        let news = QueueReport {
            promises_ended: 140,
            promises_kept: 90,
            ..report
        };
        let together: Vec<_> = (0..8)
            .map(|_| {
                let replica = Gateway::new(&giveaway, &database, "gateway-0/1", gateway.campaign);
                let news = news.clone();
                tokio::spawn(async move { replica.send(2, news, open()).await })
            })
            .collect();
        for sent in together {
            assert_eq!(waiting(&sent.await.unwrap()), [(now, 100)]);
        }
        let counted = "SELECT array[promises_ended, promises_kept] FROM queues";
        assert_eq!(one::<Vec<f64>>(&database, counted).await, [100.0, 70.0]);
    })
    .await;
}

#[tokio::test]
async fn a_paused_or_sold_out_campaign_calls_nobody() {
    with_database(async |database| {
        let (giveaway, [gateway, _]) = room(&database).await;
        let hold = wish("spring", IssuanceControl::QueueOnly, 0);
        giveaway.set(&hold).await.unwrap();
        let now = second(open());
        let told = gateway
            .send(1, gateway.holding(now, 60, 30.0), open())
            .await;
        assert!(told.is_queueing);
        assert_eq!((told.watermark, told.pace), (turn(now, 0), None));
        let resume = wish("spring", IssuanceControl::Open, 1);
        giveaway.set(&resume).await.unwrap();
        change(
            &database,
            "UPDATE tiers SET settled = settled + free, free = 0",
        )
        .await;
        let told = gateway
            .send(2, gateway.holding(now, 60, 30.0), open())
            .await;
        assert_eq!((told.watermark, told.remaining), (turn(now, 0), 0));
        change(&database, "UPDATE tiers SET free = settled, settled = 0").await;
        let told = gateway
            .send(3, gateway.holding(now, 60, 30.0), open())
            .await;
        assert_eq!(told.watermark, turn(now, 1 << 31));
    })
    .await;
}

#[tokio::test]
async fn those_who_came_before_the_opening_are_drawn_at_it() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let mut terms = terms("spring", &[1_000]);
        terms.opens_at = open() + Duration::from_secs(5);
        let made = giveaway.campaigns.create(&terms, None, &call(open())).await;
        let gateway = Gateway::new(&giveaway, &database, "gateway-0/1", made.unwrap().number);
        let told = gateway.send(1, gateway.holding(0, 200, 50.0), open()).await;
        assert!(told.is_queueing);
        assert_eq!(told.watermark, Turn::FIRST);
        let told = gateway
            .send(2, gateway.holding(0, 200, 50.0), terms.opens_at)
            .await;
        assert_eq!(told.watermark, turn(0, 1 << 30));
    })
    .await;
}

#[tokio::test]
async fn a_restart_or_a_clock_that_goes_back_costs_nobody_a_place() {
    with_database(async |database| {
        let (_, [gateway, _]) = room(&database).await;
        let now = second(open());
        let before = gateway
            .send(1, gateway.holding(now, 100, 50.0), open())
            .await;
        // Nothing of a queue is in the process: another one with the same database stands where this one stood.
        let giveaway = Giveaway::new(&database.store);
        let gateway = Gateway::new(&giveaway, &database, "gateway-0/1", gateway.campaign);
        let again = gateway.holding(now, 100, 50.0);
        assert_eq!(gateway.send(1, again.clone(), open()).await, before);
        let back = open() - Duration::from_secs(90);
        let told = gateway.send(2, again, back).await;
        assert_eq!(told.watermark, before.watermark);
        assert!(told.current_cohort >= before.current_cohort);
    })
    .await;
}

#[tokio::test]
async fn what_is_over_is_forgotten() {
    with_database(async |database| {
        let (_, [gateway, other]) = room(&database).await;
        let now = second(open());
        gateway.send(1, gateway.holding(now, 100, 0.0), open()).await;
        other.send(1, other.holding(now, 100, 0.0), open()).await;
        change(&database, "UPDATE queue_reports SET reported_at = reported_at - interval '25 hours' WHERE gateway_id = 'gateway-0/1'").await;
        gateway.queues.tidy(open()).await.unwrap();
        let known = "SELECT array_agg(gateway_id) FROM queue_reports";
        assert_eq!(one::<Vec<String>>(&database, known).await, ["gateway-1/1"]);
        // When the campaign is long over, nothing is left of its waiting room.
        let over = open() + Duration::from_secs(3 * 3_600);
        gateway.queues.tidy(over).await.unwrap();
        let rows = "SELECT (SELECT count(*) FROM queues) + (SELECT count(*) FROM queue_reports) + (SELECT count(*) FROM queue_marks)";
        assert_eq!(one::<i64>(&database, rows).await, 0);
        let told = other.send(2, other.holding(now, 100, 9.0), over).await;
        assert!(!told.is_queueing);
    })
    .await;
}
