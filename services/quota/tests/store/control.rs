//! What staff say of a campaign and its coupons, on a real PostgreSQL.

use std::time::{Duration, Instant};

use tidegate_quota::{
    control::ControlRequest,
    domain::{
        Availability, Control, IssuanceControl, IssuanceState, MAX_EXTENSION, RedemptionControl,
        RedemptionState, TierCounts,
    },
    error::QuotaError,
};
use tidegate_types::Timestamp;

use crate::giveaway::{Giveaway, call, call_by, closed, counts, later, open, request, wish};

const HALTED: IssuanceControl = IssuanceControl::Halted;

fn until(resume_at: Timestamp) -> ControlRequest {
    let mut halt = wish("spring", HALTED, 0);
    halt.wanted.resume_at = Some(resume_at);
    halt
}

#[tokio::test]
async fn a_control_is_kept_and_told_with_the_campaign() {
    let (giveaway, _issuance) = Giveaway::fenced().await;
    let before = giveaway.create("spring", &[10]).await;
    assert_eq!(before.control.epoch, 0);
    assert_eq!(before.control.reason, None);
    let mut halt = until(closed());
    halt.wanted.redemption = RedemptionControl::Halted;
    let after = giveaway.set(&halt).await.unwrap();
    let expected = Control {
        issuance: HALTED,
        redemption: RedemptionControl::Halted,
        reason: halt.wanted.reason,
        resume_at: Some(closed()),
        epoch: 1,
    };
    assert_eq!(after.control, expected);
    assert_eq!(after.revision, before.revision + 1);
    assert_eq!(after.issuance_state(), IssuanceState::Halted);
    assert_eq!(after.redemption_state(), RedemptionState::Halted);
    assert_eq!(giveaway.read("spring").await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_staff_with_one_epoch_one_is_told_of_the_other() {
    let (giveaway, _) = Giveaway::of(&[10]).await;
    for epoch in 0..10 {
        let halt = wish("spring", HALTED, epoch);
        let queue = wish("spring", IssuanceControl::QueueOnly, epoch);
        let (halted, queued) = tokio::join!(giveaway.set(&halt), giveaway.set(&queue));
        let ((Ok(_), refused) | (refused, Ok(_))) = (halted, queued) else {
            panic!("both were refused");
        };
        refused!(refused, QuotaError::ControlEpochConflict { epoch: there_is } if there_is == epoch + 1);
    }
    let refused = giveaway.set(&wish("autumn", HALTED, 0)).await;
    refused!(refused, QuotaError::CampaignNotFound);
}

#[tokio::test]
async fn nothing_is_granted_while_halted_and_what_was_granted_is_still_named() {
    let (giveaway, campaign) = Giveaway::of(&[100]).await;
    let asked = request(campaign.number, &[], 1);
    let granted = giveaway.acquire(&asked).await;
    giveaway.give_back(asked.lease_id, &[1]).await;
    let resume_at = open() + Duration::from_secs(60);
    giveaway.set(&until(resume_at)).await.unwrap();
    let other = request(campaign.number, &[], 1);
    let refused = giveaway.acquire_at(&other, open()).await;
    refused!(refused, QuotaError::IssuanceHalted { resume_at: Some(at) } if at == resume_at);
    // A resumption that is overdue is not promised any more.
    let refused = giveaway.acquire_at(&other, resume_at).await;
    refused!(refused, QuotaError::IssuanceHalted { resume_at: None });
    let again = giveaway.acquire(&asked).await;
    assert_eq!(again.granted, granted.granted);

    giveaway.wish("spring", IssuanceControl::Open, 1).await;
    assert_eq!(giveaway.acquire(&other).await.granted, counts(&[1]));
}

#[tokio::test]
async fn while_claims_queue_nothing_is_granted_and_nobody_is_turned_away_for_good() {
    let (giveaway, campaign) = Giveaway::of(&[100, 1]).await;
    let asked = request(campaign.number, &[1], 0);
    giveaway.acquire(&asked).await;
    let queued = giveaway.wish("spring", IssuanceControl::QueueOnly, 0).await;
    assert_eq!(queued.issuance_state(), IssuanceState::QueueOnly);
    let more = request(campaign.number, &[1, 1], 1);
    let nothing = giveaway.acquire(&more).await;
    assert_eq!(nothing.granted, TierCounts::default());
    assert_eq!(nothing.availability, Availability::Returning);
    assert_eq!(nothing.tier_availability, [Availability::Returning; 2]);
    assert_eq!(giveaway.acquire(&asked).await.granted, counts(&[1]));
}

#[tokio::test]
async fn a_halt_of_redeeming_reads_halting_until_issuance_has_it_and_a_late_fencer_undoes_nothing()
{
    let (giveaway, issuance) = Giveaway::fenced().await;
    let campaign = giveaway.create("spring", &[10]).await;
    let redeeming = |redemption, epoch| {
        let mut wish = wish("spring", IssuanceControl::Open, epoch);
        wish.wanted.redemption = redemption;
        wish
    };
    issuance.state().is_away = true;
    let soon = Instant::now() + Duration::from_millis(900);
    let halt = redeeming(RedemptionControl::Halted, 0);
    let halting = giveaway.set_by(&halt, soon).await.unwrap();
    assert_eq!(halting.redemption_state(), RedemptionState::Halting);
    issuance.state().is_away = false;
    // Asked again, and brought meanwhile by nobody's call.
    let halted = giveaway.set(&halt).await.unwrap();
    assert_eq!(halted.redemption_state(), RedemptionState::Halted);
    let resume = redeeming(RedemptionControl::Open, 1);
    let resumed = giveaway.set(&resume).await.unwrap();
    assert_eq!(resumed.redemption_state(), RedemptionState::Open);
    let kept = issuance.state().controls[&campaign.number.get()].clone();
    assert_eq!(kept.revision, resumed.revision);
    // Whoever is late notes nothing older.
    let mut work = giveaway.store.begin(later()).await.unwrap();
    let noted = work.mark_fenced(campaign.number, halted.revision).await;
    work.end(noted).await.unwrap();
    assert_eq!(giveaway.read("spring").await, resumed);
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[tokio::test]
async fn validity_is_extended_once_later_only_and_within_ten_years() {
    let (giveaway, _issuance) = Giveaway::fenced().await;
    let before = giveaway.create("spring", &[10]).await;
    assert_eq!(before.extended_valid_until, None);
    let extend = async |until, now| giveaway.extend(until, &call(now)).await;
    let extended = extend(closed() + DAY, open()).await.unwrap();
    assert_eq!(extended.extended_valid_until, Some(closed() + DAY));
    assert_eq!(extended.revision, before.revision + 1);
    // The same again changes nothing, also once that moment has passed.
    let again = extend(closed() + DAY, closed() + 2 * DAY).await;
    assert_eq!(again.unwrap(), extended);

    let longest = closed() + MAX_EXTENSION;
    for until in [open(), closed(), longest + Duration::from_micros(1)] {
        let refusal = extend(until, open()).await.unwrap_err().refusal();
        assert_eq!(refusal.unwrap().violations[0].field, "valid_until");
    }
    assert_eq!(giveaway.read("spring").await, extended);
    let later = extend(longest, open()).await.unwrap();
    assert_eq!(later.revision, extended.revision + 1);
}

#[tokio::test]
async fn an_extension_is_recorded_but_not_acknowledged_while_issuance_is_away() {
    let (giveaway, issuance) = Giveaway::fenced().await;
    giveaway.create("spring", &[10]).await;
    issuance.state().is_away = true;
    let soon = Instant::now() + Duration::from_secs(1);
    let until = closed() + DAY;
    let refused = giveaway.extend(until, &call_by(open(), soon)).await;
    refused!(refused, QuotaError::NotInForceYet);
    let read = giveaway.read("spring").await;
    assert_eq!(read.extended_valid_until, Some(until));
    issuance.state().is_away = false;
    let again = giveaway.extend(until, &call(open())).await.unwrap();
    let controls = issuance.state().controls.clone();
    assert_eq!(controls[&again.number.get()].revision, again.revision);
}
