//! The record of what staff change, on a real PostgreSQL.

use crate::giveaway::{Giveaway, addition, call, closed, open, terms, wish};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tidegate_pg::CHANGE_LOG;
use tidegate_quota::{domain::IssuanceControl, migrations, staff::StaffCall};
use tidegate_test_kit::TestDatabase;
use tidegate_types::{
    ChangeQuery, ChangeReason, RecordedChange, RequestId, ResourceKind, Timestamp,
};

fn query(page_size: u8) -> ChangeQuery {
    ChangeQuery {
        resource_kind: None,
        resource_id: None,
        subject: None,
        since: None,
        before: None,
        page_size,
    }
}

pub async fn recorded(giveaway: &Giveaway) -> Vec<RecordedChange> {
    let page = giveaway.campaigns.changes(&query(100)).await;
    page.unwrap().changes
}

async fn pages(giveaway: &Giveaway, mut query: ChangeQuery) -> Vec<Vec<RecordedChange>> {
    let mut pages = Vec::new();
    loop {
        let page = giveaway.campaigns.changes(&query).await.unwrap();
        pages.push(page.changes);
        query.before = page.next;
        if page.next.is_none() {
            return pages;
        }
    }
}

fn fields_of(recorded: &RecordedChange) -> String {
    let fields = recorded.change.fields.iter();
    let fields = fields.map(|field| format!("{} {}>{}", field.field, field.before, field.after));
    fields.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn every_change_says_who_made_it_why_and_what_is_different_and_a_repeated_call_says_nothing()
{
    let (giveaway, _issuance) = Giveaway::fenced().await;
    let before = Timestamp::now_utc();
    let because = ChangeReason::parse("spring sale").ok();
    let spring = terms("spring", &[10]);
    let (campaigns, call) = (&giveaway.campaigns, call(open()));
    let made = campaigns.create(&spring, because.as_ref(), &call).await;
    made.unwrap();
    let halt = wish("spring", IssuanceControl::Halted, 0);
    let more = addition("spring", "more", "tier-0", 5);
    for _ in 0..2 {
        giveaway.make(&spring).await.unwrap();
        giveaway.add(&more, open()).await.unwrap();
        giveaway.set(&halt).await.unwrap();
        giveaway.extend(closed(), &call).await.unwrap();
    }
    let open_again = wish("spring", IssuanceControl::Open, 9);
    giveaway.set(&open_again).await.unwrap_err();
    let other = giveaway.make(&terms("spring", &[11])).await;
    other.unwrap_err();

    let mut changes = recorded(&giveaway).await;
    changes.reverse();
    let expected = [
        (
            "CreateCampaign",
            "spring sale",
            "currency_code >CNY, limit_per_shopper >1, opens_at >2026-02-02T02:40:00Z, \
             closes_at >2026-02-02T03:40:00Z, coupon_validity >3600 s, \
             tiers[0] >tier-0: 2500, tiers[0].stock >10",
        ),
        (
            "AddBudget",
            "the shops have more cups",
            "request_id >more, tiers[0].stock 10>15",
        ),
        (
            "SetCampaignControl",
            "店里忙不过来",
            "control.issuance OPEN>HALTED, control.reason >店里忙不过来, control.epoch 0>1",
        ),
        (
            "ExtendValidity",
            "",
            "extended_valid_until >2026-02-02T03:40:00Z",
        ),
    ];
    assert_eq!(changes.len(), expected.len());
    for (recorded, (action, reason, fields)) in changes.iter().zip(expected) {
        let change = &recorded.change;
        assert_eq!((&*change.action, &*change.reason), (action, reason));
        assert_eq!(fields_of(recorded), fields);
        let by = (&*change.subject, &*change.certificate_identity);
        assert_eq!(by, ("colleague", "staff"));
        assert_eq!(change.resource_kind, ResourceKind::Campaign);
        assert_eq!(change.resource_id, "spring");
        assert!(change.changed_at >= open() && change.changed_at < before);
    }
}

#[tokio::test]
async fn a_call_by_nobody_and_a_lease_are_no_changes_by_staff() {
    let giveaway = Giveaway::start().await;
    let nobody = StaffCall {
        actor: None,
        ..call(open())
    };
    let (campaigns, terms) = (&giveaway.campaigns, terms("spring", &[10]));
    let made = campaigns.create(&terms, None, &nobody).await.unwrap();
    let more = addition("spring", "more", "tier-0", 5);
    campaigns.add_budget(&more, &nobody).await.unwrap();
    giveaway.acquire_one(made.number, open()).await.unwrap();
    assert_eq!(recorded(&giveaway).await, []);
}

#[tokio::test]
async fn neither_a_change_nor_its_record_is_there_without_the_other() {
    let (giveaway, before) = Giveaway::of(&[10]).await;
    let broken = "ALTER TABLE change_log.changes ADD CONSTRAINT full_up CHECK (change_id < 2)";
    giveaway.database.execute(broken).await;
    let halt = wish("spring", IssuanceControl::Halted, 0);
    giveaway.set(&halt).await.unwrap_err();
    let more = addition("spring", "more", "tier-0", 5);
    giveaway.add(&more, open()).await.unwrap_err();
    assert_eq!(giveaway.read("spring").await, before);
    assert_eq!(recorded(&giveaway).await.len(), 1);
}

#[tokio::test]
async fn changes_are_listed_newest_first_of_what_is_asked_for_and_page_by_page() {
    let giveaway = Giveaway::start().await;
    for id in ["a", "b", "c"] {
        giveaway.create(id, &[10]).await;
    }
    giveaway.wish("b", IssuanceControl::Halted, 0).await;
    let listed = async |query: ChangeQuery| {
        let pages = pages(&giveaway, query).await;
        let ids = |page: &Vec<RecordedChange>| {
            let ids = page.iter().map(|recorded| &*recorded.change.resource_id);
            ids.collect::<Vec<_>>().join(" ")
        };
        pages.iter().map(ids).collect::<Vec<_>>()
    };
    let of_b = ChangeQuery {
        resource_kind: Some(ResourceKind::Campaign),
        resource_id: Some("b".to_owned()),
        ..query(20)
    };
    let mut of_somebody = query(20);
    of_somebody.subject = RequestId::parse("somebody").ok();
    for (query, expected) in [
        (query(3), &["b c b", "a"][..]),
        (of_b, &["b b"]),
        (of_somebody, &[""]),
    ] {
        assert_eq!(listed(query).await, expected);
    }
}

#[tokio::test]
async fn a_page_of_large_changes_ends_before_it_outgrows_a_message() {
    let giveaway = Giveaway::start().await;
    let large = "
        INSERT INTO change_log.changes (changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields)
        SELECT now(), 'UpdateCampaign', 'campaign', 'spring', 'colleague', 'staff', '',
            (SELECT jsonb_agg(jsonb_build_object('field', field::text, 'before', repeat('茶', 1000), 'after', '')) FROM generate_series(1, 64) AS field)
        FROM generate_series(1, 20)";
    giveaway.database.execute(large).await;
    let sizes: Vec<_> = pages(&giveaway, query(20))
        .await
        .iter()
        .map(Vec::len)
        .collect();
    assert!(sizes.iter().all(|size| (1..=5).contains(size)), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 20);
}

#[tokio::test]
async fn a_page_looks_through_so_many_changes_and_the_next_one_goes_on() {
    let giveaway = Giveaway::start().await;
    giveaway.create("first", &[10]).await;
    let many = "
        INSERT INTO change_log.changes (changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields)
        SELECT now(), 'UpsertStores', 'store', 'corner', 'colleague', 'staff', '', '[]'
        FROM generate_series(1, 25000)";
    giveaway.database.execute(many).await;
    let of_campaigns = ChangeQuery {
        resource_kind: Some(ResourceKind::Campaign),
        ..query(20)
    };
    let pages = pages(&giveaway, of_campaigns).await;
    assert_eq!(pages.len(), 3);
    let found = pages.concat();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].change.resource_id, "first");
}

/// What a service's role made may hold what would run with the rights of whoever owns it.
#[tokio::test]
async fn a_superuser_takes_the_record_over_without_what_the_services_role_planted_in_it() {
    let database = TestDatabase::migrated(&migrations()).await;
    let options = database.options();
    let name = options.get_database().unwrap();
    let mut connection = options.connect().await.unwrap();
    let role = format!("quota_role_{}", uuid::Uuid::new_v4().simple());
    let planted = format!(
        "DROP SCHEMA change_log CASCADE; CREATE ROLE {role}; ALTER DATABASE {name} OWNER TO {role};
         SET ROLE {role}; {CHANGE_LOG};
         INSERT INTO change_log.changes
             (changed_at, action, resource_kind, resource_id, subject, certificate_identity, reason, fields)
         VALUES (now(), 'EndCampaign', 'campaign', 'spring', 'ann', 'staff', 'over', '[]');
         CREATE FUNCTION change_log.forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER forget BEFORE INSERT ON change_log.changes FOR EACH ROW EXECUTE FUNCTION change_log.forget();
         GRANT ALL ON SCHEMA change_log TO PUBLIC; GRANT ALL ON change_log.changes TO PUBLIC;
         RESET ROLE"
    );
    connection.execute(&*planted).await.unwrap();
    // Once takes it over, and once more changes nothing.
    for _ in 0..2 {
        connection.execute(CHANGE_LOG).await.unwrap();
    }
    let triggers = "pg_trigger WHERE tgrelid = 'change_log.changes'::regclass";
    assert_eq!(database.count(triggers).await, 0);
    let as_role = format!("SET ROLE {role}");
    connection.execute(&*as_role).await.unwrap();
    let subjects = "SELECT array_agg(subject) FROM change_log.changes";
    let subjects = sqlx::query_scalar(subjects)
        .fetch_one(&mut connection)
        .await;
    let subjects: Vec<String> = subjects.unwrap();
    assert_eq!(subjects, ["ann"]);
    for statement in [
        "UPDATE change_log.changes SET subject = 'bob'",
        "DELETE FROM change_log.changes",
        "CREATE TABLE change_log.others ()",
        "CREATE TRIGGER forget BEFORE INSERT ON change_log.changes EXECUTE FUNCTION change_log.forget()",
    ] {
        let refused = connection.execute(statement).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
    let end = format!(
        "RESET ROLE; ALTER DATABASE {name} OWNER TO CURRENT_USER; DROP OWNED BY {role} CASCADE; DROP ROLE {role}"
    );
    connection.execute(&*end).await.unwrap();
    connection.close().await.unwrap();
}
