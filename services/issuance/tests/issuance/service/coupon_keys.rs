//! Codes of coupons, keys of theirs that change, and keys that are missing.

use tidegate_auth::Identity;
use tidegate_proto::issuance::v1::*;
use tidegate_test_kit::{heard, until};
use tidegate_types::Reason as Refused;

use super::suite::{Issuance, new_order, serving};

pub async fn metric_is(issuance: &Issuance, name: &str, value: u64) {
    until(name, async || issuance.metric(name) == value).await;
}

/// The key that makes new codes.
pub const ACTIVE: &str = "tidegate_coupon_key_active";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_change_are_read_again_and_a_bad_file_keeps_those_from_before() {
    let (suite, issuance) = serving().await;
    let of_ann = issuance.code("ann").await;
    metric_is(&issuance, ACTIVE, 1).await;
    suite.write_keys(2, &[1, 2]);
    metric_is(&issuance, ACTIVE, 2).await;
    let known = "tidegate_coupon_keys_known{key_id=\"2\"}";
    assert_eq!(issuance.metric(known), 1);
    let of_bob = issuance.code("bob").await;
    let usable = "tidegate_coupon_keys_file_usable";
    for broken in ["{", r#"{"active":3,"keys":{}}"#] {
        suite.write_keys_file(broken);
        metric_is(&issuance, usable, 0).await;
        assert!(issuance.check("ann", &of_ann).await.usable);
        assert!(issuance.check("bob", &of_bob).await.usable);
        suite.write_keys(2, &[2, 1]);
        metric_is(&issuance, usable, 1).await;
    }
    // Bob's code was made with the new key: without the old one it is as good.
    suite.write_keys(2, &[2]);
    metric_is(&issuance, "tidegate_coupon_keys_known{key_id=\"1\"}", 0).await;
    assert!(issuance.check("bob", &of_bob).await.usable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_key_a_coupon_is_not_revoked_and_is_given_back_by_its_order_alone() {
    let (suite, issuance) = serving().await;
    let (of_ann, of_bob) = (issuance.code("ann").await, issuance.code("bob").await);
    let order = new_order();
    issuance.redeem("bob", &of_bob, &order).await.unwrap();
    suite.write_keys(2, &[2]);
    metric_is(&issuance, ACTIVE, 2).await;
    let staff = suite.staff(&issuance);
    let refused = staff.revoke("ann", &of_ann, "by mistake").await;
    assert_eq!(refused.unwrap_err(), Refused::CouponKeyMissing);
    assert!(!issuance.release("bob", &of_bob, &new_order()).await);
    assert!(issuance.release("bob", &of_bob, &order).await);
}

fn items(codes: &[(&str, &str)]) -> Vec<CodeOfShopper> {
    let items = codes.iter().map(|(shopper_id, code)| CodeOfShopper {
        shopper_id: shopper_id.to_string(),
        coupon_code: code.to_string(),
    });
    items.collect()
}

impl Issuance {
    /// Which codes are true for their shoppers.
    pub async fn verify(&self, codes: &[(&str, &str)]) -> Result<VerifyCodesResponse, Refused> {
        let request = VerifyCodesRequest {
            items: items(codes),
        };
        let mut client = self.issuance(Identity::OrderIntake);
        heard(client.verify_codes(request).await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_hears_which_order_each_coupon_pays_for() {
    let (_suite, issuance) = serving().await;
    let (of_ann, of_bob) = (issuance.code("ann").await, issuance.code("bob").await);
    let order = new_order();
    issuance.redeem("ann", &of_ann, &order).await.unwrap();
    let lookup = async |codes: &[(&str, &str)]| {
        let request = LookupRedemptionsRequest {
            items: items(codes),
        };
        let mut client = issuance.issuance(Identity::OrderIntake);
        let found = heard(client.lookup_redemptions(request).await);
        found.map(|found| found.order_ids)
    };
    let asked = [
        ("bob", &*of_bob),
        ("ann", &of_ann),
        ("bob", &of_ann),
        ("ann", "no code"),
    ];
    assert_eq!(lookup(&asked).await.unwrap(), ["", &*order, "", ""]);
    assert_eq!(lookup(&[]).await, Err(Refused::InvalidField));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_told_to_be_true_only_for_their_own_shopper() {
    let (_suite, issuance) = serving().await;
    let code = issuance.code("ann").await;
    let asked = [
        ("ann", &*code),
        ("bob", &code),
        ("ann", "0123456789ABCDEF"),
        ("ann", "no code"),
        ("", &code),
    ];
    let verified = issuance.verify(&asked).await.unwrap();
    // The third names a key that is not here, as a mistyped one may: nobody can tell.
    assert_eq!(verified.is_true, [true, false, true, false, false]);
    assert_eq!(verified.key_is_missing, [false, false, true, false, false]);
    assert_eq!(issuance.verify(&[]).await, Err(Refused::InvalidField));
}
