use proptest::prelude::*;
use tidegate_types::{Lanes, MAX_STOCK, MAX_TIERS};

use super::*;
use crate::domain::stock::counts;

fn free(values: &[u64]) -> Vec<TierStock> {
    let tier = |free: &u64| TierStock {
        free: *free,
        ..TierStock::default()
    };
    values.iter().map(tier).collect()
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
fn leases_shrink_to_one_as_the_pool_drains_and_leave_their_share_to_others() {
    let wanted = counts(&[1_000]);
    let stocks = [1_000_000, 16_000, 160, 17, 16, 1, 0];
    for (others, expected) in [
        (0, [1_000, 1_000, 80, 9, 8, 1, 0]),
        (7, [1_000, 1_000, 10, 2, 1, 1, 0]),
        (u64::MAX, [1, 1, 1, 1, 1, 1, 0]),
    ] {
        let granted = |stock| grant(&wanted, 0, &free(&[stock]), others).total();
        assert_eq!(stocks.map(granted), expected, "{others} others");
    }
}

#[test]
fn where_nobody_else_asks_the_last_coupons_take_few_leases() {
    let (mut stock, mut leases) = (1_000, 0);
    while stock > 0 {
        stock -= grant(&counts(&[]), 256, &free(&[stock]), 0).total();
        leases += 1;
    }
    assert!(leases <= 12, "{leases}");
}

#[test]
fn what_is_wanted_of_any_tier_comes_from_the_first_that_has_stock_and_is_bounded_once() {
    for (wanted, of_any_tier, stock, granted) in [
        (&[][..], 5, &[0, 800, 800][..], &[0, 5][..]),
        (&[], 500, &[32, 8_000], &[2, 0]),
        (&[8, 3], 8, &[160, 160], &[10, 3]),
        // The last coupon of the first tier goes to those who named it; the others get the next tier.
        (&[1], 4, &[1, 160], &[1, 4]),
    ] {
        let found = grant(&counts(wanted), of_any_tier, &free(stock), 7);
        assert_eq!(found, counts(granted), "{wanted:?} of {stock:?}");
    }
}

#[test]
fn nothing_is_sold_out_as_long_as_leases_are_out() {
    use Availability::{Returning, SoldOut};
    let tier = |leased| TierStock {
        free: 0,
        leased,
        settled: 3,
    };
    let (gone, on_lease) = (tier(0), tier(3));
    for (wanted, any, tiers, availability, of_tiers) in [
        (
            &[][..],
            1,
            [gone, on_lease],
            Returning,
            [SoldOut, Returning],
        ),
        (&[1], 0, [gone, on_lease], SoldOut, [SoldOut, Returning]),
        (&[], 1, [gone, gone], SoldOut, [SoldOut, SoldOut]),
    ] {
        let request = request(wanted, any);
        let answer = LeaseAnswer::new(&request, TierCounts::default(), &tiers);
        assert_eq!(answer.availability, availability, "{tiers:?}");
        assert_eq!(answer.tier_availability, of_tiers, "{tiers:?}");
    }
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
        wanted in any_counts(), any in 0..=MAX_STOCK, tiers in any_tiers(), others in 0..20u64
    ) {
        let granted = grant(&wanted, any, &tiers, others);
        let mut beyond_named = 0;
        for (((tier, wanted), (_, granted)), stock) in wanted.iter().zip(granted.iter()).zip(&tiers) {
            prop_assert!(granted <= stock.free.div_ceil(2 * (others + 1)), "tier {tier}");
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
            let granted = grant(&wanted, any, &tiers, 7);
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
