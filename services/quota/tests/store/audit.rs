//! Auditing campaigns, on a real PostgreSQL and with an issuance behind gRPC.

use std::{sync::Arc, time::Duration};

use crate::giveaway::{Giveaway, counts, later, open};
use crate::issuance::{Issuance, Lease, State};
use crate::reclaim::{holder, reclaimer, spend};
use tidegate_proto::issuance::v1::LeaseMismatch;
use tidegate_quota::{
    audit::Auditor, domain::AuditReport, error::QuotaError, issuance::IssuanceClient,
    metrics::Metrics, store::Store, watch::Watch,
};
use tidegate_telemetry::Registry;
use tidegate_test_kit::{metrics_page, until};
use tidegate_types::CampaignId;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub struct Audits {
    auditor: Auditor,
    store: Store,
}

impl Audits {
    pub fn new(giveaway: &Giveaway, client: &IssuanceClient) -> Self {
        let store = giveaway.store.clone();
        Self {
            auditor: Auditor::new(store.clone(), client.clone()),
            store,
        }
    }

    pub async fn audit(&self, id: &str) -> Result<AuditReport, QuotaError> {
        let id = CampaignId::parse(id).unwrap();
        let audited = self.auditor.audit(&id, later()).await;
        audited.map(|(_, report)| report)
    }

    pub async fn audit_spring(&self) -> AuditReport {
        self.audit("spring").await.unwrap()
    }

    /// Lets the auditor run until new metrics show a line; all that they show then.
    pub async fn run_until(&self, line: &str) -> String {
        let (watch, _) = Watch::new(self.store.clone(), CancellationToken::new());
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry, watch);
        let (stop, interval) = (CancellationToken::new(), Duration::from_millis(20));
        let rounds = self.auditor.clone().run(metrics, interval, stop.clone());
        let rounds = tokio::spawn(rounds);
        let shows = async {
            loop {
                let shown = metrics_page(&registry);
                if shown.contains(line) {
                    return shown;
                }
                sleep(interval).await;
            }
        };
        let shown = timeout(Duration::from_secs(120), shows).await.unwrap();
        stop.cancel();
        rounds.await.unwrap();
        shown
    }
}

/// A campaign with a lease that is settled and one that is live, and the two services that know of them.
struct Books {
    giveaway: Giveaway,
    issuance: Issuance,
    audits: Audits,
    settled: Uuid,
    live: Uuid,
}

impl Books {
    async fn open() -> Self {
        let (giveaway, campaign) = Giveaway::of(&[100]).await;
        let (issuance, client) = Issuance::start().await;
        let settled = spend(&giveaway, &issuance, campaign.number, 3)
            .await
            .lease_id;
        let reclaimer = reclaimer(&giveaway, client.clone());
        reclaimer.reclaim(&[holder()], open()).await.unwrap();
        let live = spend(&giveaway, &issuance, campaign.number, 2)
            .await
            .lease_id;
        Self {
            audits: Audits::new(&giveaway, &client),
            giveaway,
            issuance,
            settled,
            live,
        }
    }

    async fn kinds(&self) -> String {
        let report = self.audits.audit_spring().await;
        let kinds = report.differences.iter().map(|found| found.kind.name());
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_unstable();
        kinds.join(" ")
    }
}

#[tokio::test]
async fn sound_books_have_no_difference() {
    let books = Books::open().await;
    let report = books.audits.audit_spring().await;
    assert_eq!(report.differences, []);
    assert_eq!((report.difference_count, report.coverage.leases), (0, 2));
    assert!(report.coverage.is_complete);
    assert_eq!(report.coverage.leases_left_out, 0);
    let tier = report.tiers[0];
    assert_eq!((tier.stock, tier.at.free), (100, 92));
    assert_eq!((tier.at.leased, tier.at.settled), (5, 3));
    assert_eq!((tier.coupons, tier.coupons_on_live_leases), (5, 2));
}

#[tokio::test]
async fn what_issuance_has_otherwise_is_found() {
    let books = Books::open().await;
    let change = |lease: Uuid, change: fn(&mut Lease)| {
        change(books.issuance.state().leases.get_mut(&lease).unwrap());
    };
    change(books.settled, |lease| lease.used = counts(&[4]));
    assert_eq!(books.kinds().await, "settled_lease");
    books.issuance.state().leases.remove(&books.settled);
    assert_eq!(books.kinds().await, "coupons settled_lease");
    change(books.live, |lease| lease.granted = counts(&[6]));
    assert_eq!(books.kinds().await, "coupons live_lease settled_lease");
    let mismatch = LeaseMismatch {
        lease_id: books.live.to_string(),
        tier_number: 0,
        used: 2,
        coupons: 1,
    };
    *books.issuance.state() = State {
        stray_coupons: 101,
        mismatches: vec![mismatch],
        shoppers_over_limit: 1,
        shoppers_paying_twice: 1,
        ..State::default()
    };
    let all = "coupons lease_coupons oversold redeemed_once settled_lease shopper_limit";
    assert_eq!(books.kinds().await, all);
}

#[tokio::test]
async fn what_quota_has_otherwise_is_found() {
    let books = Books::open().await;
    for change in [
        "UPDATE tiers SET free = free - 1, leased = leased + 1",
        "UPDATE tiers SET leased = leased - 1, settled = settled + 1",
        "ALTER TABLE tiers DROP CONSTRAINT tiers_conserve_stock; UPDATE tiers SET settled = settled - 1",
    ] {
        books.giveaway.database.execute(change).await;
        assert_eq!(books.kinds().await, "stock", "{change}");
    }
}

#[tokio::test]
async fn an_audit_that_cannot_be_made_says_so_and_finds_nothing() {
    let books = Books::open().await;
    books.issuance.state().is_away = true;
    let refused = books.audits.audit("spring").await;
    refused!(refused, QuotaError::IssuanceAway(_));
    let refused = books.audits.audit("autumn").await;
    refused!(refused, QuotaError::CampaignNotFound);
}

#[tokio::test]
async fn every_campaign_is_audited_again_and_again_ended_ones_included() {
    let giveaway = Giveaway::start().await;
    giveaway.create_current("spring").await;
    giveaway.create_current("summer").await;
    giveaway.create("ended-long-ago", &[100]).await;
    let (issuance, client) = Issuance::start().await;
    let audits = Audits::new(&giveaway, &client);
    let line = |id, differences: u64| {
        format!("tidegate_audit_differences{{campaign_id=\"{id}\"}} {differences}\n")
    };
    let shown = audits.run_until(&line("summer", 0)).await;
    assert!(shown.contains(&line("spring", 0)));
    assert!(shown.contains(&line("ended-long-ago", 0)));
    issuance.state().stray_coupons = 1;
    audits.run_until(&line("spring", 1)).await;
    let runs = "tidegate_audit_runs_total{outcome=\"different\"}";
    audits.run_until(runs).await;
    issuance.state().is_away = true;
    let runs = "tidegate_audit_runs_total{outcome=\"failed\"}";
    audits.run_until(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_raised_while_coupons_are_counted_makes_nobody_hold_too_many() {
    let books = Arc::new(Books::open().await);
    let (open_gate, gate) = oneshot::channel();
    books.issuance.state().gate = Some(gate);
    let audit = tokio::spawn({
        let books = Arc::clone(&books);
        async move { books.kinds().await }
    });
    let waits = async || books.issuance.state().gate.is_none();
    until("issuance is asked", waits).await;
    let raise = "UPDATE campaigns SET limit_per_shopper = 2";
    books.giveaway.database.execute(raise).await;
    books.issuance.state().most_held = 2;
    open_gate.send(()).unwrap();
    assert_eq!(audit.await.unwrap(), "");
    books.issuance.state().most_held = 3;
    assert_eq!(books.kinds().await, "shopper_limit");
}
