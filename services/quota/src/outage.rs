use crate::error::QuotaError;

/// Says once that a task that nobody called fails, and once that it goes on again.
#[derive(Default)]
pub(crate) struct Outage {
    is_told: bool,
}

impl Outage {
    pub(crate) fn note<T>(
        &mut self,
        outcome: &Result<T, QuotaError>,
        fails: &'static str,
        goes_on: &'static str,
    ) {
        let was_told = std::mem::replace(&mut self.is_told, outcome.is_err());
        match outcome {
            Err(error) if !was_told => tracing::warn!(%error, "{fails}"),
            Ok(_) if was_told => tracing::info!("{goes_on}"),
            _ => {}
        }
    }
}
