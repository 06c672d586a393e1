//! What order-intake asks of codes.

use tidegate_auth::Identity;
use tidegate_proto::issuance::v1::*;
use tidegate_test_kit::heard;
use tidegate_types::Reason;

use super::suite::{Issuance, new_order, serving};

fn items(codes: &[(&str, &str)]) -> Vec<CodeOfShopper> {
    let items = codes.iter().map(|(shopper_id, code)| CodeOfShopper {
        shopper_id: shopper_id.to_string(),
        coupon_code: code.to_string(),
    });
    items.collect()
}

impl Issuance {
    /// Which codes are true for their shoppers.
    pub async fn verify(&self, codes: &[(&str, &str)]) -> Result<VerifyCodesResponse, Reason> {
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
    assert_eq!(lookup(&[]).await, Err(Reason::InvalidField));
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
    assert_eq!(issuance.verify(&[]).await, Err(Reason::InvalidField));
}
