use tidegate_pg::{list_changes, record_changes};
use tidegate_types::{Change, ChangePage, ChangeQuery};

use super::Work;
use crate::error::QuotaError;

impl Work {
    pub async fn record(&mut self, changes: &[Change]) -> Result<(), QuotaError> {
        Ok(record_changes(self.connection(), changes).await?)
    }

    /// What was recorded, the newest first.
    pub async fn changes(&mut self, query: &ChangeQuery) -> Result<ChangePage, QuotaError> {
        Ok(list_changes(self.connection(), query).await?)
    }
}
