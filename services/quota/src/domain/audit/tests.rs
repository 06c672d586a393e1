use tidegate_types::Lanes;

use super::*;

fn counts(values: &[u64]) -> TierCounts {
    let mut counts = TierCounts::default();
    for (place, value) in values.iter().enumerate() {
        counts.set(TierNumber::new(place).unwrap(), *value);
    }
    counts
}

fn lane() -> Lane {
    Lanes::new(1u16).unwrap().lane(0u16).unwrap()
}

/// Sound books of a tier with a stock of 100.
fn books(leased: u64, settled: u64) -> TierBooks {
    TierBooks {
        stock: 100,
        at: TierStock {
            free: 100 - leased - settled,
            leased,
            settled,
        },
        granted_unsettled: leased,
        used_settled: settled,
    }
}

fn counted(coupons: u64) -> CouponBooks {
    CouponBooks {
        coupons: counts(&[coupons]),
        ..CouponBooks::default()
    }
}

fn kinds(audit: Audit) -> Vec<DifferenceKind> {
    let report = audit.report();
    assert_eq!(report.difference_count, report.differences.len() as u64);
    report.differences.iter().map(|found| found.kind).collect()
}

fn of_tier(before: TierBooks, coupons: u64, after: TierBooks) -> Vec<DifferenceKind> {
    kinds(Audit::of_tiers(&[before], &counted(coupons), &[after]))
}

fn of_lease(used: Option<&[u64]>, fenced: Option<FencedLease>) -> Vec<DifferenceKind> {
    let lease = LeaseBooks {
        lease_id: Uuid::from_u128(7),
        lane: lane(),
        granted: counts(&[5, 3]),
        used: used.map(counts),
    };
    let mut audit = Audit::of_tiers(&[], &CouponBooks::default(), &[]);
    audit.lease(&lease, fenced.as_ref());
    kinds(audit)
}

fn known(is_sealed: bool, granted: &[u64], used: &[u64]) -> Option<FencedLease> {
    Some(FencedLease {
        is_sealed,
        granted: counts(granted),
        used: counts(used),
    })
}

const TOMBSTONE: &[u64] = &[];

#[test]
fn sound_books_have_no_difference_whatever_moves_between_the_readings() {
    // A claim commits, leases are granted and settled, and part of one comes back.
    for (before, coupons, after) in [
        (books(0, 0), 0, books(0, 0)),
        (books(10, 20), 20, books(10, 20)),
        (books(10, 20), 30, books(10, 20)),
        (books(10, 20), 25, books(0, 25)),
        (books(0, 20), 35, books(30, 20)),
    ] {
        assert_eq!(of_tier(before, coupons, after), []);
    }
}

#[test]
fn stock_that_does_not_add_up_is_a_difference() {
    let wrong_sum = TierBooks {
        stock: 101,
        ..books(0, 0)
    };
    let wrong_leased = TierBooks {
        granted_unsettled: 9,
        ..books(10, 0)
    };
    let wrong_settled = TierBooks {
        used_settled: 11,
        ..books(0, 10)
    };
    for (wrong, coupons) in [(wrong_sum, 0), (wrong_leased, 0), (wrong_settled, 10)] {
        assert_eq!(of_tier(wrong, coupons, wrong), [DifferenceKind::Stock]);
    }
}

#[test]
fn coupons_beyond_what_leases_allow_are_a_difference() {
    let kinds = |coupons| of_tier(books(10, 20), coupons, books(10, 20));
    assert_eq!(kinds(19), [DifferenceKind::Coupons]);
    assert_eq!(kinds(31), [DifferenceKind::Coupons]);
    assert_eq!(
        kinds(101),
        [DifferenceKind::Coupons, DifferenceKind::Oversold]
    );
}

#[test]
fn a_settled_lease_is_what_issuance_sealed() {
    assert_eq!(of_lease(Some(&[4, 0]), known(true, &[5, 3], &[4, 0])), []);
    assert_eq!(of_lease(Some(&[0, 0]), known(true, TOMBSTONE, &[])), []);
    assert_eq!(of_lease(Some(&[0, 0]), None), []);
    for (used, fenced) in [
        ([4, 0], known(true, &[5, 3], &[5, 0])),
        ([4, 0], known(true, TOMBSTONE, &[])),
        ([4, 0], known(false, &[5, 3], &[4, 0])),
        ([0, 0], known(false, &[5, 3], &[0, 0])),
        ([0, 1], None),
    ] {
        assert_eq!(
            of_lease(Some(&used), fenced),
            [DifferenceKind::SettledLease],
            "{used:?} {fenced:?}"
        );
    }
}

#[test]
fn a_live_lease_is_installed_as_granted_or_not_at_all() {
    for fenced in [
        None,
        known(true, TOMBSTONE, &[]),
        known(false, &[5, 3], &[5, 3]),
        known(true, &[5, 3], &[1, 0]),
    ] {
        assert_eq!(of_lease(None, fenced), [], "{fenced:?}");
    }
    for fenced in [known(false, &[5, 2], &[0, 0]), known(false, TOMBSTONE, &[])] {
        assert!(
            of_lease(None, fenced).contains(&DifferenceKind::LiveLease),
            "{fenced:?}"
        );
    }
    assert_eq!(
        of_lease(None, known(false, &[5, 3], &[5, 4])),
        [DifferenceKind::LiveLease]
    );
}

#[test]
fn what_issuance_itself_finds_wrong_is_a_difference() {
    let mismatch = LeaseMismatch {
        lease_id: Uuid::from_u128(7),
        tier: TierNumber::new(0u8).unwrap(),
        used: 4,
        coupons: 5,
    };
    let coupons = CouponBooks {
        mismatches: vec![mismatch],
        ..counted(20)
    };
    let audit = Audit::of_tiers(&[books(10, 20)], &coupons, &[books(10, 20)]);
    assert_eq!(kinds(audit), [DifferenceKind::LeaseCoupons]);
}

#[test]
fn every_difference_is_counted_and_so_many_are_described() {
    let mut audit = Audit::of_tiers(&[], &CouponBooks::default(), &[]);
    let lease = LeaseBooks {
        lease_id: Uuid::from_u128(7),
        lane: lane(),
        granted: counts(&[1]),
        used: Some(counts(&[1])),
    };
    for _ in 0..250 {
        audit.lease(&lease, None);
    }
    let report = audit.report();
    assert_eq!(report.differences.len(), MAX_DIFFERENCES_DESCRIBED);
    assert_eq!((report.difference_count, report.leases), (250, 250));
}
