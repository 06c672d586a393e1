//! `tidegatectl`: what staff do with Tidegate, from a command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate_ctl::main()
}
