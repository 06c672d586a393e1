//! What staff changed, on the wire.

use tidegate_proto::r#type::v1 as proto;
use tidegate_types::{
    ChangePage, ChangeQuery, RecordedChange, RequestId, ResourceKind, Violations,
};

use super::{moment, timestamp};

/// The largest page of changes.
const MAX_PAGE_SIZE: u8 = 100;
const DEFAULT_PAGE_SIZE: u8 = 20;
const MAX_RESOURCE_ID_CHARACTERS: usize = 128;

/// What somebody asks for of the record of changes, or every field that is wrong.
pub fn change_query(
    filter: Option<proto::ChangeFilter>,
    page_size: u32,
    page_token: &str,
) -> Result<ChangeQuery, Violations> {
    let mut bad = Violations::default();
    let filter = filter.unwrap_or_default();
    let kind = given(&filter.resource_kind);
    let resource_kind = kind.map(|kind| {
        let known = ResourceKind::from_name(kind);
        let what = "must be `campaign`, `coupon`, `store`, `area` or `order`, or empty";
        bad.check("filter.resource_kind", known.ok_or(what))
    });
    let resource_id = given(&filter.resource_id);
    if resource_id.is_some() && resource_kind.is_none() {
        bad.add("filter.resource_id", "needs `resource_kind`");
    }
    if filter.resource_id.chars().count() > MAX_RESOURCE_ID_CHARACTERS {
        bad.add("filter.resource_id", "must have at most 128 characters");
    }
    let subject = given(&filter.subject);
    let subject = subject.map(|subject| bad.check("filter.subject", RequestId::parse(subject)));
    let since = filter.since.map(|since| {
        let what = "must be a moment of the years 1 to 9999";
        bad.check("filter.since", moment(since).ok_or(what))
    });
    let page_size = match u8::try_from(page_size) {
        Ok(0) => DEFAULT_PAGE_SIZE,
        Ok(size) if size <= MAX_PAGE_SIZE => size,
        _ => {
            bad.add("page_size", "must be 0 to 100");
            DEFAULT_PAGE_SIZE
        }
    };
    let before = given(page_token).map(|token| {
        let what = "must be empty or a next_page_token as it was given";
        bad.check("page_token", token.parse().map_err(|_| what))
    });
    if !bad.is_empty() {
        return Err(bad);
    }
    Ok(ChangeQuery {
        resource_kind: resource_kind.flatten(),
        resource_id: resource_id.map(str::to_owned),
        subject: subject.flatten(),
        since: since.flatten(),
        before: before.flatten(),
        page_size,
    })
}

/// A page of changes, and the token of the next one.
pub fn changes(page: ChangePage) -> (Vec<proto::Change>, String) {
    let next = page.next.map_or(String::new(), |next| next.to_string());
    (page.changes.into_iter().map(change).collect(), next)
}

fn change(RecordedChange { id, change }: RecordedChange) -> proto::Change {
    let fields = change.fields.into_iter().map(|field| proto::ChangedField {
        field: field.field,
        before: field.before,
        after: field.after,
    });
    proto::Change {
        change_id: u64::try_from(id).unwrap_or(0),
        changed_at: Some(timestamp(change.changed_at)),
        action: change.action,
        resource_kind: change.resource_kind.name().to_owned(),
        resource_id: change.resource_id,
        subject: change.subject,
        certificate_identity: change.certificate_identity,
        reason: change.reason,
        fields: fields.collect(),
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_field_of_a_query_is_named() {
        let filter = proto::ChangeFilter {
            resource_kind: "shopper".to_owned(),
            resource_id: "x".repeat(129),
            subject: "a b".to_owned(),
            since: None,
        };
        let bad = change_query(Some(filter), 101, "x").unwrap_err().into_vec();
        let named: Vec<_> = bad.iter().map(|bad| &*bad.field).collect();
        let expected = [
            "filter.resource_kind",
            "filter.resource_id",
            "filter.subject",
            "page_size",
            "page_token",
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn a_resource_needs_its_kind() {
        let filter = proto::ChangeFilter {
            resource_id: "tea".to_owned(),
            ..Default::default()
        };
        assert!(change_query(Some(filter), 0, "").is_err());
    }
}
