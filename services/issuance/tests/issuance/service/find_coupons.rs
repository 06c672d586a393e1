//! Coupons as staff find them.

use std::{collections::BTreeMap, time::Duration};

use tidegate_issuance::coupon_search::MAX_SEARCHES;
use tidegate_proto::{
    issuance::v1::*,
    r#type::v1::{CouponState, Reason},
};
use tidegate_rpc::{refusal::reason_of, wire};
use tidegate_types::{Reason as Refused, Timestamp};
use tokio::time::sleep;
use tonic::Status;

use super::{
    coupon_keys::{ACTIVE, metric_is},
    suite::{Issuance, LANES, Suite, lane_of, quota::CAMPAIGN, serving},
};

/// Too short for a search to be finished in one call.
const SHORT: Duration = Duration::from_millis(200);

fn asked(shopper_id: &str, coupon_code: &str, code_ending: &str) -> FindCouponsRequest {
    FindCouponsRequest {
        shopper_id: shopper_id.to_owned(),
        coupon_code: coupon_code.to_owned(),
        code_ending: code_ending.to_owned(),
        page_token: String::new(),
    }
}

/// What is told within [`SHORT`].
async fn find_in_short(
    (suite, issuance): (&Suite, &Issuance),
    request: FindCouponsRequest,
) -> Result<FindCouponsResponse, Status> {
    let mut request = suite.staff(issuance).request(request);
    request.set_timeout(SHORT);
    let found = issuance.coupon_admin().find_coupons(request).await?;
    Ok(found.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_found_with_its_shopper_and_without() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    let mut codes = BTreeMap::new();
    for number in 0..20 {
        let shopper = format!("s-{number}");
        let code = issuance.code(&shopper).await;
        codes.insert(shopper, code);
    }
    // Coupons of another campaign lie between them.
    suite.fill(CAMPAIGN + 1, 3_000).await;
    for (shopper, code) in &codes {
        let known = staff.find(asked(shopper, code, "")).await.unwrap();
        assert_eq!((known.coupons.len(), known.coupons_tried), (1, 1));
        let typed = format!(" {}-{}", &code[..8].to_lowercase(), &code[8..]);
        let found = staff.find(asked("", &typed, "")).await.unwrap();
        assert_eq!(found.coupons, known.coupons, "of whomever");
        assert!((1..=20).contains(&found.coupons_tried), "{found:?}");
        assert!(found.next_page_token.is_empty() && known.next_page_token.is_empty());
        let coupon = &found.coupons[0];
        assert_eq!(&coupon.shopper_id, shopper);
        assert_eq!(&coupon.coupon.as_ref().unwrap().code, code);
        assert_eq!((&*coupon.request_id, &*coupon.revoked_because), ("r-1", ""));
    }
    let code = &codes["s-7"];
    staff.revoke("s-7", code, "by mistake").await.unwrap();
    for request in [
        asked("s-7", code, ""),
        asked("", code, ""),
        asked("s-7", "", ""),
    ] {
        let found = staff.find(request).await.unwrap().coupons;
        assert_eq!(found[0].revoked_because, "by mistake");
        let state = found[0].coupon.as_ref().unwrap().state();
        assert_eq!(state, CouponState::Revoked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_stops_near_its_deadline_and_goes_on_until_all_coupons_were_tried() {
    const COUPONS: u32 = 20_000;
    let (suite, issuance) = serving().await;
    let code = issuance.code("s-1").await;
    suite.fill(CAMPAIGN, COUPONS).await;
    let at = (&suite, &issuance);
    // Looks for the code in calls that are too short for it; what was found, tried and called.
    let search = async || {
        let (mut request, mut tried, mut calls) = (asked("", &code, ""), 0, 0);
        loop {
            // Whoever hears how far a search came was answered in time.
            let found = find_in_short(at, request.clone()).await.unwrap();
            (tried, calls) = (tried + found.coupons_tried, calls + 1);
            if found.next_page_token.is_empty() {
                return (found.coupons, tried, calls);
            }
            assert!(found.coupons.is_empty());
            request.page_token = found.next_page_token;
        }
    };
    let (found, tried, _) = search().await;
    assert_eq!(found[0].shopper_id, "s-1");
    let all = u64::from(COUPONS) * u64::from(LANES);
    assert!((1..=all + 1).contains(&tried), "{tried}");
    let lost = "DELETE FROM coupons WHERE shopper_id = 's-1'";
    suite.database.execute(lost).await;
    let (found, tried, calls) = search().await;
    assert!(found.is_empty());
    assert_eq!(tried, all);
    assert!(calls > 1, "{calls} calls for {tried} coupons");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_cannot_exist_is_not_found_and_one_without_its_key_is_not_called_false() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    let code = issuance.code("ann").await;
    // No code; of campaign 0; of a campaign that quota does not know.
    let unknown = format!("000G{}", &code[4..]);
    for impossible in ["no code", "000000000C000000", &unknown] {
        let refused = staff.find(asked("", impossible, "")).await.unwrap_err();
        assert_eq!(refused, Refused::CouponNotFound, "{impossible}");
    }
    let of_bob = staff.find(asked("bob", &code, "")).await.unwrap_err();
    assert_eq!(of_bob, Refused::CouponNotFound);
    suite.write_keys(2, &[2]);
    metric_is(&issuance, ACTIVE, 2).await;
    for request in [
        asked("", &code, ""),
        asked("ann", &code, ""),
        asked("ann", "", &code[14..]),
    ] {
        let refused = staff.find(request).await.unwrap_err();
        assert_eq!(refused, Refused::CouponKeyMissing);
    }
    // Without a code the coupon is there all the same.
    let found = staff.find(asked("ann", "", "")).await.unwrap().coupons;
    let coupon = found[0].coupon.clone().unwrap();
    assert_eq!(coupon.code, "");
    assert_eq!(coupon.code_missing_because(), Reason::CouponKeyMissing);
}

/// An issuance without quota, and 100 coupons of ann's of each of these campaigns, whose terms are those of
/// `CAMPAIGN`; `issued_at` and `key_id` are SQL that knows the campaign and the slot.
async fn with_coupons_of_ann(
    suite: &Suite,
    campaigns: std::ops::RangeInclusive<u32>,
    (issued_at, key_id): (&str, &str),
) -> Issuance {
    suite.issuance().await.stop().await;
    let (first, last, lane) = (campaigns.start(), campaigns.end(), lane_of("ann"));
    let rows = format!(
        "INSERT INTO campaigns (campaign_number, campaign_id, currency_code, limit_per_shopper, opens_at, closes_at, coupon_validity_seconds, revision, tier_ids, tier_face_values_minor_units)
         SELECT campaign, 'c-' || campaign, currency_code, 100, opens_at, closes_at, coupon_validity_seconds, revision, tier_ids, tier_face_values_minor_units
         FROM campaigns, generate_series({first}, {last}) AS campaign WHERE campaign <> {CAMPAIGN};
         INSERT INTO coupons (lane, shopper_id, campaign_number, slot, request_id, tier_number, lease_id, key_id, issued_at, valid_until)
         SELECT {lane}, 'ann', campaign, slot, 'r-' || slot, 0, '00000000-0000-7000-8000-000000000001', {key_id}, {issued_at}, now() + interval '1 day'
         FROM generate_series({first}, {last}) AS campaign, generate_series(1, 100) AS slot"
    );
    suite.database.execute(&rows).await;
    suite.issuance_without_quota().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shoppers_coupons_are_found_newest_first_100_at_a_time_or_by_their_endings() {
    let suite = Suite::start().await;
    // The later ones are of the older campaign.
    let issued_at =
        "now() - make_interval(secs => 1000 - slot - CASE campaign WHEN 7 THEN 500 ELSE 0 END)";
    let issuance = with_coupons_of_ann(&suite, CAMPAIGN..=8, (issued_at, "1")).await;
    let staff = suite.staff(&issuance);
    let mut request = asked("ann", "", "");
    let mut all = Vec::new();
    for (campaign_id, is_last) in [("spring", false), ("c-8", false), ("", true)] {
        let page = staff.find(request.clone()).await.unwrap();
        assert_eq!(page.coupons_tried, page.coupons.len() as u64);
        assert_eq!(page.next_page_token.is_empty(), is_last);
        assert_eq!(page.coupons.len(), if is_last { 0 } else { 100 });
        for found in &page.coupons {
            assert_eq!(found.coupon.as_ref().unwrap().campaign_id, campaign_id);
        }
        all.extend(page.coupons);
        request.page_token = page.next_page_token;
    }
    let issued_at = |found: &FoundCoupon| {
        let issued_at = found.coupon.as_ref()?.issued_at?;
        wire::moment(issued_at)
    };
    let moments: Option<Vec<Timestamp>> = all.iter().map(issued_at).collect();
    assert!(moments.unwrap().is_sorted_by(|newer, older| newer > older));
    // The oldest of all lies on the second page, and is found in one call.
    let oldest = all.last().unwrap();
    let code = oldest.coupon.clone().unwrap().code;
    let typed = format!("{}- {}", &code[10..13], &code[13..]).to_lowercase();
    let found = staff.find(asked("ann", "", &typed)).await.unwrap();
    assert_eq!(found.coupons, std::slice::from_ref(oldest));
    assert_eq!(found.coupons_tried, 200);
    let two = &code[14..];
    let found = staff.find(asked("ann", "", two)).await.unwrap();
    assert!(!found.coupons.is_empty());
    for found in found.coupons {
        assert!(found.coupon.unwrap().code.ends_with(two));
    }
    let nobodys = staff.find(asked("bob", "", two)).await.unwrap();
    assert_eq!(nobodys, FindCouponsResponse::default());
    let refused = staff.find(asked("ann", "", &code[15..])).await.unwrap_err();
    assert_eq!(refused, Refused::InvalidField);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_key_keeps_no_search_by_an_ending_from_the_coupons_behind_it() {
    let suite = Suite::start().await;
    // The key of the newest is not there.
    let issued_at = "now() + make_interval(secs => campaign * 100 + slot)";
    let key_id = "CASE WHEN campaign = 1100 AND slot = 100 THEN 5 ELSE 1 END";
    let issuance = with_coupons_of_ann(&suite, 1_001..=1_100, (issued_at, key_id)).await;
    let at = (&suite, &issuance);
    // Nobody's, as good as certainly.
    let (mut request, mut tried, mut calls) = (asked("ann", "", "00000000"), 0, 0);
    loop {
        calls += 1;
        match find_in_short(at, request.clone()).await {
            Ok(found) => {
                assert!(found.coupons.is_empty(), "{found:?}");
                assert!(!found.next_page_token.is_empty(), "one cannot be told");
                tried += found.coupons_tried;
                request.page_token = found.next_page_token;
            }
            Err(refused) => match reason_of(&refused) {
                Some(Refused::CouponKeyMissing) => break,
                // A machine that is busy may be late with its answer.
                None | Some(Refused::Overloaded) => {}
                other => panic!("{other:?}"),
            },
        }
    }
    assert!(calls > 1 && tried >= 100, "{calls} calls for {tried}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_bounded_and_claims_go_on_meanwhile() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    let code = issuance.code("s-1").await;
    suite.fill(CAMPAIGN, 100_000).await;
    let lost = "DELETE FROM coupons WHERE shopper_id = 's-1'";
    suite.database.execute(lost).await;
    let searching = async || {
        let searches = (0..MAX_SEARCHES).map(|_| staff.find(asked("", &code, "")));
        futures_util::future::join_all(searches).await
    };
    let others = async || {
        sleep(Duration::from_millis(100)).await;
        let refused = staff.find(asked("", &code, "")).await.unwrap_err();
        assert_eq!(refused, Refused::Overloaded);
        issuance.claim_in_the_end("s-2").await;
        // Whoever names the shopper tries nothing, and needs no place.
        let known = staff.find(asked("s-2", "", "")).await.unwrap();
        assert_eq!(known.coupons.len(), 1);
    };
    let (searched, ()) = tokio::join!(searching(), others());
    for searched in searched {
        assert!(searched.unwrap().coupons_tried > 0);
    }
    staff.find(asked("", &code, "")).await.unwrap();
}
