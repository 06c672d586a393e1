//! Processor time of every process that has a part in a claim, from Linux's /proc.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use procfs_core::{CpuTime, ExplicitSystemInfo, FromRead, FromReadSI, KernelStats, process::Stat};
use serde::Serialize;

/// What the shoppers' threads are called, by which their processor time is found.
pub const THREAD_NAME: &str = "shoppers";
/// The part that those threads are.
pub const GENERATOR: &str = "load generator";
/// The part that the other threads of this process are.
const COLLECTOR: &str = "trace collector";
/// The kernel's share that belongs to no process.
const INTERRUPTS: &str = "interrupts";

const OWN_THREADS: &str = "/proc/self/task";
/// Linux counts processor time for its readers in hundredths of a second (USER_HZ) on every
/// architecture of today.
const TICKS_PER_SECOND: u64 = 100;
const SYSTEM: ExplicitSystemInfo = ExplicitSystemInfo {
    boot_time_secs: 0,
    ticks_per_second: TICKS_PER_SECOND,
    page_size: 4_096,
    is_little_endian: true,
};

#[derive(Debug, Clone)]
pub struct Part {
    name: String,
    whose: Whose,
}

#[derive(Debug, Clone, Copy)]
pub enum Whose {
    Process(u32),
    /// A process and its children, those that ended included.
    Family(u32),
    /// The children of this process that have ended and been waited for.
    EndedChildren,
    /// The threads of this process that shoppers live on.
    Shoppers,
    /// The other threads of this process, among them the collector of traces.
    Harness,
}

impl Part {
    pub fn new(name: &str, whose: Whose) -> Self {
        Self {
            name: name.to_owned(),
            whose,
        }
    }

    /// This process, in two parts.
    pub fn of_this_process() -> [Self; 2] {
        [
            Self::new(GENERATOR, Whose::Shoppers),
            Self::new(COLLECTOR, Whose::Harness),
        ]
    }
}

#[derive(Debug)]
pub struct ProcessorTime {
    parts: BTreeMap<String, f64>,
    machine: CpuTime,
}

/// Where the processor time of a stretch went.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Spent {
    /// Microseconds of processor time for each coupon given, by part.
    pub us_each: BTreeMap<String, f64>,
    /// Seconds of processor time, by part.
    pub seconds: BTreeMap<String, f64>,
    /// The share of the machine's processors that was busy, 0 to 1.
    pub busy: f64,
    /// The share that programs outside this measurement used, 0 to 1. Well above 0, the figures are
    /// too low.
    pub others: f64,
    /// The share that the hypervisor gave to other machines, 0 to 1.
    pub stolen: f64,
}

impl ProcessorTime {
    /// Reads the time of each part, and of the machine.
    pub fn read(parts: &[Part]) -> Result<Self> {
        let machine = KernelStats::from_file("/proc/stat", &SYSTEM);
        let machine = machine.context("processor time is measured on Linux only")?;
        let times = parts.iter();
        let times = times.map(|part| Ok((part.name.clone(), seconds_of(part.whose)?)));
        Ok(Self {
            parts: times.collect::<Result<_>>()?,
            machine: machine.total,
        })
    }

    /// What was spent since `before`, in which so many coupons were given.
    pub fn since(&self, before: &Self, issued: u64) -> Spent {
        let mut seconds: BTreeMap<_, _> = self
            .parts
            .iter()
            .map(|(name, time)| {
                let earlier = before.parts.get(name).copied().unwrap_or_default();
                (name.clone(), time - earlier)
            })
            .collect();
        let grew = |ticks: fn(&CpuTime) -> u64| {
            let grew = ticks(&self.machine).saturating_sub(ticks(&before.machine));
            seconds_from(grew)
        };
        let processes = grew(|it| it.user + it.nice + it.system);
        let interrupts = grew(|it| it.irq.unwrap_or(0) + it.softirq.unwrap_or(0));
        let stolen = grew(|it| it.steal.unwrap_or(0));
        let idle = grew(|it| it.idle + it.iowait.unwrap_or(0));
        let all = (processes + interrupts + stolen + idle).max(seconds_from(1));
        let ours: f64 = seconds.values().sum();
        seconds.insert(INTERRUPTS.to_owned(), interrupts);
        let each = |time: &f64| 1e6 * time / issued.max(1) as f64;
        Spent {
            us_each: seconds
                .iter()
                .map(|(name, time)| (name.clone(), each(time)))
                .collect(),
            seconds,
            busy: (processes + interrupts) / all,
            others: ((processes - ours) / all).max(0.0),
            stolen: stolen / all,
        }
    }
}

impl Spent {
    /// Microseconds of all parts together for each coupon given.
    pub fn all_us_each(&self) -> f64 {
        self.us_each.values().sum()
    }

    /// Seconds of the services and of PostgreSQL: of what serves, and does not measure.
    pub fn suite_seconds(&self) -> f64 {
        let of_suite = |part: &str| ![GENERATOR, COLLECTOR, INTERRUPTS].contains(&part);
        let parts = self.seconds.iter().filter(|(part, _)| of_suite(part));
        parts.map(|(_, seconds)| seconds).sum()
    }

    /// The share of the whole machine that a part used, 0 to 1.
    pub fn share_of(&self, part: &str) -> f64 {
        let spent: f64 = self.seconds.values().sum();
        let of_part = self.seconds.get(part).copied().unwrap_or_default();
        (self.busy - self.others) * of_part / spent.max(f64::EPSILON)
    }
}

fn seconds_of(whose: Whose) -> Result<f64> {
    let stat = |process: u32| {
        let stat = Stat::from_file(format!("/proc/{process}/stat"));
        stat.with_context(|| format!("process {process} is gone"))
    };
    match whose {
        Whose::Process(process) => Ok(own(&stat(process)?)),
        Whose::Family(process) => {
            let parent = stat(process)?;
            let children = sum_in("/proc", |stat| stat.ppid.unsigned_abs() == process)?;
            Ok(own(&parent) + ended_children(&parent) + children)
        }
        Whose::EndedChildren => Ok(ended_children(&stat(std::process::id())?)),
        Whose::Shoppers => sum_in(OWN_THREADS, |stat| stat.comm == THREAD_NAME),
        Whose::Harness => sum_in(OWN_THREADS, |stat| stat.comm != THREAD_NAME),
    }
}

fn own(stat: &Stat) -> f64 {
    seconds_from(stat.utime + stat.stime)
}

fn ended_children(stat: &Stat) -> f64 {
    seconds_from((stat.cutime + stat.cstime).unsigned_abs())
}

fn seconds_from(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND as f64
}

/// The time of what there is with a number in a folder of /proc; what ends meanwhile is left out.
fn sum_in(folder: &str, wanted: impl Fn(&Stat) -> bool) -> Result<f64> {
    let entries = fs::read_dir(folder).with_context(|| format!("{folder} cannot be read"))?;
    let numbered = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().bytes().all(|it| it.is_ascii_digit())
    });
    let stats = numbered.filter_map(|entry| Stat::from_file(entry.path().join("stat")).ok());
    Ok(stats.filter(wanted).map(|stat| own(&stat)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outside_the_measurement_is_told_apart() {
        let at = |ours: f64, cpu: &str| {
            let stat = format!("cpu  {cpu}\nctxt 1\nbtime 1\nprocesses 1\n");
            ProcessorTime {
                parts: BTreeMap::from([("gateway-0".to_owned(), ours)]),
                machine: KernelStats::from_read(stat.as_bytes(), &SYSTEM)
                    .unwrap()
                    .total,
            }
        };
        let before = at(1.0, "1000 0 0 1000 0 0 0 0 0 0");
        let after = at(7.0, "1700 0 100 1100 0 20 30 50 0 0");
        let spent = after.since(&before, 1_000_000);
        assert_eq!(spent.seconds["gateway-0"], 6.0);
        assert_eq!(spent.us_each["gateway-0"], 6.0);
        let near = |left: f64, right: f64| (left - right).abs() < 1e-9;
        assert!(
            near(spent.busy, 0.85) && near(spent.others, 0.2) && near(spent.stolen, 0.05),
            "{spent:?}"
        );
    }
}
