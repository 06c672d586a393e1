//! Extending the validity of coupons, on a real PostgreSQL.

use std::time::{Duration, Instant};

use crate::giveaway::{Giveaway, call, call_by, closed, open};
use tidegate_quota::{
    domain::{Campaign, MAX_EXTENSION},
    error::QuotaError,
    staff::StaffCall,
};
use tidegate_types::{CampaignId, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn extend(
    giveaway: &Giveaway,
    valid_until: Timestamp,
    now: Timestamp,
) -> Result<Campaign, QuotaError> {
    extend_by(giveaway, valid_until, &call(now)).await
}

async fn extend_by(
    giveaway: &Giveaway,
    valid_until: Timestamp,
    call: &StaffCall,
) -> Result<Campaign, QuotaError> {
    let id = CampaignId::parse("spring").unwrap();
    let extending = giveaway.controls.extend_validity(&id, valid_until, call);
    extending.await
}

#[tokio::test]
async fn validity_is_extended_once_and_moved_later_only() {
    let (giveaway, _issuance) = Giveaway::fenced().await;
    let before = giveaway.create("spring", &[10]).await;
    assert_eq!(before.extended_valid_until, None);
    let extended = extend(&giveaway, closed() + DAY, open()).await.unwrap();
    assert_eq!(extended.extended_valid_until, Some(closed() + DAY));
    assert_eq!(extended.revision, before.revision + 1);
    // The same again changes nothing, also once that moment has passed.
    let again = extend(&giveaway, closed() + DAY, closed() + 2 * DAY).await;
    assert_eq!(again.unwrap(), extended);

    let refused = extend(&giveaway, closed(), open()).await;
    refused!(refused, QuotaError::InvalidFields(_));
    let later = extend(&giveaway, closed() + 2 * DAY, open()).await.unwrap();
    assert_eq!(later.revision, extended.revision + 1);
    assert_eq!(giveaway.read("spring").await, later);
}

#[tokio::test]
async fn validity_ends_in_the_future_and_within_ten_years() {
    let (giveaway, _issuance) = Giveaway::fenced().await;
    let before = giveaway.create("spring", &[10]).await;
    let longest = closed() + MAX_EXTENSION;
    for (valid_until, now) in [
        (open(), open()),
        (longest + Duration::from_micros(1), open()),
    ] {
        let refused = extend(&giveaway, valid_until, now).await.unwrap_err();
        let refusal = refused.refusal().unwrap();
        assert_eq!(refusal.violations[0].field, "valid_until");
    }
    assert_eq!(giveaway.read("spring").await, before);
    assert!(extend(&giveaway, longest, open()).await.is_ok());
}

#[tokio::test]
async fn an_extension_is_recorded_but_not_acknowledged_while_issuance_is_away() {
    let (giveaway, issuance) = Giveaway::fenced().await;
    giveaway.create("spring", &[10]).await;
    issuance.state().is_away = true;
    let soon = Instant::now() + Duration::from_secs(1);
    let until = closed() + DAY;
    let refused = extend_by(&giveaway, until, &call_by(open(), soon)).await;
    refused!(refused, QuotaError::NotInForceYet);
    let read = giveaway.read("spring").await;
    assert_eq!(read.extended_valid_until, Some(until));
    issuance.state().is_away = false;
    let again = extend(&giveaway, until, open()).await.unwrap();
    let controls = issuance.state().controls.clone();
    assert_eq!(controls[&again.number.get()].revision, again.revision);
}
