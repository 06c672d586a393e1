use std::collections::BTreeSet;

use tidegate_auth::Identity;
use tidegate_issuance::shoppers::MAX_SHOPPER_STREAMS;
use tidegate_proto::issuance::v1::{StreamShoppersRequest, StreamShoppersResponse};
use tidegate_rpc::wire;
use tidegate_test_kit::{heard, until};
use tidegate_types::{Reason, ShopperId};
use tonic::Streaming;

use super::suite::{Issuance, claim_of, filled, quota::CAMPAIGN, serving};

async fn open(
    issuance: &Issuance,
    campaign_number: u32,
) -> Result<Streaming<StreamShoppersResponse>, Reason> {
    let request = StreamShoppersRequest { campaign_number };
    let mut client = issuance.issuance(Identity::Gateway);
    heard(client.stream_shoppers(request).await)
}

async fn read(mut pages: Streaming<StreamShoppersResponse>) -> BTreeSet<u64> {
    let mut hashes = BTreeSet::new();
    while let Some(page) = pages.message().await.unwrap() {
        hashes.extend(page.shopper_hashes);
    }
    hashes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shoppers_with_coupons_in_every_lane_are_streamed_and_nobody_else() {
    let (suite, issuance) = serving().await;
    let shoppers: Vec<_> = (0..40).map(|number| format!("s-{number}")).collect();
    for shopper in &shoppers {
        issuance.claim_in_the_end(shopper).await;
    }
    // Coupons of another campaign, many more than one page shows, lie between them. Most of their
    // shoppers have one of either: some pages end at the first of the two, and some at the second.
    const OF_BOTH: u32 = 20_000;
    suite.fill(CAMPAIGN - 1, 25_000).await;
    suite.fill(CAMPAIGN, OF_BOTH).await;
    let streamed = read(open(&issuance, CAMPAIGN).await.unwrap()).await;
    let filled = (1..=OF_BOTH).map(filled);
    let expected = shoppers.into_iter().chain(filled);
    let expected = expected.map(|id| ShopperId::parse(id).unwrap());
    let expected: BTreeSet<_> = expected.map(|id| wire::shopper_hash(&id)).collect();
    assert_eq!(streamed, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_shoppers_are_bounded_and_a_campaign_nobody_knows_has_none() {
    let (suite, issuance) = serving().await;
    for (campaign, reason) in [
        (CAMPAIGN + 1, Reason::CampaignNotFound),
        (0, Reason::InvalidField),
    ] {
        assert_eq!(open(&issuance, campaign).await.err(), Some(reason));
    }
    // More than an unread stream takes, so that none ends by itself.
    suite.fill(CAMPAIGN, 130_000).await;
    let mut streams = Vec::new();
    for _ in 0..MAX_SHOPPER_STREAMS {
        streams.push(open(&issuance, CAMPAIGN).await.unwrap());
    }
    let refused = open(&issuance, CAMPAIGN).await.err();
    assert_eq!(refused, Some(Reason::Overloaded));
    drop(streams);
    let makes_room = async || open(&issuance, CAMPAIGN).await.is_ok();
    until("a stream that has ended makes room", makes_room).await;
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
