//! What starts and audits took.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{
    Start, Starts,
    audits::{Call, Pass},
    fill::Filled,
};
use crate::report::table;

#[derive(Debug, Serialize)]
pub struct Figures {
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

impl Display for Figures {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (filled, empty, full) = (self.filled, self.empty, self.full);
        writeln!(
            out,
            "{} settled leases and {} coupons of one campaign, {} lanes.\nFilled in {:.0} s; quota's database has {:.1} GiB, issuance's {:.1} GiB.\n",
            self.leases,
            self.coupons,
            self.lanes,
            filled.seconds,
            filled.quota_gib,
            filled.issuance_gib,
        )?;
        let start = |start: Start| format!("{:.2} s, {:.0} MiB", start.seconds, start.memory_mib);
        let starts = |empty, full| format!("{}|{}", start(empty), start(full));
        let (call, pass) = (self.call, self.pass);
        let end = if pass.is_complete { "" } else { "not " };
        let rows = [
            format!(
                "start of issuance|{}",
                starts(empty.issuance, full.issuance)
            ),
            format!("start of quota|{}", starts(empty.quota, full.quota)),
            format!(
                "an audit by call||{:.1} s: {} leases compared, {} left out, {} differences",
                call.seconds, call.leases_compared, call.leases_left_out, call.differences
            ),
            format!(
                "the pass over all leases||{:.0} s: {} leases compared, {end}all of them, {} differences",
                pass.seconds, pass.leases_compared, pass.differences
            ),
            format!(
                "most memory, audits included||quota {:.0} MiB, issuance {:.0} MiB",
                self.quota_memory_mib, self.issuance_memory_mib
            ),
        ];
        write!(out, "{}", table("what|without history|with it", rows))
    }
}
