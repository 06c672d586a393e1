//! The record of what staff change: who, when, why, from what to what.

use sqlx::{FromRow, PgConnection};
use tidegate_types::{
    Change, ChangePage, ChangeQuery, RecordedChange, RequestId, ResourceKind, Timestamp,
};

/// Makes the record where it is missing. A superuser runs it in each service's database when that
/// is made, so that the service's own role can only add to it.
pub const CHANGE_LOG: &str = include_str!("../queries/change_log.sql");

/// Changes that one page looks through: a filter that few fit must not read them all.
const READ_AT_MOST: i64 = 10_000;

/// Records changes, in the transaction that makes them.
pub async fn record_changes(
    connection: &mut PgConnection,
    changes: &[Change],
) -> Result<(), sqlx::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let texts = |text: fn(&Change) -> &str| -> Vec<String> {
        changes
            .iter()
            .map(|change| text(change).to_owned())
            .collect()
    };
    let moments: Vec<Timestamp> = changes.iter().map(|change| change.changed_at).collect();
    let fields: Result<Vec<String>, _> = changes
        .iter()
        .map(|change| serde_json::to_string(&change.fields))
        .collect();
    sqlx::query(include_str!("../queries/record_changes.sql"))
        .bind(moments)
        .bind(texts(|change| &change.action))
        .bind(texts(|change| change.resource_kind.name()))
        .bind(texts(|change| &change.resource_id))
        .bind(texts(|change| &change.subject))
        .bind(texts(|change| &change.certificate_identity))
        .bind(texts(|change| &change.reason))
        .bind(fields.map_err(|error| sqlx::Error::Encode(error.into()))?)
        .execute(connection)
        .await?;
    Ok(())
}

/// A page of changes, the newest first.
pub async fn list_changes(
    connection: &mut PgConnection,
    query: &ChangeQuery,
) -> Result<ChangePage, sqlx::Error> {
    let before = query.before.unwrap_or(i64::MAX);
    // The changes of one resource are few. Others are looked for among so many at a time.
    let floor: Option<i64> = match query.resource_id {
        Some(_) => None,
        None => {
            sqlx::query_scalar(include_str!("../queries/changes_page_floor.sql"))
                .bind(before)
                .bind(READ_AT_MOST - 1)
                .fetch_optional(&mut *connection)
                .await?
        }
    };
    let rows = read_changes(connection, query, (before, floor.unwrap_or(0))).await?;
    let changes: Vec<RecordedChange> = rows
        .into_iter()
        .map(TryInto::try_into)
        .collect::<Result<_, sqlx::Error>>()?;
    let is_full = changes.len() >= usize::from(query.page_size);
    let last = changes.last().map(|change| change.id);
    let next = if is_full { last } else { floor };
    Ok(ChangePage { changes, next })
}

async fn read_changes(
    connection: &mut PgConnection,
    query: &ChangeQuery,
    (before, floor): (i64, i64),
) -> Result<Vec<ChangeRow>, sqlx::Error> {
    let since = query.since.unwrap_or(Timestamp::UNIX_EPOCH);
    let kind = query.resource_kind.map_or("", ResourceKind::name);
    let subject = query.subject.as_ref().map(RequestId::as_str);
    let page_size = i64::from(query.page_size);
    let statement = match (&query.resource_id, subject) {
        (Some(id), subject) => {
            sqlx::query_as(include_str!("../queries/list_changes_of_resource.sql"))
                .bind(before)
                .bind(kind)
                .bind(subject.unwrap_or_default())
                .bind(since)
                .bind(page_size)
                .bind(id)
        }
        (None, Some(subject)) => {
            sqlx::query_as(include_str!("../queries/list_changes_of_subject.sql"))
                .bind(before)
                .bind(kind)
                .bind(subject)
                .bind(since)
                .bind(page_size)
                .bind(floor)
        }
        (None, None) => sqlx::query_as(include_str!("../queries/list_changes.sql"))
            .bind(before)
            .bind(kind)
            .bind(since)
            .bind(page_size)
            .bind(floor),
    };
    statement.fetch_all(connection).await
}

#[derive(FromRow)]
struct ChangeRow {
    change_id: i64,
    changed_at: Timestamp,
    action: String,
    resource_kind: String,
    resource_id: String,
    subject: String,
    certificate_identity: String,
    reason: String,
    fields: String,
}

impl TryFrom<ChangeRow> for RecordedChange {
    type Error = sqlx::Error;

    fn try_from(row: ChangeRow) -> Result<Self, sqlx::Error> {
        let unknown = || sqlx::Error::Decode("a kind of resource that is not known".into());
        let fields = serde_json::from_str(&row.fields);
        Ok(Self {
            id: row.change_id,
            change: Change {
                changed_at: row.changed_at,
                action: row.action,
                resource_kind: ResourceKind::from_name(&row.resource_kind).ok_or_else(unknown)?,
                resource_id: row.resource_id,
                subject: row.subject,
                certificate_identity: row.certificate_identity,
                reason: row.reason,
                fields: fields.map_err(|error| sqlx::Error::Decode(error.into()))?,
            },
        })
    }
}
