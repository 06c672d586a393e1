use proptest::prelude::*;
use tidegate_types::{Lanes, MAX_STOCK, MAX_TIERS};

use super::*;
use crate::domain::stock::counts;

fn free(values: &[u64]) -> Vec<TierStock> {
    values
        .iter()
        .map(|free| TierStock {
            free: *free,
            ..TierStock::default()
        })
        .collect()
}

fn request(wanted: &[u64], wanted_of_any_tier: u64) -> LeaseRequest {
    LeaseRequest {
        lease_id: Uuid::nil(),
        campaign: CampaignNumber::new(1u32).unwrap(),
        holder: ReplicaId::parse("issuance-0").unwrap(),
        lane: Lanes::new(1u16).unwrap().lane(0u16).unwrap(),
        wanted: counts(wanted),
        wanted_of_any_tier,
    }
}

#[test]
fn leases_shrink_to_one_as_the_pool_drains() {
    let wanted = counts(&[1_000]);
    let granted = |stock| grant(&wanted, 0, &free(&[stock])).total();
    assert_eq!(
        [1_000_000, 16_000, 160, 17, 16, 1, 0].map(granted),
        [1_000, 1_000, 10, 2, 1, 1, 0]
    );
}

#[test]
fn what_is_wanted_of_any_tier_comes_from_the_first_that_has_stock() {
    assert_eq!(
        grant(&counts(&[]), 5, &free(&[0, 800, 800])),
        counts(&[0, 5])
    );
    assert_eq!(
        grant(&counts(&[]), 500, &free(&[32, 8_000])),
        counts(&[2, 0])
    );
}

#[test]
fn a_tier_wanted_by_name_and_as_any_is_bounded_once() {
    assert_eq!(
        grant(&counts(&[8, 3]), 8, &free(&[160, 160])),
        counts(&[10, 3])
    );
    // The last coupon of the first tier goes to those who named it; the others get the next tier.
    assert_eq!(grant(&counts(&[1]), 4, &free(&[1, 160])), counts(&[1, 4]));
}

#[test]
fn nothing_is_sold_out_as_long_as_leases_are_out() {
    let on_lease = TierStock {
        leased: 3,
        ..TierStock::default()
    };
    let gone = TierStock {
        settled: 3,
        ..TierStock::default()
    };
    let answer = |wanted: &[u64], any, tiers: &[TierStock]| {
        LeaseAnswer::new(&request(wanted, any), TierCounts::default(), tiers)
    };
    assert_eq!(
        answer(&[], 1, &[gone, on_lease]).availability,
        Availability::Returning
    );
    assert_eq!(
        answer(&[1], 0, &[gone, on_lease]).availability,
        Availability::SoldOut
    );
    assert_eq!(
        answer(&[1], 0, &[gone, on_lease]).tier_availability,
        [Availability::SoldOut, Availability::Returning]
    );
    assert_eq!(
        answer(&[], 1, &[gone, gone]).availability,
        Availability::SoldOut
    );
}

fn any_counts() -> impl Strategy<Value = TierCounts> {
    prop::collection::vec(0..=MAX_STOCK, 0..=usize::from(MAX_TIERS))
        .prop_map(|values| counts(&values))
}

fn any_tiers() -> impl Strategy<Value = Vec<TierStock>> {
    // Small pools are where the rounding is.
    let pool = prop_oneof![0..40u64, 0..=MAX_STOCK];
    prop::collection::vec(pool, 1..=usize::from(MAX_TIERS)).prop_map(|pools| free(&pools))
}

proptest! {
    #[test]
    fn a_grant_is_never_more_than_wanted_or_allowed_and_never_nothing_if_any_is_free(
        wanted in any_counts(), any in 0..=MAX_STOCK, tiers in any_tiers()
    ) {
        let granted = grant(&wanted, any, &tiers);
        let mut beyond_named = 0;
        for (((tier, wanted), (_, granted)), stock) in wanted.iter().zip(granted.iter()).zip(&tiers) {
            prop_assert!(granted <= stock.free.div_ceil(DRAIN_DIVISOR), "tier {tier}");
            prop_assert!(wanted == 0 || stock.free == 0 || granted > 0, "tier {tier}");
            beyond_named += granted.saturating_sub(wanted);
        }
        prop_assert!(beyond_named <= any);
        prop_assert!(granted.iter().skip(tiers.len()).all(|(_, granted)| granted == 0));
        let any_free = tiers.iter().any(|stock| stock.free > 0);
        prop_assert!(any == 0 || !any_free || granted.total() > 0);
    }

    #[test]
    fn lending_and_settling_conserve_stock(
        mut tiers in any_tiers(), steps in prop::collection::vec((any_counts(), 0..1_000u64, 0..=100u64, any::<bool>()), 1..40)
    ) {
        let stocks: Vec<_> = tiers.iter().map(|tier| tier.stock()).collect();
        let mut outstanding = Vec::new();
        for (wanted, any, used_percent, settles) in steps {
            let granted = grant(&wanted, any, &tiers);
            for (tier, (_, quantity)) in tiers.iter_mut().zip(granted.iter()) {
                *tier = tier.lend(quantity);
            }
            outstanding.push(granted);
            if settles {
                let granted = outstanding.swap_remove(0);
                for (tier, (_, quantity)) in tiers.iter_mut().zip(granted.iter()) {
                    *tier = tier.settle(quantity, quantity * used_percent / 100);
                }
            }
            let leased: u64 = outstanding.iter().map(TierCounts::total).sum();
            prop_assert_eq!(tiers.iter().map(|tier| tier.leased).sum::<u64>(), leased);
            prop_assert_eq!(&tiers.iter().map(|tier| tier.stock()).collect::<Vec<_>>(), &stocks);
        }
    }
}
