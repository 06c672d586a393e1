use tidegate_proto::issuance::v1::{CountCouponsResponse, InspectedLease, SealedLease, TierCount};
use tidegate_types::{Lanes, TierNumber};
use uuid::Uuid;

use crate::{
    domain::{CouponBooks, FencedLease, LeaseBooks, LeaseMismatch, TierCounts},
    error::{QuotaError, Result},
    store::LeaseToReclaim,
};

/// What was used of each lease. Stock moves by this, so an answer that does not fit the question lease by lease is none.
pub(super) fn sealed(
    asked: &[LeaseToReclaim],
    answered: &[SealedLease],
) -> Result<Vec<TierCounts>> {
    let asked = asked.iter().map(|lease| lease.lease_id);
    let answered = answered.iter().map(|lease| (&*lease.lease_id, lease));
    each(asked, answered, |lease| counts(&lease.used))
}

/// How each lease stands; `None` for one that issuance does not know.
pub(super) fn inspected(
    asked: &[LeaseBooks],
    answered: &[InspectedLease],
) -> Result<Vec<Option<FencedLease>>> {
    let asked = asked.iter().map(|lease| lease.lease_id);
    let answered = answered.iter().map(|lease| (&*lease.lease_id, lease));
    each(asked, answered, |lease| {
        let fenced = lease.is_known.then(|| {
            Ok(FencedLease {
                is_sealed: lease.is_sealed,
                granted: counts(&lease.granted)?,
                used: counts(&lease.used)?,
            })
        });
        fenced.transpose()
    })
}

/// Reads the answer of each lease that was asked for, if there is one for each in their order.
fn each<'a, Answer, T>(
    asked: impl ExactSizeIterator<Item = Uuid>,
    answered: impl ExactSizeIterator<Item = (&'a str, Answer)>,
    read: impl Fn(Answer) -> Result<T>,
) -> Result<Vec<T>> {
    let (count, answers) = (asked.len(), answered.len());
    if count != answers {
        return Err(unreadable(format!(
            "{count} leases were asked for and {answers} answered"
        )));
    }
    asked
        .zip(answered)
        .map(|(asked, (lease_id, answer))| {
            if Uuid::parse_str(lease_id) != Ok(asked) {
                return Err(unreadable(format!(
                    "lease {asked} was asked for and {lease_id:?} answered"
                )));
            }
            read(answer)
        })
        .collect()
}

pub(super) fn counted(response: &CountCouponsResponse) -> Result<(Lanes, CouponBooks)> {
    let lanes = Lanes::new(response.lanes)
        .map_err(|bounds| unreadable(format!("the number of lanes {bounds}")))?;
    let mismatches = response.mismatches.iter().map(|mismatch| {
        Ok(LeaseMismatch {
            lease_id: Uuid::parse_str(&mismatch.lease_id)
                .map_err(|_| unreadable(format!("{:?} is no lease id", mismatch.lease_id)))?,
            tier: tier(mismatch.tier_number)?,
            used: mismatch.used,
            coupons: mismatch.coupons,
        })
    });
    let books = CouponBooks {
        coupons: counts(&response.coupons)?,
        on_live_leases: counts(&response.coupons_on_live_leases)?,
        mismatches: mismatches.collect::<Result<_>>()?,
        shoppers_over_limit: response.shoppers_over_limit,
        shoppers_paying_twice: response.shoppers_paying_twice,
        archived_used: counts(&response.archived_used)?,
    };
    Ok((lanes, books))
}

fn counts(answered: &[TierCount]) -> Result<TierCounts> {
    let counts = answered.iter();
    counts
        .map(|count| Ok((tier(count.tier_number)?, count.quantity)))
        .collect()
}

fn tier(number: u32) -> Result<TierNumber> {
    TierNumber::new(number).map_err(|bounds| unreadable(format!("a tier number {bounds}")))
}

fn unreadable(what: String) -> QuotaError {
    QuotaError::IssuanceUnreadable(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lease_id: u128) -> LeaseBooks {
        LeaseBooks {
            lease_id: Uuid::from_u128(lease_id),
            lane: Lanes::new(1u16).unwrap().lane(0u16).unwrap(),
            granted: TierCounts::default(),
            used: None,
        }
    }

    fn answered(lease_id: u128, tier_number: u32) -> InspectedLease {
        InspectedLease {
            lease_id: Uuid::from_u128(lease_id).to_string(),
            is_known: true,
            used: vec![TierCount {
                tier_number,
                quantity: 1,
            }],
            ..InspectedLease::default()
        }
    }

    #[test]
    fn an_answer_that_does_not_fit_the_question_is_none() {
        let question = [asked(1), asked(2)];
        let read = |answer: &[InspectedLease]| inspected(&question, answer);
        assert!(read(&[answered(1, 0), answered(2, 15)]).is_ok());
        for unfit in [
            vec![answered(1, 0)],
            vec![answered(2, 0), answered(1, 0)],
            vec![answered(1, 0), answered(2, 16)],
        ] {
            let refused = read(&unfit);
            assert!(
                matches!(refused, Err(QuotaError::IssuanceUnreadable(_))),
                "{refused:?}"
            );
        }
    }
}
