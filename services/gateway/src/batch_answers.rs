use tidegate_rpc::client::Pending;

use crate::error::GatewayError;

/// An answer for each item of a batch, in their order. A call that was refused as a whole was
/// refused for each; otherwise nothing is known of any of them, as if a result were missing.
pub fn answer_each<T, R, A>(
    items: &[Pending<T>],
    results: Result<Vec<R>, GatewayError>,
    read: impl Fn(R) -> Result<A, GatewayError>,
) -> Vec<Result<A, GatewayError>> {
    match results {
        Ok(results) if results.len() == items.len() => results.into_iter().map(read).collect(),
        Err(GatewayError::Refused(refusal)) => {
            let refused = || Err(GatewayError::Refused(refusal.clone()));
            items.iter().map(|_| refused()).collect()
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tidegate_types::{Reason, Refusal};

    use super::*;

    #[test]
    fn each_item_has_its_own_result_or_all_have_none() {
        let items = [(), ()].map(|item| Pending::new(item, Instant::now()));
        let answered = |results| -> Vec<_> {
            let answers = answer_each(&items, results, Ok::<u8, _>).into_iter();
            answers.map(Result::ok).collect()
        };
        assert_eq!(answered(Ok(vec![1, 2])), [Some(1), Some(2)]);
        assert_eq!(answered(Ok(vec![1])), []);
        assert_eq!(answered(Err(GatewayError::NoAnswer)), []);
        let refusal = Refusal::never(Reason::CampaignClosed);
        assert_eq!(answered(Err(refusal.into())), [None, None]);
    }
}
