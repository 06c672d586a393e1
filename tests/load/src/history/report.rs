//! The report, in words and for machines.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    Start, Starts,
    audits::{Call, Pass},
    fill::Filled,
};
use crate::machine::Machine;

#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub leases: u32,
    pub coupons: u32,
    pub lanes: u16,
    pub filled: Filled,
    /// Without any history.
    pub empty: Starts,
    /// Beside all of it.
    pub full: Starts,
    pub call: Call,
    pub pass: Pass,
    /// The most that each has had, audits included.
    pub quota_memory_mib: f64,
    pub issuance_memory_mib: f64,
}

impl Report {
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} settled leases and {} coupons of one campaign, {} lanes, on {}.\nFilled in {:.0} s; quota's database has {:.1} GiB, issuance's {:.1} GiB.\n\n| what | without history | with it |\n| --- | --- | --- |\n",
            self.leases,
            self.coupons,
            self.lanes,
            self.machine,
            self.filled.seconds,
            self.filled.quota_gib,
            self.filled.issuance_gib,
        );
        for (name, empty, full) in [
            ("start of issuance", self.empty.issuance, self.full.issuance),
            ("start of quota", self.empty.quota, self.full.quota),
        ] {
            let words =
                |start: Start| format!("{:.2} s, {:.0} MiB", start.seconds, start.memory_mib);
            let _ = writeln!(text, "| {name} | {} | {} |", words(empty), words(full));
        }
        let Call {
            seconds,
            leases_compared,
            leases_left_out,
            differences,
            ..
        } = self.call;
        let _ = writeln!(
            text,
            "| an audit by call | | {seconds:.1} s: {leases_compared} leases compared, {leases_left_out} left out, {differences} differences |"
        );
        let Pass {
            seconds,
            is_complete,
            leases_compared,
            differences,
        } = self.pass;
        let end = if is_complete {
            "all of them"
        } else {
            "not all of them"
        };
        let _ = writeln!(
            text,
            "| the pass over all leases | | {seconds:.0} s: {leases_compared} leases compared, {end}, {differences} differences |"
        );
        let _ = writeln!(
            text,
            "| most memory, audits included | | quota {:.0} MiB, issuance {:.0} MiB |",
            self.quota_memory_mib, self.issuance_memory_mib
        );
        text
    }
}
