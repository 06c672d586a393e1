use std::{fmt::Display, time::Duration};

use tidegate_pg::{Fault, fault};
use tidegate_types::{Reason, Refusal, Timestamp, Violations};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Short enough that leases are topped up as soon as the database is back.
const RETRY_WHEN_DATABASE_AWAY: Duration = Duration::from_millis(500);
/// A replica of issuance that restarts is back in about a second.
const RETRY_WHEN_ISSUANCE_AWAY: Duration = Duration::from_secs(1);
/// Issuance applies the end of a halt from its watch, long before.
const RETRY_WHILE_HALTED: Duration = Duration::from_secs(30);
const RETRY_WHEN_TOO_MANY_CAMPAIGNS: Duration = Duration::from_secs(60);
const RETRY_WHEN_TOO_MANY_WATCHERS: Duration = Duration::from_secs(3);

/// What comes of a call, and of most of its steps.
pub type Result<T = (), E = QuotaError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    #[error("the request has fields that are out of their bounds")]
    InvalidFields(Violations),
    #[error("there is no such campaign")]
    CampaignNotFound,
    #[error("the campaign has ended")]
    CampaignClosed,
    #[error("the campaign has begun, and {} can no longer be changed", fields.join(", "))]
    CampaignBegun { fields: Vec<&'static str> },
    #[error("staff have halted the issuing of the campaign")]
    IssuanceHalted { resume_at: Option<Timestamp> },
    #[error("the campaign's control was changed since; its epoch is {epoch}")]
    ControlEpochConflict { epoch: u64 },
    #[error("the campaign id belongs to a campaign with other content")]
    CampaignIdTaken,
    #[error("the request id added another quantity or to another tier before")]
    BudgetRequestIdTaken,
    #[error("the lease id was granted for another request")]
    LeaseIdTaken,
    #[error("the lease was settled before with other counts")]
    LeaseSettledOtherwise,
    #[error("there is no such lease")]
    LeaseNotFound,
    #[error("too many campaigns have not ended; wait until one has")]
    TooManyCampaigns,
    #[error("too many streams watch campaigns on this replica")]
    TooManyWatchers,
    /// The change is recorded, and issuance's database is not known to have it yet.
    #[error("recorded, and in force as soon as issuance has it; ask again with the same content")]
    NotInForceYet,
    /// The caller stops waiting before work could begin; nothing was done.
    #[error("no database connection was free in time")]
    OutOfTime,
    /// The database did not answer, or another transaction was in the way. Whether a change was committed is not known.
    #[error("the database did not answer: {0}")]
    DatabaseAway(#[source] sqlx::Error),
    #[error("issuance cannot be asked now: {0}")]
    IssuanceAway(String),
    #[error("issuance's answer cannot be read: {0}; compare the versions of issuance and quota")]
    IssuanceUnreadable(String),
    #[error(
        "lease {lease_id} cannot be settled with what issuance sealed ({why}); its stock stays on lease, and an audit of the campaign tells more"
    )]
    SealDisagrees { lease_id: Uuid, why: String },
    /// The database refused a statement, or holds what its constraints exclude.
    #[error("a statement failed: {0}")]
    Defect(#[source] sqlx::Error),
}

impl QuotaError {
    pub fn invalid_field(field: &str, description: impl Display) -> Self {
        let mut violations = Violations::default();
        violations.add(field, description);
        violations.into()
    }

    /// What the caller is told. `None` for a defect, for which there is no reason a caller could act on.
    pub fn refusal(&self) -> Option<Refusal> {
        let overloaded = |retry_after, detail: &dyn Display| {
            Refusal::after(Reason::Overloaded, retry_after).with("detail", detail)
        };
        // What may name addresses is for the log.
        let database_away = "the database does not answer; ask again with the same id";
        let issuance_away = "issuance does not answer";
        Some(match self {
            Self::InvalidFields(violations) => Refusal::invalid(violations.clone()),
            Self::CampaignNotFound => Refusal::never(Reason::CampaignNotFound),
            Self::CampaignClosed => Refusal::never(Reason::CampaignClosed),
            Self::CampaignBegun { fields } => {
                Refusal::never(Reason::CampaignBegun).with("fields", fields.join(", "))
            }
            Self::IssuanceHalted { resume_at } => match resume_at {
                Some(resume_at) => Refusal::at(Reason::IssuanceHalted, *resume_at)
                    .with("resume_at", resume_at.format(&Rfc3339).unwrap_or_default()),
                None => Refusal::after(Reason::IssuanceHalted, RETRY_WHILE_HALTED),
            },
            Self::ControlEpochConflict { epoch } => {
                Refusal::never(Reason::ControlEpochConflict).with("epoch", epoch)
            }
            Self::CampaignIdTaken
            | Self::BudgetRequestIdTaken
            | Self::LeaseIdTaken
            | Self::LeaseSettledOtherwise => {
                Refusal::never(Reason::RequestIdConflict).with("detail", self)
            }
            Self::LeaseNotFound => Refusal::never(Reason::LeaseNotFound),
            Self::TooManyCampaigns => overloaded(RETRY_WHEN_TOO_MANY_CAMPAIGNS, self),
            Self::TooManyWatchers => overloaded(RETRY_WHEN_TOO_MANY_WATCHERS, self),
            Self::OutOfTime => overloaded(RETRY_WHEN_DATABASE_AWAY, self),
            Self::DatabaseAway(_) => overloaded(RETRY_WHEN_DATABASE_AWAY, &database_away),
            Self::NotInForceYet => overloaded(RETRY_WHEN_ISSUANCE_AWAY, self),
            Self::IssuanceAway(_) => overloaded(RETRY_WHEN_ISSUANCE_AWAY, &issuance_away),
            Self::Defect(_) | Self::IssuanceUnreadable(_) | Self::SealDisagrees { .. } => {
                return None;
            }
        })
    }
}

impl From<Violations> for QuotaError {
    fn from(violations: Violations) -> Self {
        Self::InvalidFields(violations)
    }
}

impl From<sqlx::Error> for QuotaError {
    fn from(error: sqlx::Error) -> Self {
        match fault(&error) {
            Fault::ConnectionLost | Fault::Conflict => Self::DatabaseAway(error),
            Fault::Statement => Self::Defect(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_types::Retry;

    #[test]
    fn a_database_that_is_away_is_worth_a_retry_and_is_not_described_to_callers() {
        let error = QuotaError::from(sqlx::Error::Io(std::io::Error::other("db.internal:5432")));
        let refusal = error.refusal().unwrap();
        assert_eq!(refusal.reason, Reason::Overloaded);
        assert!(matches!(refusal.retry, Retry::After(_)));
        assert!(!format!("{refusal:?}").contains("db.internal"));
        let defect = QuotaError::from(sqlx::Error::RowNotFound);
        assert!(defect.refusal().is_none());
    }

    #[test]
    fn a_halt_says_when_it_goes_on_if_that_is_known_and_a_conflict_the_epoch_there_is() {
        let moment = Timestamp::from_unix_timestamp(1_770_000_000).unwrap();
        let halted = |resume_at| QuotaError::IssuanceHalted { resume_at };
        let known = halted(Some(moment)).refusal().unwrap();
        assert_eq!(known.retry, Retry::At(moment));
        assert_eq!(known.fact("resume_at"), Some("2026-02-02T02:40:00Z"));
        // The end of a halt is to be waited for also if nobody knows it.
        let unknown = halted(None).refusal().unwrap();
        assert_eq!(unknown.retry, Retry::After(RETRY_WHILE_HALTED));
        assert_eq!(unknown.fact("resume_at"), None);
        let conflict = QuotaError::ControlEpochConflict { epoch: 4 };
        let conflict = conflict.refusal().unwrap();
        assert_eq!(conflict.retry, Retry::Never);
        assert_eq!(conflict.fact("epoch"), Some("4"));
    }
}
