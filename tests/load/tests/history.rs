//! The measurement beside a long history, with a short one: that it goes on working.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

#[test]
fn starts_and_audits_beside_a_short_history_are_measured_and_find_no_difference() {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("history");
    let measured = Command::new(env!("CARGO_BIN_EXE_tidegate-load"))
        .args(["history", "--leases", "5000", "--coupons", "2000"])
        .args(["--lanes", "2", "--pass-minutes", "2", "--data"])
        .arg(&data)
        .status();
    assert!(measured.unwrap().success());
    let report = fs::read(data.join("history.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    for (what, expected) in [
        ("/pass/is_complete", Value::from(true)),
        ("/pass/leases_compared", Value::from(5_000)),
        ("/pass/differences", Value::from(0)),
        ("/call/differences", Value::from(0)),
    ] {
        assert_eq!(report.pointer(what), Some(&expected), "{what}: {report}");
    }
    for service in ["issuance", "quota"] {
        let seconds = report.pointer(&format!("/full/{service}/seconds"));
        assert!(seconds.unwrap().as_f64().unwrap() > 0.0);
    }
    fs::remove_dir_all(data).unwrap();
}
