//! What the items of one call have together.

use std::time::Instant;

use tidegate_rpc::server::for_next_hop;
use tidegate_telemetry::{Span, SpanKind, TraceContext, Tracing};

use super::Pending;
use crate::error::GatewayError;

/// Links of one call's span at most.
const MAX_LINKS: usize = 128;

impl<T> Pending<T> {
    /// The time that is left for whoever is asked next.
    pub fn milliseconds_left(&self) -> u32 {
        let left = for_next_hop(self.deadline, Instant::now()).unwrap_or_default();
        u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
    }
}

/// A call for many stories is a story of its own, linked to those it carries.
pub fn span_of<T>(tracing: &Tracing, name: &'static str, items: &[Pending<T>]) -> Span {
    let recorded = items.iter().any(|pending| pending.trace.sampled());
    let mut span = tracing.start(name, SpanKind::Client, TraceContext::new_root(recorded));
    span.attribute(
        "tidegate.batch_size",
        i64::try_from(items.len()).unwrap_or(i64::MAX),
    );
    items
        .iter()
        .filter(|pending| pending.trace.sampled())
        .take(MAX_LINKS)
        .for_each(|pending| span.link(pending.trace));
    span
}

/// The call as a whole may take as long as its most patient item; each item's own deadline travels with it.
pub fn last_deadline<T>(items: &[Pending<T>]) -> Instant {
    items
        .iter()
        .map(|pending| pending.deadline)
        .max()
        .unwrap_or_else(Instant::now)
}

/// An answer for each item, in their order. A call that failed as a whole failed for each, and one with another number of results answered none.
pub fn answer_each<T, R, A>(
    items: &[Pending<T>],
    results: Result<Vec<R>, GatewayError>,
    read: impl Fn(R) -> Result<A, GatewayError>,
) -> Vec<Result<A, GatewayError>> {
    let error = match results {
        Ok(results) if results.len() == items.len() => {
            return results.into_iter().map(read).collect();
        }
        Ok(_) => GatewayError::NoAnswer,
        Err(error) => error,
    };
    let same = || match &error {
        GatewayError::Refused(refusal) => GatewayError::Refused(refusal.clone()),
        _ => GatewayError::NoAnswer,
    };
    items.iter().map(|_| Err(same())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_types::{Reason, Refusal};

    use super::*;

    fn pending() -> Pending<()> {
        Pending {
            item: (),
            trace: TraceContext::new_root(false),
            deadline: Instant::now() + Duration::from_secs(60),
        }
    }

    fn answered(results: Result<Vec<u8>, GatewayError>) -> Vec<Option<u8>> {
        let answers = answer_each(&[pending(), pending()], results, Ok);
        answers.into_iter().map(Result::ok).collect()
    }

    #[test]
    fn each_item_has_its_own_result_or_all_have_none() {
        assert_eq!(answered(Ok(vec![1, 2])), [Some(1), Some(2)]);
        assert_eq!(answered(Ok(vec![1])), [None, None]);
        let refused = || GatewayError::Refused(Refusal::never(Reason::CampaignClosed));
        let answers: Vec<Result<u8, _>> = answer_each(&[pending()], Err(refused()), Ok);
        assert!(
            matches!(&answers[..], [Err(GatewayError::Refused(told))] if told.reason == Reason::CampaignClosed)
        );
    }
}
