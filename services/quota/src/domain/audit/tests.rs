use tidegate_types::Lanes;

use super::*;
use crate::domain::stock::counts;

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
        leases: 1,
    }
}

fn counted(coupons: u64) -> CouponBooks {
    CouponBooks {
        coupons: counts(&[coupons]),
        ..CouponBooks::default()
    }
}

fn complete() -> Coverage {
    Coverage {
        is_complete: true,
        ..Coverage::default()
    }
}

fn kinds(report: AuditReport) -> Vec<DifferenceKind> {
    assert_eq!(report.difference_count, report.differences.len() as u64);
    report.differences.iter().map(|found| found.kind).collect()
}

/// What is found of one tier, of which one lease used all that is settled after it.
fn of_tier(
    before: TierBooks,
    coupons: &CouponBooks,
    after: TierBooks,
    coverage: Coverage,
) -> Vec<DifferenceKind> {
    let mut audit = Audit::begin(&[before], false);
    let settled = [after.at.settled];
    let lease = lease(Some(&settled));
    audit.page(&[lease], &[known(true, &settled, &settled)], coupons);
    kinds(audit.report(&[after], coverage))
}

fn lease(used: Option<&[u64]>) -> LeaseBooks {
    LeaseBooks {
        lease_id: Uuid::from_u128(7),
        lane: Lanes::new(1u16).unwrap().lane(0u16).unwrap(),
        granted: counts(&[5, 3]),
        used: used.map(counts),
    }
}

fn of_lease(used: Option<&[u64]>, fenced: Option<FencedLease>) -> Vec<DifferenceKind> {
    let mut audit = Audit::begin(&[], false);
    audit.page(&[lease(used)], &[fenced], &CouponBooks::default());
    kinds(audit.report(&[], complete()))
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
        assert_eq!(of_tier(before, &counted(coupons), after, complete()), []);
    }
}

#[test]
fn coupons_beyond_what_leases_allow_are_a_difference_as_far_as_leases_were_covered() {
    // A part leaves out leases that may have any of the coupons that are missing.
    let partial = Coverage {
        leases_left_out: 1,
        ..Coverage::default()
    };
    let (coupons, oversold) = (DifferenceKind::Coupons, DifferenceKind::Oversold);
    for (counted_coupons, coverage, expected) in [
        (19, complete(), &[coupons][..]),
        (31, complete(), &[coupons]),
        (101, complete(), &[coupons, oversold]),
        (9, partial, &[]),
        (101, partial, &[oversold]),
    ] {
        let counted = counted(counted_coupons);
        let found = of_tier(books(10, 20), &counted, books(10, 20), coverage);
        assert_eq!(found, expected, "{counted_coupons}");
    }
    assert!(
        !Audit::begin(&[], false)
            .report(&[], partial)
            .coverage
            .is_complete
    );
}

#[test]
fn a_settled_lease_is_what_issuance_sealed() {
    let different = &[DifferenceKind::SettledLease][..];
    for (used, fenced, expected) in [
        ([4, 0], known(true, &[5, 3], &[4, 0]), &[][..]),
        ([0, 0], known(true, TOMBSTONE, &[]), &[]),
        ([0, 0], None, &[]),
        ([4, 0], known(true, &[5, 3], &[5, 0]), different),
        ([4, 0], known(true, TOMBSTONE, &[]), different),
        ([4, 0], known(false, &[5, 3], &[4, 0]), different),
        ([0, 0], known(false, &[5, 3], &[0, 0]), different),
        ([0, 1], None, different),
    ] {
        assert_eq!(
            of_lease(Some(&used), fenced),
            expected,
            "{used:?} {fenced:?}"
        );
    }
}

#[test]
fn a_live_lease_is_installed_as_granted_or_not_at_all() {
    for (fenced, differences) in [
        (None, 0),
        (known(true, TOMBSTONE, &[]), 0),
        (known(false, &[5, 3], &[5, 3]), 0),
        (known(true, &[5, 3], &[1, 0]), 0),
        (known(false, &[5, 2], &[0, 0]), 1),
        (known(false, TOMBSTONE, &[]), 2),
        (known(false, &[5, 3], &[5, 4]), 1),
    ] {
        let expected = vec![DifferenceKind::LiveLease; differences];
        assert_eq!(of_lease(None, fenced), expected, "{fenced:?}");
    }
}

#[test]
fn every_difference_is_counted_and_so_many_are_described() {
    let mut audit = Audit::begin(&[], false);
    for _ in 0..250 {
        audit.page(&[lease(Some(&[1]))], &[None], &CouponBooks::default());
    }
    assert_eq!(audit.sums().differences, 250);
    let report = audit.report(&[], complete());
    assert_eq!(report.differences.len(), MAX_DIFFERENCES_DESCRIBED);
    let counted = (report.difference_count, report.coverage.leases);
    assert_eq!(counted, (250, 250));
}

#[test]
fn a_pass_that_was_interrupted_ends_as_if_it_had_not_been() {
    let (before, after) = (books(10, 20), books(0, 25));
    let resumed = || Audit::resume(Audit::begin(&[before], false).sums());
    let (mut whole, mut short) = (resumed(), resumed());
    let settled = lease(Some(&[25]));
    whole.page(&[settled], &[known(true, &[25], &[25])], &counted(25));
    assert_eq!(kinds(whole.report(&[after], complete())), []);
    short.page(&[], &[], &counted(19));
    let found = [DifferenceKind::Stock, DifferenceKind::Coupons];
    assert_eq!(kinds(short.report(&[after], complete())), found);
}

#[test]
fn a_pass_is_final_once_nothing_is_on_lease_after_the_close() {
    assert!(Audit::begin(&[books(0, 20)], true).sums().is_final);
    assert!(!Audit::begin(&[books(1, 20)], true).sums().is_final);
    assert!(!Audit::begin(&[books(0, 20)], false).sums().is_final);
}
