//! A short flood of the suite as it is delivered, on whatever machine this is.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

/// Of what the machine reached just before. A long run on a quiet machine is held to 0.85 of what
/// answering the crowd leaves; this one is measured in seconds, in a build for debugging.
const LEAST_OF_PEAK: f64 = 0.1;
/// Of those who came. A long run is held to none.
const MOST_UNANSWERED: f64 = 0.25;
/// As the command line says.
const SECONDS: f64 = 4.0;

#[test]
fn at_twice_the_peak_coupons_and_orders_go_on_and_calls_are_answered() {
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
    let came = SECONDS * figure("/points/0/offered_per_second").unwrap();
    let unanswered = figure("/points/0/unanswered").unwrap() / came;
    assert!(unanswered <= MOST_UNANSWERED, "{unanswered:.2}: {report}");
    fs::remove_dir_all(data).unwrap();
}
