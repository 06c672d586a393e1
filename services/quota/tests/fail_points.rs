//! Each fail point of a test build does the wrong it is named after. They are set for the whole
//! process, so these tests have one of their own.

use fail::FailScenario;
use tidegate_quota::domain::{Control, IssuanceControl, IssuanceState};

#[test]
fn a_halt_is_told_to_be_in_force_while_leases_are_out() {
    let points = FailScenario::setup();
    let halted = Control {
        issuance: IssuanceControl::Halted,
        ..Control::default()
    };
    assert_eq!(halted.issuance_state_if(false), IssuanceState::Halting);
    fail::cfg("acknowledge-halt-early", "return").unwrap();
    assert_eq!(halted.issuance_state_if(false), IssuanceState::Halted);
    points.teardown();
}
