//! What staff did with coupons, as the record of changes has it.

use futures_util::stream;
use tidegate_auth::Identity;
use tidegate_proto::{
    issuance::v1::{grant_result::Outcome, *},
    r#type::v1::{Change, ChangeFilter, CouponState, Reason},
};
use tidegate_rpc::refusal::reason_of;
use tidegate_types::Reason as Refused;
use tonic::Status;

use crate::suite::{Issuance, Suite};

async fn list(
    (suite, issuance): (&Suite, &Issuance),
    request: ListChangesRequest,
) -> Result<ListChangesResponse, Status> {
    let request = suite.with_token(request, "changes:read");
    let listed = issuance.desk(Identity::Staff).list_changes(request).await;
    listed.map(|answer| answer.into_inner())
}

async fn changes(at: (&Suite, &Issuance)) -> Vec<Change> {
    let listed = list(at, ListChangesRequest::default()).await;
    listed.unwrap().changes
}

async fn revoke(
    (suite, issuance): (&Suite, &Issuance),
    (shopper_id, coupon_code): (&str, &str),
    reason: &str,
) -> Result<RevokeCouponResponse, Status> {
    let request = RevokeCouponRequest {
        shopper_id: shopper_id.to_owned(),
        coupon_code: coupon_code.to_owned(),
        reason: reason.to_owned(),
    };
    let request = suite.with_token(request, "coupons:write");
    let revoked = issuance.desk(Identity::Staff).revoke_coupon(request).await;
    revoked.map(|answer| answer.into_inner())
}

async fn grant(
    (suite, issuance): (&Suite, &Issuance),
    shoppers: &[&str],
    request_id: &str,
) -> Vec<Outcome> {
    let grants = shoppers.iter().map(|shopper| Grant {
        shopper_id: shopper.to_string(),
        request_id: request_id.to_owned(),
        tier_id: String::new(),
    });
    let part = GrantCouponsRequest {
        campaign_id: "spring".to_owned(),
        reason: "an apology".to_owned(),
        grants: grants.collect(),
    };
    let request = suite.with_token(stream::iter([part]), "coupons:write");
    let mut desk = issuance.desk(Identity::Staff);
    let answers = desk.grant_coupons(request).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let outcomes = answer.results.into_iter();
    outcomes.map(|result| result.outcome.unwrap()).collect()
}

async fn code_of(issuance: &Issuance, shopper: &str) -> String {
    let issued = issuance.claim_in_the_end(shopper).await;
    issued.coupon.unwrap().code
}

/// The changed fields as a person reads them.
fn fields(change: &Change) -> Vec<String> {
    let fields = change.fields.iter();
    let told = fields.map(|field| format!("{}: {} > {}", field.field, field.before, field.after));
    told.collect()
}

fn masked(code: &str) -> String {
    format!("code:  > ************{}", &code[12..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_recorded_once_with_who_did_it_why_and_of_which_coupon() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let at = (&suite, &issuance);
    let (of_ann, of_bob) = (
        code_of(&issuance, "ann").await,
        code_of(&issuance, "bob").await,
    );
    assert!(changes(at).await.is_empty(), "shoppers are not staff");
    let order = uuid::Uuid::new_v4().to_string();
    issuance.redeem("bob", &of_bob, &order).await.unwrap();
    let refused = revoke(at, ("bob", &of_bob), "too late").await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::CouponRedeemed));
    assert!(changes(at).await.is_empty(), "nothing has changed");
    revoke(at, ("ann", &of_ann), "by mistake").await.unwrap();
    let again = revoke(at, ("ann", &of_ann), "another reason").await;
    assert!(again.unwrap().replayed);
    let recorded = changes(at).await;
    let [change] = &recorded[..] else {
        panic!("{recorded:?}");
    };
    assert_eq!(change.action, "RevokeCoupon");
    let of = (&*change.resource_kind, &*change.resource_id);
    assert_eq!(of, ("coupon", "ann"));
    let who = (&*change.subject, &*change.certificate_identity);
    assert_eq!(who, ("colleague", "staff"));
    assert_eq!(change.reason, "by mistake");
    assert!(change.changed_at.is_some());
    assert_eq!(
        fields(change),
        [
            "campaign_id:  > spring",
            "tier_id:  > milk-tea",
            "slot:  > 1",
            &masked(&of_ann),
            "state: ISSUED > REVOKED",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_grant_that_gave_a_coupon_is_recorded_and_no_other() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let at = (&suite, &issuance);
    let first = grant(at, &["ann", "bob", "carl"], "g-1").await;
    let granted = first.iter().map(|outcome| match outcome {
        Outcome::Granted(granted) => granted.coupon.clone().unwrap().code,
        Outcome::Refused(refused) => panic!("{refused:?}"),
    });
    let codes: Vec<_> = granted.collect();
    // Claims of the same moment are none of staff's affairs.
    let claims = ["dora", "emil", "fay"].map(|shopper| issuance.claim_in_the_end(shopper));
    futures_util::future::join_all(claims).await;
    let replays = grant(at, &["ann", "bob", "carl"], "g-1").await;
    let replayed =
        |outcome: &Outcome| matches!(outcome, Outcome::Granted(granted) if granted.replayed);
    assert!(replays.iter().all(replayed), "{replays:?}");
    let [Outcome::Refused(refused)] = &grant(at, &["ann"], "g-2").await[..] else {
        panic!("a second coupon");
    };
    assert_eq!(refused.reason(), Reason::ShopperLimitReached);
    let mut recorded = changes(at).await;
    recorded.sort_by(|one, other| one.resource_id.cmp(&other.resource_id));
    let whose = recorded.iter().map(|change| &*change.resource_id);
    assert_eq!(whose.collect::<Vec<_>>(), ["ann", "bob", "carl"]);
    for (change, code) in recorded.iter().zip(&codes) {
        assert_eq!(change.action, "GrantCoupons");
        assert_eq!(change.resource_kind, "coupon");
        assert_eq!((&*change.subject, &*change.reason), ("colleague", ""));
        assert_eq!(
            fields(change),
            [
                "campaign_id:  > spring",
                "tier_id:  > milk-tea",
                "slot:  > 1",
                &masked(code),
                "request_id:  > g-1",
                "state:  > ISSUED",
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_not_done() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let at = (&suite, &issuance);
    let code = code_of(&issuance, "ann").await;
    let pool = suite.database.open().unwrap().pool(1);
    let alter = async |what: &str| {
        let statement = format!("ALTER TABLE change_log.changes {what}");
        sqlx::raw_sql(&statement).execute(&pool).await.unwrap();
    };
    alter("ADD CONSTRAINT nothing_is_recorded CHECK (FALSE) NOT VALID").await;
    let refused = revoke(at, ("ann", &code), "by mistake").await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::Overloaded));
    let checked = issuance.check("ann", &code).await;
    assert_eq!(checked.coupon.unwrap().state(), CouponState::Issued);
    let [Outcome::Refused(refused)] = &grant(at, &["bob"], "g-1").await[..] else {
        panic!("a coupon that is not recorded");
    };
    assert_eq!(refused.reason(), Reason::Overloaded);
    let of_bob = sqlx::query_scalar("SELECT count(*) FROM coupons WHERE shopper_id = 'bob'");
    let of_bob: i64 = of_bob.fetch_one(&pool).await.unwrap();
    assert_eq!(of_bob, 0);
    // Shoppers do not depend on the record.
    issuance.claim_in_the_end("carl").await;
    alter("DROP CONSTRAINT nothing_is_recorded").await;
    revoke(at, ("ann", &code), "by mistake").await.unwrap();
    let [Outcome::Granted(granted)] = &grant(at, &["bob"], "g-1").await[..] else {
        panic!("no coupon");
    };
    assert!(!granted.replayed);
    assert_eq!(changes(at).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_listed_newest_first_page_by_page_and_by_shopper() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    let at = (&suite, &issuance);
    for shopper in ["ann", "bob", "carl"] {
        grant(at, &[shopper], "g-1").await;
    }
    let page = |page_token: &str| ListChangesRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
        ..ListChangesRequest::default()
    };
    let first = list(at, page("")).await.unwrap();
    let second = list(at, page(&first.next_page_token)).await.unwrap();
    let pages = [first.changes, second.changes].concat();
    let whose: Vec<_> = pages.iter().map(|change| &*change.resource_id).collect();
    assert_eq!(whose, ["carl", "bob", "ann"]);
    assert!(second.next_page_token.is_empty());
    let of = |resource_kind: &str, resource_id: &str, subject: &str| ListChangesRequest {
        filter: Some(ChangeFilter {
            resource_kind: resource_kind.to_owned(),
            resource_id: resource_id.to_owned(),
            subject: subject.to_owned(),
            since: None,
        }),
        ..ListChangesRequest::default()
    };
    let count = async |request| list(at, request).await.unwrap().changes.len();
    assert_eq!(count(of("coupon", "bob", "")).await, 1);
    assert_eq!(count(of("campaign", "", "")).await, 0);
    assert_eq!(count(of("", "", "colleague")).await, 3);
    assert_eq!(count(of("", "", "somebody-else")).await, 0);
    let refused = list(at, of("", "bob", "")).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Refused::InvalidField));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_for_staff_who_may_read_them_only() {
    let suite = Suite::start().await;
    let issuance = suite.issuance().await;
    for (identity, scope) in [
        (Identity::Gateway, "changes:read"),
        (Identity::Staff, "coupons:read coupons:write"),
    ] {
        let request = suite.with_token(ListChangesRequest::default(), scope);
        let refused = issuance.desk(identity).list_changes(request).await;
        let refused = reason_of(&refused.unwrap_err());
        assert_eq!(refused, Some(Refused::PermissionDenied), "{scope}");
    }
    let mut desk = issuance.desk(Identity::Staff);
    let refused = desk.list_changes(ListChangesRequest::default()).await;
    let refused = reason_of(&refused.unwrap_err());
    assert_eq!(refused, Some(Refused::Unauthenticated));
}
