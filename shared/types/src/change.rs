use serde::{Deserialize, Serialize};

use crate::{PrintedText, RequestId, Timestamp};

/// The longest value of a changed field that is kept, in characters.
const MAX_VALUE_CHARACTERS: usize = 1_000;
/// The most fields of one change that are kept.
const MAX_FIELDS: usize = 64;

/// Who changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Whom the token speaks for.
    pub subject: RequestId,
    /// Whom the connection's certificate names.
    pub certificate_identity: &'static str,
}

/// Why staff change something, in their own words.
pub type ChangeReason = PrintedText<200>;

named! {
    /// What kind of thing is changed. Its name is the one on the wire and in the database.
    ResourceKind
    /// A campaign, by its id.
    Campaign => "campaign",
    /// A coupon, by its shopper.
    Coupon => "coupon",
    /// A store, by its id.
    Store => "store",
    /// Every store of an area, by its name.
    Area => "area",
    /// An order, by its id.
    Order => "order",
}

/// A field before and after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedField {
    /// Its name in the contract.
    pub field: String,
    /// Empty if there was nothing.
    pub before: String,
    /// Empty if there is nothing now.
    pub after: String,
}

/// Something that staff change, to be recorded in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub changed_at: Timestamp,
    /// The call that changes it, such as `SetCampaignControl`.
    pub action: String,
    /// What kind of thing is changed.
    pub resource_kind: ResourceKind,
    /// Which of them.
    pub resource_id: String,
    /// Whom the token speaks for.
    pub subject: String,
    /// Whom the connection's certificate names.
    pub certificate_identity: String,
    /// Why; empty if the call asks for no reason.
    pub reason: String,
    /// What is different.
    pub fields: Vec<ChangedField>,
}

impl Change {
    /// A change of which no field is named yet.
    pub fn new(
        actor: &Actor,
        changed_at: Timestamp,
        action: &str,
        (resource_kind, resource_id): (ResourceKind, &str),
        reason: &str,
    ) -> Self {
        Self {
            changed_at,
            action: action.to_owned(),
            resource_kind,
            resource_id: resource_id.to_owned(),
            subject: actor.subject.as_str().to_owned(),
            certificate_identity: actor.certificate_identity.to_owned(),
            reason: reason.to_owned(),
            fields: Vec::new(),
        }
    }

    /// Names a field, unless it stays as it was.
    pub fn with_field(
        mut self,
        field: &str,
        before: impl std::fmt::Display,
        after: impl std::fmt::Display,
    ) -> Self {
        let (before, after) = (cut(&before.to_string()), cut(&after.to_string()));
        if before != after && self.fields.len() < MAX_FIELDS {
            let field = field.to_owned();
            self.fields.push(ChangedField {
                field,
                before,
                after,
            });
        }
        self
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_VALUE_CHARACTERS).collect()
}

/// A change that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChange {
    /// Grows from change to change.
    pub id: i64,
    /// What was recorded.
    pub change: Change,
}

/// A page of changes, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePage {
    /// Fewer than asked for where few of those that were read fit.
    pub changes: Vec<RecordedChange>,
    /// The change before which the next page begins; `None` if this is the last.
    pub next: Option<i64>,
}

/// Which changes somebody asks for, and the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeQuery {
    /// Only of this kind.
    pub resource_kind: Option<ResourceKind>,
    /// Only of this resource; needs the kind.
    pub resource_id: Option<String>,
    /// Only what this subject did.
    pub subject: Option<RequestId>,
    /// Only what changed then or later.
    pub since: Option<Timestamp>,
    /// Only changes before this one.
    pub before: Option<i64>,
    /// At most so many.
    pub page_size: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        let actor = Actor {
            subject: RequestId::parse("ann").unwrap(),
            certificate_identity: "staff",
        };
        let resource = (ResourceKind::Campaign, "tea");
        Change::new(
            &actor,
            Timestamp::UNIX_EPOCH,
            "UpdateCampaign",
            resource,
            "",
        )
    }

    #[test]
    fn a_field_that_stays_is_not_a_change() {
        let change = change()
            .with_field("limit", 1, 1)
            .with_field("name", "", "Tea");
        let named: Vec<_> = change.fields.iter().map(|field| &*field.field).collect();
        assert_eq!(named, ["name"]);
    }

    #[test]
    fn fields_and_their_values_are_bounded() {
        let many = (0..100).fold(change(), |change, place| {
            change.with_field("tier", place, "x".repeat(2_000))
        });
        assert_eq!(many.fields.len(), MAX_FIELDS);
        assert_eq!(many.fields[0].after.chars().count(), MAX_VALUE_CHARACTERS);
    }

    #[test]
    fn kinds_are_read_back_by_their_names() {
        for name in ["campaign", "coupon", "store", "area", "order"] {
            assert_eq!(ResourceKind::from_name(name).unwrap().name(), name);
        }
        assert_eq!(ResourceKind::from_name("shopper"), None);
    }
}
