//! A short flood of the suite as it is delivered, on whatever machine this is.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

/// Of what the machine reached just before. A long run is held to 0.85 of what answering the crowd
/// leaves, and to no call without an answer. In a build for debugging, in which an answer costs ten
/// times as much, the crowd alone is more than two processors can answer.
const LEAST_OF_PEAK: f64 = 0.05;

#[test]
fn at_twice_the_peak_coupons_and_orders_go_on_and_no_coupon_is_lost() {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flood");
    let measured = Command::new(env!("CARGO_BIN_EXE_tidegate-load"))
        .args([
            "goodput",
            "--real",
            "--real-loads",
            "2",
            "--real-seconds",
            "4",
            "--data",
        ])
        .arg(&data)
        .status();
    assert!(measured.unwrap().success());
    let report = fs::read(data.join("goodput-real.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let figure = |path: &str| report.pointer(path).and_then(Value::as_f64);
    let peak = figure("/peak/per_second").unwrap();
    for what in ["goodput_per_second", "orders_per_second"] {
        let in_flood = figure(&format!("/points/0/{what}")).unwrap();
        let share = in_flood / peak;
        assert!(
            share >= LEAST_OF_PEAK,
            "{what} is {share:.2} of the peak: {report}"
        );
    }
    let (told, kept) = (figure("/coupons/told"), figure("/coupons/kept"));
    assert!(told.is_some() && told <= kept, "{report}");
    fs::remove_dir_all(data).unwrap();
}
