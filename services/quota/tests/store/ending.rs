//! Ending a campaign for good, on a real PostgreSQL and with an issuance behind gRPC.

use std::time::{Duration, Instant};

use crate::changes::recorded;
use crate::database::with_database;
use crate::giveaway::{Giveaway, call, call_by, closed, later, open, request, terms, wish};
use crate::reclaim::{reclaimer, sealed_because, spend};
use tidegate_quota::{
    QuotaError,
    campaigns::{BudgetAddition, UpdateRequest},
    control::EndRequest,
    domain::{Campaign, CampaignUpdate, IssuanceControl},
};
use tidegate_types::{CampaignId, ChangeReason, RequestId, Timestamp};
use tokio_util::sync::CancellationToken;

/// Readings are a minute apart: whatever is sealed within a test is sealed because of the end.
const LONG_TTL: Duration = Duration::from_secs(600);

fn end(reason: &str) -> EndRequest {
    EndRequest {
        campaign: CampaignId::parse("spring").unwrap(),
        reason: ChangeReason::parse(reason).unwrap(),
    }
}

async fn end_by(
    giveaway: &Giveaway,
    reason: &str,
    now: Timestamp,
    deadline: Instant,
) -> Result<Campaign, QuotaError> {
    let call = call_by(now, deadline);
    giveaway.controls.end(&end(reason), &call).await
}

#[tokio::test]
async fn an_end_is_answered_once_every_lease_is_sealed_and_is_for_good() {
    with_database(async |database| {
        let (giveaway, issuance, stop) = Giveaway::fenced(&database.store).await;
        let campaign = giveaway.create("spring", &[100]).await;
        let now = open();
        let client = issuance.client().await;
        let reclaimer = reclaimer(&giveaway, &database.store, client);
        let lease = spend(&giveaway, &issuance, campaign.number, 2).await;
        issuance.state().is_away = true;
        let running = tokio::spawn(reclaimer.run(LONG_TTL, CancellationToken::new()));
        let soon = Instant::now() + Duration::from_millis(600);
        let ending = end_by(&giveaway, "no more cups", now, soon).await.unwrap();
        assert!(ending.is_over(now) && ending.ended_at.is_some());
        assert_eq!(ending.stock[0].leased, 5, "it is told as it is");
        assert_eq!(ending.revision, campaign.revision + 1);
        assert_eq!(ending.terms.opens_at, campaign.terms.opens_at);

        issuance.state().is_away = false;
        let ended = end_by(&giveaway, "another reason", now, later())
            .await
            .unwrap();
        assert_eq!(ended.ended_at, ending.ended_at);
        assert_eq!((ended.stock[0].free, ended.stock[0].settled), (98, 2));
        let because = sealed_because(&database, lease.lease_id).await;
        assert_eq!(because.as_deref(), Some("CLOSED"));
        let changes = recorded(&giveaway).await;
        assert_eq!(changes.len(), 2, "it was made, and ended once");
        assert_eq!(changes[0].change.action, "EndCampaign");
        assert_eq!(changes[0].change.reason, "no more cups");
        let fields = changes[0].change.fields.iter();
        let fields: Vec<_> = fields.map(|field| &*field.field).collect();
        assert_eq!(fields, ["closes_at", "ended_at"]);

        // Whatever a clock says, and whatever staff try.
        let behind = now - Duration::from_secs(60);
        let refused = giveaway
            .acquire_at(&request(campaign.number, &[], 1), behind)
            .await;
        assert!(
            matches!(refused, Err(QuotaError::CampaignClosed)),
            "{refused:?}"
        );
        let addition = BudgetAddition {
            campaign: campaign.terms.id.clone(),
            request_id: RequestId::parse("more").unwrap(),
            tier: campaign.terms.tiers[0].id.clone(),
            additional_stock: 1,
            reason: ChangeReason::parse("more cups").unwrap(),
        };
        let refused = giveaway
            .campaigns
            .add_budget(&addition, &call(behind))
            .await;
        assert!(
            matches!(refused, Err(QuotaError::CampaignClosed)),
            "{refused:?}"
        );
        let longer = UpdateRequest {
            campaign: campaign.terms.id.clone(),
            reason: None,
            wanted: CampaignUpdate {
                closes_at: Some(closed()),
                ..CampaignUpdate::default()
            },
        };
        let refused = giveaway.campaigns.update(longer, &call(behind)).await;
        assert!(
            matches!(refused, Err(QuotaError::CampaignClosed)),
            "{refused:?}"
        );
        let opened = giveaway
            .set(&wish("spring", IssuanceControl::Open, 0))
            .await;
        assert!(opened.unwrap().is_over(behind));
        // Its coupons go on.
        let valid_until = closed() + Duration::from_secs(3_600);
        let id = &campaign.terms.id;
        let extended = giveaway
            .controls
            .extend_validity(id, valid_until, &call(now))
            .await;
        assert_eq!(extended.unwrap().extended_valid_until, Some(valid_until));
        assert_eq!(
            giveaway.create("spring", &[100]).await.number,
            campaign.number
        );
        running.abort();
        stop.cancel();
    })
    .await;
}

#[tokio::test]
async fn a_campaign_that_has_not_opened_ends_without_having_been_open() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        let early = terms("spring", &[1]).opens_at - Duration::from_secs(3_600);
        let campaign = giveaway.create("spring", &[10]).await;
        let ended = end_by(&giveaway, "rain", early, later()).await.unwrap();
        let soon = early + Duration::from_secs(30);
        let terms = &ended.terms;
        assert!(terms.opens_at < terms.closes_at && terms.closes_at < soon);
        assert_eq!(ended.ended_at, Some(terms.closes_at));
        assert_eq!(giveaway.create("spring", &[10]).await, ended);
        let refused = giveaway
            .acquire_at(&request(campaign.number, &[], 1), early)
            .await;
        assert!(
            matches!(refused, Err(QuotaError::CampaignClosed)),
            "{refused:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn one_that_closed_by_itself_keeps_the_moment_at_which_it_did() {
    with_database(async |database| {
        let giveaway = Giveaway::new(&database.store);
        giveaway.create("spring", &[10]).await;
        let late = closed() + Duration::from_secs(60);
        let ended = end_by(&giveaway, "for the record", late, later())
            .await
            .unwrap();
        assert_eq!(ended.terms.closes_at, closed());
        assert!(ended.ended_at >= Some(late));
        let missing = EndRequest {
            campaign: CampaignId::parse("autumn").unwrap(),
            ..end("rain")
        };
        let missing = giveaway.controls.end(&missing, &call(open())).await;
        assert!(
            matches!(missing, Err(QuotaError::CampaignNotFound)),
            "{missing:?}"
        );
    })
    .await;
}
