//! What staff did with coupons, as the record of changes has it.

use tidegate_proto::{
    issuance::v1::ListChangesRequest,
    r#type::v1::{Change, ChangeFilter, CouponState, Reason},
};
use tidegate_types::Reason as Refused;

use super::suite::{Staff, new_order, serving};

async fn changes(staff: &Staff<'_>) -> Vec<Change> {
    let listed = staff.changes(ListChangesRequest::default()).await;
    listed.unwrap().changes
}

/// A change as a person reads it.
fn told(change: &Change) -> String {
    assert!(change.changed_at.is_some());
    let fields = change.fields.iter();
    let fields = fields.map(|field| format!("{} {}>{}", field.field, field.before, field.after));
    format!(
        "{} of {} {} by {} as {}, {}: {}",
        change.action,
        change.resource_kind,
        change.resource_id,
        change.subject,
        change.certificate_identity,
        change.reason,
        fields.collect::<Vec<_>>().join(", ")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_recorded_once_with_who_did_it_why_and_of_which_coupon() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    let (of_ann, of_bob) = (issuance.code("ann").await, issuance.code("bob").await);
    assert!(changes(&staff).await.is_empty(), "shoppers are not staff");
    let order = new_order();
    issuance.redeem("bob", &of_bob, &order).await.unwrap();
    let refused = staff.revoke("bob", &of_bob, "too late").await;
    assert_eq!(refused.unwrap_err(), Refused::CouponRedeemed);
    assert!(changes(&staff).await.is_empty(), "nothing has changed");
    staff.revoke("ann", &of_ann, "by mistake").await.unwrap();
    let again = staff.revoke("ann", &of_ann, "another reason").await;
    assert!(again.unwrap().replayed);
    let recorded = changes(&staff).await;
    let recorded: Vec<_> = recorded.iter().map(told).collect();
    let expected = format!(
        "RevokeCoupon of coupon ann by colleague as staff, by mistake: campaign_id >spring, \
         tier_id >milk-tea, slot >1, code >************{}, state ISSUED>REVOKED",
        &of_ann[12..]
    );
    assert_eq!(recorded, [expected]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_grant_that_gave_a_coupon_is_recorded_and_no_other() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    let granted = staff.grant(&["ann", "bob", "carl"], "g-1", "").await;
    let coupons = granted.into_iter().map(|granted| granted.unwrap().coupon);
    let codes: Vec<_> = coupons.map(|coupon| coupon.unwrap().code).collect();
    // Claims of the same moment are none of staff's affairs.
    let claims = ["dora", "emil", "fay"].map(|shopper| issuance.claim_in_the_end(shopper));
    futures_util::future::join_all(claims).await;
    let replays = staff.grant(&["ann", "bob", "carl"], "g-1", "").await;
    let replayed = replays.into_iter().map(|granted| granted.unwrap().replayed);
    assert_eq!(replayed.collect::<Vec<_>>(), [true; 3]);
    let second = staff.grant(&["ann"], "g-2", "").await.remove(0);
    assert_eq!(second.unwrap_err().reason(), Reason::ShopperLimitReached);
    let mut recorded = changes(&staff).await;
    recorded.sort_by(|one, other| one.resource_id.cmp(&other.resource_id));
    let recorded: Vec<_> = recorded.iter().map(told).collect();
    let shoppers = ["ann", "bob", "carl"].into_iter().zip(&codes);
    let expected = shoppers.map(|(shopper, code)| {
        format!(
            "GrantCoupons of coupon {shopper} by colleague as staff, an apology: campaign_id >spring, tier_id >milk-tea, \
             slot >1, code >************{}, request_id >g-1, state >ISSUED",
            &code[12..]
        )
    });
    assert_eq!(recorded, expected.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_not_done() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    let code = issuance.code("ann").await;
    let alter = async |what: &str| {
        let statement = format!("ALTER TABLE change_log.changes {what}");
        suite.database.execute(&statement).await;
    };
    alter("ADD CONSTRAINT nothing_is_recorded CHECK (FALSE) NOT VALID").await;
    let refused = staff.revoke("ann", &code, "by mistake").await;
    assert_eq!(refused.unwrap_err(), Refused::Overloaded);
    let checked = issuance.check("ann", &code).await;
    assert_eq!(checked.coupon.unwrap().state(), CouponState::Issued);
    let granted = staff.grant(&["bob"], "g-1", "").await.remove(0);
    assert_eq!(granted.unwrap_err().reason(), Reason::Overloaded);
    let of_bob = "coupons WHERE shopper_id = 'bob'";
    assert_eq!(suite.database.count(of_bob).await, 0);
    // Shoppers do not depend on the record.
    issuance.claim_in_the_end("carl").await;
    alter("DROP CONSTRAINT nothing_is_recorded").await;
    staff.revoke("ann", &code, "by mistake").await.unwrap();
    let granted = staff.grant(&["bob"], "g-1", "").await.remove(0);
    assert!(!granted.unwrap().replayed);
    assert_eq!(changes(&staff).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_listed_newest_first_page_by_page_and_by_shopper() {
    let (suite, issuance) = serving().await;
    let staff = suite.staff(&issuance);
    for shopper in ["ann", "bob", "carl"] {
        staff.grant(&[shopper], "g-1", "").await;
    }
    let page = |page_token: &str| ListChangesRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
        ..ListChangesRequest::default()
    };
    let first = staff.changes(page("")).await.unwrap();
    let second = staff.changes(page(&first.next_page_token)).await.unwrap();
    let pages = [first.changes, second.changes].concat();
    let whose: Vec<_> = pages.iter().map(|change| &*change.resource_id).collect();
    assert_eq!(whose, ["carl", "bob", "ann"]);
    assert!(second.next_page_token.is_empty());
    for (resource_kind, resource_id, subject, expected) in [
        ("coupon", "bob", "", Ok(1)),
        ("campaign", "", "", Ok(0)),
        ("", "", "colleague", Ok(3)),
        ("", "", "somebody-else", Ok(0)),
        ("", "bob", "", Err(Refused::InvalidField)),
    ] {
        let filter = ChangeFilter {
            resource_kind: resource_kind.to_owned(),
            resource_id: resource_id.to_owned(),
            subject: subject.to_owned(),
            since: None,
        };
        let listed = staff.changes(ListChangesRequest {
            filter: Some(filter),
            ..ListChangesRequest::default()
        });
        let counted = listed.await.map(|listed| listed.changes.len());
        assert_eq!(counted, expected, "{resource_kind} {resource_id} {subject}");
    }
}
