use std::collections::BTreeSet;

use tidegate_auth::Identity;
use tidegate_issuance::shoppers::MAX_SHOPPER_STREAMS;
use tidegate_proto::issuance::v1::{StreamShoppersRequest, StreamShoppersResponse};
use tidegate_rpc::{refusal::reason_of, wire};
use tidegate_types::{Reason, ShopperId};
use tonic::{Status, Streaming};

use super::suite::{Issuance, Suite, claim_of, eventually, quota::CAMPAIGN, serving};

async fn open(
    issuance: &Issuance,
    campaign_number: u32,
) -> Result<Streaming<StreamShoppersResponse>, Status> {
    let request = StreamShoppersRequest { campaign_number };
    let mut client = issuance.issuance(Identity::Gateway);
    Ok(client.stream_shoppers(request).await?.into_inner())
}

async fn read(mut pages: Streaming<StreamShoppersResponse>) -> BTreeSet<u64> {
    let mut hashes = BTreeSet::new();
    while let Some(page) = pages.message().await.unwrap() {
        hashes.extend(page.shopper_hashes);
    }
    hashes
}

/// Coupons of a campaign that never were claimed, so many in each lane.
async fn fill(suite: &Suite, campaign_number: u32, coupons: u32) {
    let rows = format!(
        "INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
         SELECT lane, 's-' || number, {campaign_number}, 1, 'r', 0, '00000000-0000-7000-8000-000000000001', 1, now(), now()
         FROM generate_series(0, 1) AS lane, generate_series(1, {coupons}) AS number"
    );
    suite.database.run(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shoppers_with_coupons_in_every_lane_are_streamed_and_nobody_else() {
    let (suite, issuance) = serving().await;
    let shoppers: Vec<_> = (0..40).map(|number| format!("s-{number}")).collect();
    for shopper in &shoppers {
        issuance.claim_in_the_end(shopper).await;
    }
    // Coupons of another campaign, many more than one page shows, lie between them.
    fill(&suite, 99, 25_000).await;
    let streamed = read(open(&issuance, CAMPAIGN).await.unwrap()).await;
    let expected = shoppers.iter().map(|id| ShopperId::parse(id).unwrap());
    let expected: BTreeSet<_> = expected.map(|id| wire::shopper_hash(&id)).collect();
    assert_eq!(streamed, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_shoppers_are_bounded_and_a_campaign_nobody_knows_has_none() {
    let (suite, issuance) = serving().await;
    let unknown = open(&issuance, CAMPAIGN + 1).await.unwrap_err();
    assert_eq!(reason_of(&unknown), Some(Reason::CampaignNotFound));
    let bad = open(&issuance, 0).await.unwrap_err();
    assert_eq!(reason_of(&bad), Some(Reason::InvalidField));
    // More than an unread stream takes, so that none ends by itself.
    fill(&suite, CAMPAIGN, 130_000).await;
    let mut streams = Vec::new();
    for _ in 0..MAX_SHOPPER_STREAMS {
        streams.push(open(&issuance, CAMPAIGN).await.unwrap());
    }
    let refused = open(&issuance, CAMPAIGN).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::Overloaded));
    drop(streams);
    eventually("a stream that has ended makes room", async || {
        open(&issuance, CAMPAIGN).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_tells_how_long_its_claims_waited_and_nothing_if_none_came_to_the_queue() {
    let (_suite, issuance) = serving().await;
    issuance.claim_in_the_end("ann").await;
    let replay = issuance.issue(vec![claim_of("ann")]).await;
    assert!(replay.queue_delay.is_some());
    let nobody = issuance.issue(vec![claim_of("not a shopper")]).await;
    assert_eq!(nobody.queue_delay, None, "{nobody:?}");
}
