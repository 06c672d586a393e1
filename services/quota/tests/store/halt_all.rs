//! Halting every campaign at once, on a real PostgreSQL and with an issuance behind gRPC.

use std::time::{Duration, Instant};

use crate::changes::recorded;
use crate::giveaway::{Giveaway, call, call_by, closed, later, open, request, terms, wish};
use crate::reclaim::{reclaimer, reclaiming, run, spend};
use tidegate_quota::{
    control::{self, EndRequest, MAX_HALTED},
    domain::{Halt, IssuanceControl, IssuanceState, RedemptionState, Standing},
    error::QuotaError,
};
use tidegate_types::{CampaignId, ChangeReason, Timestamp};

fn halt(with_redemption: bool) -> Halt {
    Halt {
        reason: ChangeReason::parse("the shops are overrun").unwrap(),
        with_redemption,
        resume_at: Some(closed()),
    }
}

async fn halt_by(
    giveaway: &Giveaway,
    halt: &Halt,
    now: Timestamp,
    deadline: Instant,
) -> control::Halted {
    let call = call_by(now, deadline);
    giveaway.controls.halt_all(halt, &call).await.unwrap()
}

fn ids(halted: &control::Halted) -> Vec<&str> {
    let campaigns = halted.campaigns.iter();
    campaigns.map(|standing| standing.id.as_str()).collect()
}

fn states(halted: &control::Halted) -> Vec<IssuanceState> {
    let campaigns = halted.campaigns.iter();
    campaigns.map(Standing::issuance_state).collect()
}

#[tokio::test]
async fn a_halt_of_all_is_told_once_every_lease_is_sealed() {
    let giveaway = Giveaway::start().await;
    let (issuance, reclaimer) = reclaiming(&giveaway).await;
    let first = giveaway.create("first", &[100]).await;
    giveaway.create("second", &[100]).await;
    let third = giveaway.create("third", &[100]).await;
    let ended = giveaway.create("ended", &[100]).await;
    let end = EndRequest {
        campaign: ended.terms.id,
        reason: halt(false).reason,
    };
    giveaway.controls.end(&end, &call(open())).await.unwrap();
    let mut over = terms("over", &[100]);
    over.closes_at = over.opens_at + Duration::from_secs(1);
    giveaway.make(&over).await.unwrap();
    giveaway.wish("second", IssuanceControl::QueueOnly, 0).await;
    for campaign in [first.number, third.number] {
        spend(&giveaway, &issuance, campaign, 2).await;
    }
    let before = recorded(&giveaway).await.len();

    issuance.state().is_away = true;
    run(reclaimer);
    let soon = Instant::now() + Duration::from_millis(700);
    let halting = halt_by(&giveaway, &halt(false), open(), soon).await;
    assert!(Instant::now() < soon);
    assert_eq!(ids(&halting), ["first", "second", "third"]);
    use IssuanceState::{Halted, Halting};
    assert_eq!(states(&halting), [Halting, Halted, Halting]);
    assert!(!halting.is_all);
    for campaign in [first.number, third.number] {
        let refused = giveaway.acquire_one(campaign, open()).await;
        refused!(refused, QuotaError::IssuanceHalted { .. });
    }

    issuance.state().is_away = false;
    let halted = halt_by(&giveaway, &halt(false), open(), later()).await;
    assert!(halted.is_all);
    assert_eq!(states(&halted), [Halted; 3]);
    let epochs = halted.campaigns.iter().map(|told| told.control.epoch);
    let epochs: Vec<_> = epochs.collect();
    assert_eq!(epochs, [1, 2, 1], "the same halt again changes nothing");
    for standing in &halted.campaigns {
        assert_eq!(standing.control.reason, Some(halt(false).reason));
        assert_eq!(standing.control.resume_at, Some(closed()));
        assert_eq!(standing.redemption_state(), RedemptionState::Open);
    }
    let changes = recorded(&giveaway).await;
    let of_each = changes.len() - before;
    assert_eq!(of_each, 3, "one change for each campaign, once");
    let change = &changes[1].change;
    let what = (&*change.action, &*change.resource_id);
    assert_eq!(what, ("HaltAllCampaigns", "second"));
    assert_eq!(change.reason, "the shops are overrun");
    let field = &change.fields[0];
    assert_eq!((&*field.before, &*field.after), ("QUEUE_ONLY", "HALTED"));

    // Each is opened again by itself, by the epoch that the halt told.
    let opened = giveaway.wish("first", IssuanceControl::Open, 1).await;
    assert_eq!(opened.issuance_state(), IssuanceState::Open);
}

#[tokio::test]
async fn a_halt_of_redeeming_is_told_once_issuance_has_it_for_every_campaign() {
    let (giveaway, issuance) = Giveaway::fenced().await;
    for id in ["first", "second"] {
        giveaway.create(id, &[100]).await;
    }
    issuance.state().is_away = true;
    let soon = Instant::now() + Duration::from_millis(900);
    let halting = halt_by(&giveaway, &halt(true), open(), soon).await;
    assert!(!halting.is_all);
    for standing in &halting.campaigns {
        assert_eq!(standing.issuance_state(), IssuanceState::Halted);
        assert_eq!(standing.redemption_state(), RedemptionState::Halting);
    }
    issuance.state().is_away = false;
    let halted = halt_by(&giveaway, &halt(true), open(), later()).await;
    assert!(halted.is_all);
    assert_eq!(issuance.state().controls.len(), 2);
    // A halt of issuing leaves redeeming as it is.
    let halted = halt_by(&giveaway, &halt(false), open(), later()).await;
    let states = halted.campaigns.iter().map(Standing::redemption_state);
    assert_eq!(states.collect::<Vec<_>>(), [RedemptionState::Halted; 2]);
    assert_eq!(recorded(&giveaway).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn halts_of_all_and_whatever_else_happens_to_campaigns_do_not_wait_in_a_circle() {
    const CAMPAIGNS: usize = 8;
    let (giveaway, issuance) = Giveaway::fenced().await;
    run(reclaimer(&giveaway, issuance.client().await));
    let mut campaigns = Vec::new();
    for place in 0..CAMPAIGNS {
        let made = giveaway.create(&format!("c-{place}"), &[50, 50, 50]).await;
        campaigns.push(made.number);
    }
    let others: Vec<_> = (0..CAMPAIGNS)
        .map(|place| {
            let (giveaway, campaign) = (giveaway.clone(), campaigns[place]);
            tokio::spawn(async move {
                for _ in 0..10 {
                    let asked = request(campaign, &[], 1);
                    match giveaway.acquire_at(&asked, open()).await {
                        Ok(_) | Err(QuotaError::IssuanceHalted { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    let id = CampaignId::parse(format!("c-{place}")).unwrap();
                    let epoch = giveaway.campaigns.get(&id).await.unwrap().control.epoch;
                    let opened = wish(id.as_str(), IssuanceControl::Open, epoch);
                    match giveaway.set(&opened).await {
                        Ok(_) | Err(QuotaError::ControlEpochConflict { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        })
        .collect();
    let halts = [halt(false), halt(true)].map(|halt| {
        let giveaway = giveaway.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                let soon = Instant::now() + Duration::from_millis(400);
                let call = call_by(open(), soon);
                giveaway.controls.halt_all(&halt, &call).await.unwrap();
            }
        })
    });
    for task in others.into_iter().chain(halts) {
        task.await.unwrap();
    }
    let halted = halt_by(&giveaway, &halt(false), open(), later()).await;
    assert_eq!(states(&halted), [IssuanceState::Halted; CAMPAIGNS]);
    for place in 0..CAMPAIGNS {
        for tier in giveaway.read(&format!("c-{place}")).await.stock {
            assert_eq!((tier.stock(), tier.leased), (50, 0));
        }
    }
}

#[tokio::test]
async fn beyond_the_bound_nothing_is_said_to_be_all_halted_and_the_next_are_taken_in() {
    let giveaway = Giveaway::start().await;
    giveaway.create("first", &[10]).await;
    let copies = format!(
        "
        WITH made AS (
            INSERT INTO campaigns (campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, created_at)
            SELECT 'copy-' || copy, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, created_at
            FROM campaigns CROSS JOIN generate_series(1, {MAX_HALTED}) AS copy
            RETURNING campaign_number
        )
        INSERT INTO tiers (campaign_number, tier_number, tier_id, face_value_minor_units, initial_stock, stock, free, leased, settled)
        SELECT campaign_number, 0, 'cup', 100, 10, 10, 10, 0, 0 FROM made"
    );
    giveaway.database.execute(&copies).await;
    let halted = "campaigns WHERE issuance_control = 'HALTED'";
    for expected in [MAX_HALTED, MAX_HALTED + 1] {
        let told = halt_by(&giveaway, &halt(false), open(), later()).await;
        assert_eq!(told.campaigns.len(), MAX_HALTED as usize);
        assert!(!told.is_all);
        let halted = giveaway.database.count(halted).await;
        assert_eq!(halted, expected);
    }
}
