//! Processor time of every process that has a part in a claim, from Linux's /proc.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
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
const TICKS_PER_SECOND: f64 = 100.0;

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
    machine: Machine,
}

#[derive(Debug, Clone, Copy)]
struct Machine {
    processes: f64,
    interrupts: f64,
    stolen: f64,
    all: f64,
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
        let machine = fs::read_to_string("/proc/stat")
            .context("/proc/stat cannot be read: processor time is measured on Linux only")?;
        let times = parts
            .iter()
            .map(|part| Ok((part.name.clone(), seconds_of(part.whose)?)));
        Ok(Self {
            parts: times.collect::<Result<_>>()?,
            machine: Machine::parse(&machine).context("/proc/stat is not as expected")?,
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
        let (now, then) = (&self.machine, &before.machine);
        let all = (now.all - then.all).max(1.0 / TICKS_PER_SECOND);
        let processes = now.processes - then.processes;
        let ours: f64 = seconds.values().sum();
        let interrupts = now.interrupts - then.interrupts;
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
            stolen: (now.stolen - then.stolen) / all,
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

impl Machine {
    /// Reads the first line: user, nice, system, idle, iowait, irq, softirq, steal. Guests are part
    /// of user.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<f64> = line
            .split_whitespace()
            .map(|ticks| Some(ticks.parse::<f64>().ok()? / TICKS_PER_SECOND))
            .collect::<Option<_>>()?;
        let [user, nice, system, _, _, irq, softirq, stolen] = *times.get(..8)? else {
            return None;
        };
        Some(Self {
            processes: user + nice + system,
            interrupts: irq + softirq,
            stolen,
            all: times[..8].iter().sum(),
        })
    }
}

fn seconds_of(whose: Whose) -> Result<f64> {
    match whose {
        Whose::Process(process) => Ok(Stat::of_process(process)?.own),
        Whose::Family(process) => {
            let parent = Stat::of_process(process)?;
            let children = sum_in("/proc", |stat| stat.parent == process)?;
            Ok(parent.own + parent.ended_children + children)
        }
        Whose::EndedChildren => Ok(Stat::of_process(std::process::id())?.ended_children),
        Whose::Shoppers => sum_in(OWN_THREADS, |stat| stat.name == THREAD_NAME),
        Whose::Harness => sum_in(OWN_THREADS, |stat| stat.name != THREAD_NAME),
    }
}

/// The time of what there is with a number in a folder of /proc; what ends meanwhile is left out.
fn sum_in(folder: &str, wanted: impl Fn(&Stat) -> bool) -> Result<f64> {
    let entries = fs::read_dir(folder).with_context(|| format!("{folder} cannot be read"))?;
    let numbered = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().bytes().all(|it| it.is_ascii_digit())
    });
    let stats = numbered
        .filter_map(|entry| Stat::parse(&fs::read_to_string(entry.path().join("stat")).ok()?));
    Ok(stats.filter(wanted).map(|stat| stat.own).sum())
}

#[derive(Debug, PartialEq)]
struct Stat {
    name: String,
    parent: u32,
    own: f64,
    ended_children: f64,
}

impl Stat {
    fn of_process(process: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat"))
            .with_context(|| format!("process {process} is gone"))?;
        Self::parse(&text).with_context(|| format!("/proc/{process}/stat is not as expected"))
    }

    /// Reads `number (name) state parent …`; names may hold blanks and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let seconds =
            |place: usize| Some(fields.get(place)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
        Some(Self {
            name,
            parent: fields.get(1)?.parse().ok()?,
            own: seconds(11)? + seconds(12)?,
            ended_children: seconds(13)? + seconds(14)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_strange_name_is_read_right() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 99";
        assert_eq!(
            Stat::parse(text),
            Some(Stat {
                name: "a) b (c".into(),
                parent: 7,
                own: 2.0,
                ended_children: 0.5
            })
        );
    }

    #[test]
    fn time_outside_the_measurement_is_told_apart() {
        let at = |ours: f64, stat: &str| ProcessorTime {
            parts: BTreeMap::from([("gateway-0".to_owned(), ours)]),
            machine: Machine::parse(stat).unwrap(),
        };
        let before = at(1.0, "cpu  1000 0 0 1000 0 0 0 0 0 0\n");
        let after = at(7.0, "cpu  1700 0 100 1100 0 20 30 50 0 0\n");
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
