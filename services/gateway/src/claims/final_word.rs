use tidegate_types::{Reason, TierId};

use crate::{domain::campaign::Campaign, error::GatewayError};

/// Whether a refusal says that coupons are gone, that the campaign has ended or has no such tier, or
/// that its shopper has all that it allows, by what this gateway or issuance has heard. Staff may
/// have changed that meanwhile, which only quota knows for sure.
pub(super) fn is_by_a_copy(refused: &GatewayError) -> bool {
    match refused {
        GatewayError::SoldOut | GatewayError::TierGone { .. } => true,
        GatewayError::Refused(refusal) if refusal.reason == Reason::BudgetExhausted => true,
        GatewayError::OfCampaign { refused, .. } => is_by_a_copy(refused),
        refused => is_of_terms(refused),
    }
}

/// Whether a refusal follows from the campaign's terms and the shopper's coupons, whatever is left.
pub(super) fn is_of_terms(refused: &GatewayError) -> bool {
    match refused {
        GatewayError::CampaignClosed
        | GatewayError::ShopperLimitReached
        | GatewayError::UnknownTier { .. } => true,
        GatewayError::Refused(refusal) => matches!(
            refusal.reason,
            Reason::CampaignClosed | Reason::ShopperLimitReached
        ),
        GatewayError::OfCampaign { refused, .. } => is_of_terms(refused),
        _ => false,
    }
}

/// Whether such a refusal of a claim for a tier, or for any, is so by the owner's word.
pub(super) fn still_holds(refused: &GatewayError, told: &Campaign, tier: Option<&TierId>) -> bool {
    match refused {
        GatewayError::OfCampaign { refused, .. } => still_holds(refused, told, tier),
        // It was decided by these very terms: issuance had heard of them as well.
        refused if is_of_terms(refused) => true,
        GatewayError::TierGone { tier } => is_gone(told, tier),
        _ => told.sold_out || tier.is_some_and(|tier| is_gone(told, tier)),
    }
}

fn is_gone(told: &Campaign, tier: &TierId) -> bool {
    let mut tiers = told.tiers.iter();
    told.sold_out || tiers.any(|known| known.id == *tier && known.is_gone)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_types::{CampaignId, CampaignNumber, HeldCoupons, Refusal, Timestamp};

    use super::*;
    use crate::domain::campaign::{Issuing, Tier};

    /// A campaign with two tiers, as its owner tells it.
    fn told(large_is_gone: bool, small_is_gone: bool) -> Campaign {
        let tier = |id: &str, is_gone| Tier {
            id: TierId::parse(id).unwrap(),
            is_gone,
        };
        let opens_at = Timestamp::UNIX_EPOCH;
        Campaign {
            id: CampaignId::parse("tea").unwrap(),
            number: CampaignNumber::new(7u32).unwrap(),
            opens_at,
            closes_at: opens_at + Duration::from_secs(3_600),
            tiers: vec![tier("large", large_is_gone), tier("small", small_is_gone)],
            issuing: Issuing::Open,
            sold_out: large_is_gone && small_is_gone,
            redeeming: true,
            extended_valid_until: None,
            settled: 0,
            revision: 2,
        }
    }

    fn refusals() -> [GatewayError; 3] {
        [
            GatewayError::SoldOut,
            Refusal::never(Reason::BudgetExhausted).into(),
            GatewayError::OfCampaign {
                refused: Box::new(GatewayError::SoldOut),
                held: HeldCoupons {
                    usable: true,
                    valid_until: None,
                },
            },
        ]
    }

    #[test]
    fn a_sell_out_holds_only_while_its_owner_says_that_nothing_is_left() {
        let large = TierId::parse("large").unwrap();
        for refused in refusals() {
            assert!(is_by_a_copy(&refused), "{refused}");
            assert!(still_holds(&refused, &told(true, true), None));
            assert!(!still_holds(&refused, &told(true, false), None));
            assert!(still_holds(&refused, &told(true, false), Some(&large)));
            assert!(!still_holds(&refused, &told(false, true), Some(&large)));
        }
    }

    #[test]
    fn the_end_of_a_tier_holds_only_while_its_owner_says_so() {
        let tier = TierId::parse("large").unwrap();
        let refused = GatewayError::TierGone { tier };
        assert!(is_by_a_copy(&refused));
        assert!(still_holds(&refused, &told(true, false), None));
        assert!(!still_holds(&refused, &told(false, false), None));
    }

    #[test]
    fn an_end_a_limit_and_tiers_are_confirmed_since_staff_may_have_changed_them() {
        for refused in [
            GatewayError::UnknownTier {
                known: "large".to_owned(),
            },
            GatewayError::CampaignClosed,
            GatewayError::ShopperLimitReached,
            Refusal::never(Reason::ShopperLimitReached).into(),
            Refusal::never(Reason::CampaignClosed).into(),
        ] {
            assert!(is_by_a_copy(&refused), "{refused}");
            assert!(is_of_terms(&refused), "{refused}");
            assert!(
                still_holds(&refused, &told(false, false), None),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_cannot_change_needs_nobody_to_confirm_it() {
        let refused = Refusal::never(Reason::RequestIdConflict).into();
        assert!(!is_by_a_copy(&refused), "{refused}");
    }
}
