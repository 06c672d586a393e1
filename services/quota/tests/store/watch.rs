//! Watch streams on a real PostgreSQL.

use std::time::Duration;

use crate::giveaway::{Giveaway, call, request, terms};
use tidegate_quota::{
    domain::{Campaign, CampaignTerms, WantedCampaigns},
    watch::{Event, Subscription, Watch},
};
use tidegate_types::{CampaignId, Timestamp};
use tokio_util::sync::CancellationToken;

/// Makes a campaign that ended this long ago, or ends this long from now, and whose coupons end soon after.
async fn create(giveaway: &Giveaway, id: &str, ends_in: time::Duration) -> Campaign {
    create_valid_for(giveaway, id, ends_in, Duration::from_secs(60)).await
}

async fn create_valid_for(
    giveaway: &Giveaway,
    id: &str,
    ends_in: time::Duration,
    coupon_validity: Duration,
) -> Campaign {
    let now = Timestamp::now_utc().replace_nanosecond(0).unwrap();
    let closes_at = now + ends_in;
    let terms = CampaignTerms {
        coupon_validity,
        closes_at,
        opens_at: closes_at - Duration::from_secs(1),
        ..terms(id, &[100])
    };
    let made = giveaway.campaigns.create(&terms, None, &call(now)).await;
    made.unwrap()
}

/// The ids told until `synced`.
async fn picture(stream: &mut Subscription) -> Vec<String> {
    let mut ids = Vec::new();
    while let Event::Campaign(campaign) = stream.next().await.unwrap() {
        ids.push(campaign.terms.id.to_string());
    }
    ids
}

async fn changed(stream: &mut Subscription) -> Campaign {
    match stream.next().await.unwrap() {
        Event::Campaign(campaign) => Campaign::clone(&campaign),
        Event::Synced => panic!("a stream is synced once"),
    }
}

fn watch(giveaway: &Giveaway) -> Watch {
    let store = giveaway.store.clone();
    let (watch, poller) = Watch::new(store, CancellationToken::new());
    tokio::spawn(poller);
    watch
}

#[tokio::test]
async fn a_stream_begins_with_everything_made_before_it_and_then_is_synced() {
    let giveaway = Giveaway::start().await;
    let watch = watch(&giveaway);
    create(&giveaway, "ended-long-ago", time::Duration::hours(-25)).await;
    create(&giveaway, "ended", time::Duration::hours(-23)).await;
    for id in ["a", "b", "c"] {
        create(&giveaway, id, time::Duration::hours(1)).await;
        // Whatever the poller read last, a new stream knows what was committed before it.
        let told = picture(&mut watch.subscribe().unwrap()).await;
        assert_eq!(told.last().unwrap(), id);
    }
    let told = picture(&mut watch.subscribe().unwrap()).await;
    assert_eq!(told, ["ended", "a", "b", "c"]);
}

#[tokio::test]
async fn an_ended_campaign_is_watched_as_long_as_its_coupons_can_be_used() {
    let (giveaway, _issuance) = Giveaway::fenced().await;
    let ended = -time::Duration::days(10);
    let week = Duration::from_secs(7 * 24 * 3_600);
    create_valid_for(&giveaway, "used-up", ended, week).await;
    create_valid_for(&giveaway, "usable", ended, 2 * week).await;
    let watch = watch(&giveaway);
    let told = picture(&mut watch.subscribe().unwrap()).await;
    assert_eq!(told, ["usable"]);
    let wanted = WantedCampaigns {
        ids: ["used-up", "never-made"]
            .map(|id| CampaignId::parse(id).unwrap())
            .into(),
        numbers: Vec::new(),
    };
    let found = giveaway.campaigns.lookup(&wanted).await.unwrap();
    assert_eq!(found.campaigns[0].terms.id.as_str(), "used-up");
    assert_eq!(found.unknown.ids[0].as_str(), "never-made");

    let now = Timestamp::now_utc().replace_nanosecond(0).unwrap();
    let id = &found.campaigns[0].terms.id;
    let call = call(now);
    let extended = giveaway.controls.extend_validity(id, now + week, &call);
    extended.await.unwrap();
    let told = picture(&mut watch.subscribe().unwrap()).await;
    assert_eq!(told, ["used-up", "usable"]);
}

#[tokio::test]
async fn changes_made_through_another_replica_are_told_and_nothing_else() {
    let giveaway = Giveaway::start().await;
    let spring = create(&giveaway, "spring", time::Duration::hours(1)).await;
    let summer = create(&giveaway, "summer", time::Duration::hours(1)).await;
    let mut stream = watch(&giveaway).subscribe().unwrap();
    picture(&mut stream).await;

    let asked = request(summer.number, &[], 5);
    let opened = spring.terms.opens_at;
    giveaway.acquire_at(&asked, opened).await.unwrap();
    let told = changed(&mut stream).await;
    assert_eq!((told.number, told.stock[0].leased), (summer.number, 5));
    assert_eq!(told.revision, summer.revision);

    create(&giveaway, "autumn", time::Duration::hours(1)).await;
    assert_eq!(changed(&mut stream).await.terms.id.as_str(), "autumn");
}

#[tokio::test]
async fn a_slow_stream_skips_to_the_newest() {
    let giveaway = Giveaway::start().await;
    let campaign = create(&giveaway, "spring", time::Duration::hours(1)).await;
    let watch = watch(&giveaway);
    let (mut slow, mut fast) = (watch.subscribe().unwrap(), watch.subscribe().unwrap());
    picture(&mut slow).await;
    picture(&mut fast).await;
    for leased in 1..=3 {
        let opened = campaign.terms.opens_at;
        giveaway.acquire_one(campaign.number, opened).await.unwrap();
        assert_eq!(changed(&mut fast).await.stock[0].leased, leased);
    }
    assert_eq!(changed(&mut slow).await.stock[0].leased, 3);
}

#[tokio::test]
async fn a_stream_outlives_lost_connections() {
    let giveaway = Giveaway::start().await;
    let campaign = create(&giveaway, "spring", time::Duration::hours(1)).await;
    let mut stream = watch(&giveaway).subscribe().unwrap();
    picture(&mut stream).await;
    for _ in 0..3 {
        giveaway.database.lose_connections().await;
    }
    let opened = campaign.terms.opens_at;
    giveaway.acquire_one(campaign.number, opened).await.unwrap();
    assert_eq!(changed(&mut stream).await.stock[0].leased, 1);
}

#[tokio::test]
async fn streams_end_when_the_process_stops() {
    let giveaway = Giveaway::start().await;
    let stop = CancellationToken::new();
    let (watch, poller) = Watch::new(giveaway.store.clone(), stop.clone());
    let poller = tokio::spawn(poller);
    let mut stream = watch.subscribe().unwrap();
    assert_eq!(stream.next().await, Some(Event::Synced));
    stop.cancel();
    assert_eq!(stream.next().await, None);
    poller.await.unwrap();
}
