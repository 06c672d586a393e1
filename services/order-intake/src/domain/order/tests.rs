use std::time::Duration;

use tidegate_types::CurrencyCode;

use super::*;

#[test]
fn only_the_coupon_s_own_faults_and_a_halt_reject_an_order() {
    let rejecting: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| Rejection::of(Refusal::never(**reason)).is_some())
        .map(|reason| reason.name())
        .collect();
    assert_eq!(
        rejecting,
        [
            "COUPON_NOT_FOUND",
            "COUPON_REDEEMED",
            "COUPON_EXPIRED",
            "COUPON_REVOKED",
            "REDEMPTION_HALTED",
            "COUPON_NOT_APPLICABLE"
        ]
    );
    let later = Refusal::after(Reason::Overloaded, Duration::from_secs(1));
    assert_eq!(Rejection::of(later), None);
}

fn note() -> FailureNote {
    FailureNote::parse("out of cups").unwrap()
}

fn states() -> [OrderState; 8] {
    let because = Rejection::coupon_redeemed(OrderId(Uuid::nil()));
    [
        OrderState::Pending,
        OrderState::Accepted,
        OrderState::Rejected(because),
        OrderState::InPreparation,
        OrderState::Ready,
        OrderState::Completed,
        OrderState::Cancelled,
        OrderState::Failed(note()),
    ]
}

/// What a move does in each state: the next one's name, `-` for nothing, `!` for a conflict.
fn effects(asked: &Move) -> Vec<&'static str> {
    let effect = |state: OrderState| match state.after(asked) {
        Ok(Some(next)) => next.name(),
        Ok(None) => "-",
        Err(conflict) => {
            assert_eq!(conflict.state, state.name());
            "!"
        }
    };
    states().map(effect).into()
}

#[test]
fn an_outcome_is_for_pending_orders_and_changes_no_other() {
    let accept = Move::Accept(bill(5, 5));
    let reject = Move::Reject(Rejection::coupon_redeemed(OrderId(Uuid::nil())));
    assert_eq!(
        effects(&accept),
        ["ACCEPTED", "-", "-", "-", "-", "-", "-", "-"]
    );
    assert_eq!(
        effects(&reject),
        ["REJECTED", "-", "-", "-", "-", "-", "-", "-"]
    );
}

#[test]
fn an_order_can_be_cancelled_until_the_store_begins() {
    let expected = ["CANCELLED", "CANCELLED", "!", "!", "!", "!", "-", "!"];
    assert_eq!(effects(&Move::Cancel), expected);
}

#[test]
fn fulfilment_goes_one_step_at_a_time_and_may_ask_for_a_step_again() {
    let prepare = ["!", "IN_PREPARATION", "!", "-", "!", "!", "!", "!"];
    let make_ready = ["!", "!", "!", "READY", "-", "!", "!", "!"];
    let complete = ["!", "!", "!", "!", "COMPLETED", "-", "!", "!"];
    assert_eq!(effects(&Move::Prepare), prepare);
    assert_eq!(effects(&Move::MakeReady), make_ready);
    assert_eq!(effects(&Move::Complete), complete);
}

#[test]
fn what_is_final_is_not_moved_and_what_is_not_made_holds_no_slot() {
    let final_ones = states().into_iter().filter(OrderState::is_final);
    let names: Vec<_> = final_ones.map(|state| state.name()).collect();
    assert_eq!(names, ["REJECTED", "COMPLETED", "CANCELLED", "FAILED"]);
    let without = states().into_iter().filter(|state| !state.holds_slot());
    let names: Vec<_> = without.map(|state| state.name()).collect();
    assert_eq!(names, ["REJECTED", "CANCELLED", "FAILED"]);
}

#[test]
fn a_store_may_fail_what_it_has_taken_and_closes_without_what_it_has_not_begun() {
    let fail = ["!", "FAILED", "!", "FAILED", "FAILED", "!", "!", "-"];
    assert_eq!(effects(&Move::Fail(note())), fail);
    let close = Move::CloseStore {
        closing: RequestId::parse("c-1").unwrap(),
        note: note(),
    };
    let closed = ["REJECTED", "FAILED", "-", "-", "-", "-", "-", "-"];
    assert_eq!(effects(&close), closed);
}

#[test]
fn whatever_will_not_be_made_gives_its_coupon_back_if_it_could_ever_get_it() {
    let giving = states().into_iter().filter(OrderState::gives_coupon_back);
    let names: Vec<_> = giving.map(|state| state.name()).collect();
    assert_eq!(names, ["REJECTED", "CANCELLED", "FAILED"]);
    for (reason, gives_back) in [
        (Reason::CouponNotFound, false),
        (Reason::CouponRevoked, false),
        (Reason::CouponExpired, true),
        (Reason::RedemptionHalted, true),
        (Reason::OrderTooLate, true),
        (Reason::StoreClosed, true),
    ] {
        let rejection = Rejection::kept(reason, Vec::new()).unwrap();
        let state = OrderState::Rejected(rejection);
        assert_eq!(state.gives_coupon_back(), gives_back, "{reason}");
    }
    assert_eq!(Rejection::kept(Reason::Overloaded, Vec::new()), None);
}

fn money(minor_units: i64, currency: &str) -> Money {
    Money {
        currency: CurrencyCode::parse(currency).unwrap(),
        minor_units,
    }
}

fn bill(total: i64, face_value: i64) -> Bill {
    Bill::with_coupon(money(total, "CNY"), money(face_value, "CNY")).unwrap()
}

#[test]
fn a_coupon_takes_off_its_face_value_and_never_more_than_the_total() {
    for (total, face_value, discount) in [
        (2_500, 1_000, 1_000),
        (2_500, 2_500, 2_500),
        (2_500, 9_000, 2_500),
        (0, 9_000, 0),
    ] {
        let bill = bill(total, face_value);
        assert_eq!(bill.discount(), money(discount, "CNY"));
        assert_eq!(bill.amount_to_pay(), money(total - discount, "CNY"));
    }
}

#[test]
fn a_coupon_of_another_currency_takes_off_nothing() {
    let bill = Bill::with_coupon(money(2_500, "CNY"), money(1_000, "USD"));
    assert_eq!(bill, None);
}
