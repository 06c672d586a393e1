//! The numbers that the waiting room and its orders go by. The README has them in one table, with
//! what breaks without each. Numbers elsewhere follow from these, smooth a measurement, or bound
//! memory, and stand beside what they are for.

use std::time::Duration;

/// The delay that windows aim at: below it a window grows, above it it shrinks.
pub const TARGET_DELAY: Duration = Duration::from_millis(100);
/// Claims or orders in flight that a gateway begins with, all lanes together, and claims served
/// each second however orders stand. Of orders so many may always be in flight: fewer make batches
/// so small that each order takes several times as much of the processors.
pub const FIRST_WINDOW: f64 = 64.0;
/// The share of the excess delay that a window gives up, once a round trip.
pub const BACK_OFF: f64 = 0.4;
/// Between two reports to quota.
pub const REPORT_INTERVAL: Duration = Duration::from_millis(200);
/// For how long a call is held, and a turn waits for a permit. A lane that answers nothing for
/// longer is taken for one that cannot.
pub const MOMENT: Duration = Duration::from_secs(1);
/// Between two asks at least. An arrival waits as long for a permit, and a silent lane is probed as
/// often.
pub const SOONEST_ASK: Duration = Duration::from_millis(250);
/// The last of a queue ask again in this time, unless so many wait that they have to ask later. An
/// order waits as long for a permit at most.
pub const LATEST_ASK: Duration = Duration::from_secs(5);
/// Nobody is told to ask later than this, however many wait.
pub const MOST_SELDOM: Duration = Duration::from_secs(60);
/// Asks that a gateway answers each second with a twentieth of one processor if each is a call of its
/// own, and with a sixtieth over streams. Where others share the machine, each gateway counts all of
/// its processors, and an ask costs its caller as much again.
pub const ASKS_PER_PROCESSOR: f64 = 400.0;
/// An order follows its coupon within about this time, and what was done of late is of about as long.
pub const LATELY: Duration = Duration::from_secs(2);
/// While no order waits, so many times as many claims are let through each second.
pub const GROWTH_PER_SECOND: f64 = 1.25;
/// How many orders a claim leads to is learned from about as long.
pub const MEMORY: Duration = Duration::from_secs(30);
