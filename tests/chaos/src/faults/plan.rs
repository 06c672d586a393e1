//! The plan of a round: which faults, in which order, at which targets, all from the seed.

use std::{collections::VecDeque, ops::Range, time::Duration};

use clap::ValueEnum;
use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use tidegate_local::{postgres::Stalled, stack::Service};

use super::{Deed, Fault, Kind};
use crate::{
    edges::{Edge, POSTGRES},
    mutation::Mutation,
    proxy::Weather,
    round::Settings,
    suite::LEASE_TTL,
};

/// Past the TTL, with room for the readings after which a holder counts as silent and for the seal.
const PAST_THE_TTL: Duration = LEASE_TTL.saturating_mul(2);
/// A clock is wrong by at least one hour and at most six.
const CLOCK_SECONDS: Range<i64> = 3_600..21_600;
/// A cut comes within so many bytes: some messages, or a few commits.
const CUT: Weather = Weather {
    cuts_within_bytes: Some(6_000),
    ..Weather::FAIR
};
const STILL: Weather = Weather {
    stalls: true,
    ..Weather::FAIR
};
const CLOSED: Weather = Weather {
    refuses: true,
    ..Weather::FAIR
};
const BREATH: Duration = Duration::from_millis(400);
/// With a mutation, so that there is something to lose.
const LONG_BREATH: Duration = Duration::from_millis(1_500);
const COMPANIONS_OF_HUNDRED: u32 = 30;
/// Stalls of the database, one after the other: how long, and how many in a row. They lie below,
/// at and above what commits and callers wait.
const STALLS: [(Duration, u32); 4] = [
    (Duration::from_millis(9_900), 2),
    (Duration::from_secs(1), 3),
    (Duration::from_secs(30), 1),
    (Duration::from_secs(5), 2),
];

/// What there is to break.
#[derive(Debug, Clone)]
pub struct Repertoire {
    pub replicas: Vec<String>,
    pub edges: Vec<Edge>,
}

/// A fault, and a milder one that lasts meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub fault: Fault,
    /// What overlaps with it, if anything.
    pub companion: Option<Fault>,
}

/// What a fault is in words, what is done, and for how long.
type Drawn = (String, Deed, Duration);

#[derive(Debug)]
pub struct Plan {
    random: StdRng,
    repertoire: Repertoire,
    /// Each has its turn before any comes again.
    pub kinds: Vec<Kind>,
    next: VecDeque<Kind>,
    stalls: usize,
    is_full: bool,
    /// Whether it is looked after each fault who is served again; most mutations break other
    /// promises than that.
    pub callers_come: bool,
}

impl Plan {
    /// The plan of a round's seed, of one kind of fault only if that is asked for. A mutation is
    /// only shown the faults that expose it.
    pub fn new(settings: &Settings, repertoire: Repertoire) -> Self {
        let (mutation, only) = (settings.mutation, settings.only);
        let mut kinds = match mutation {
            None => only.map_or(Kind::value_variants().to_vec(), |kind| vec![kind]),
            Some(Mutation::AcknowledgeBeforeCommit) => vec![Kind::KillPostgres],
            Some(Mutation::SpendWithoutFence | Mutation::SealNothing) => vec![Kind::Silence],
            Some(Mutation::DropUniqueKey) => vec![Kind::Split],
            // What exposes it is the halts, under many claims.
            Some(Mutation::AcknowledgeHaltEarly) => vec![Kind::Delay],
            Some(Mutation::KeepStaleEstimates) => vec![Kind::StallIssuanceDatabase],
        };
        kinds.retain(|kind| kind.is_possible());
        Self {
            random: StdRng::seed_from_u64(settings.seed),
            repertoire,
            kinds,
            next: VecDeque::new(),
            stalls: 0,
            is_full: mutation.is_none() && only.is_none(),
            callers_come: mutation.is_none_or(|it| it == Mutation::KeepStaleEstimates),
        }
    }

    /// How long the suite is left alone before a step, so that work is under way again.
    pub fn breath(&self) -> Duration {
        if self.is_full { BREATH } else { LONG_BREATH }
    }

    pub fn next(&mut self) -> Step {
        if self.next.is_empty() {
            let mut kinds = self.kinds.clone();
            kinds.shuffle(&mut self.random);
            self.next = kinds.into();
        }
        let kind = self.next.pop_front().unwrap_or(Kind::Delay);
        let fault = self.fault(kind);
        let companion = (self.is_full && self.random.random_range(0..100) < COMPANIONS_OF_HUNDRED)
            .then(|| self.companion());
        Step { fault, companion }
    }

    /// Something that only makes the other fault harder to bear: both are undone by time alone.
    fn companion(&mut self) -> Fault {
        let is_jump = Kind::ClockJump.is_possible() && self.random.random();
        self.fault(if is_jump {
            Kind::ClockJump
        } else {
            Kind::Delay
        })
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        let (what, deed, lasts) = self.drawn(kind);
        Fault {
            kind,
            what,
            deed,
            lasts,
        }
    }

    fn drawn(&mut self, kind: Kind) -> Drawn {
        match kind {
            Kind::KillQuota => self.kill("quota"),
            Kind::KillIssuance => self.kill("issuance"),
            Kind::KillOrderIntake => self.kill("order-intake"),
            Kind::KillGateway => self.kill("gateway"),
            Kind::KillPostgres => {
                let away = self.milliseconds(0..1_500);
                ("kill PostgreSQL".to_owned(), Deed::KillPostgres, away)
            }
            Kind::PauseIssuance => pause(self.replica("issuance"), PAST_THE_TTL),
            Kind::PauseAnother => {
                let service = ["quota", "order-intake", "gateway"].choose(&mut self.random);
                let replica = self.replica(service.unwrap_or(&"quota"));
                pause(replica, self.milliseconds(1_500..4_000))
            }
            Kind::Cut => self.on_an_edge("cut", |edge| edge.to != POSTGRES, CUT, 1_000..3_000),
            Kind::CutPostgres => {
                self.on_an_edge("cut", |edge| edge.to == POSTGRES, CUT, 1_000..3_000)
            }
            Kind::Stall => self.on_an_edge("stall", |_| true, STILL, 1_000..4_000),
            Kind::Delay => self.delay(),
            Kind::Split => {
                // gateway-0 loses issuance-0, and gateway-1 issuance-1.
                let is_lost = |edge: &Edge| {
                    let number = edge.from.strip_prefix("gateway");
                    number.is_some() && number == edge.to.strip_prefix("issuance")
                };
                let deed = Deed::Weather(self.edges(is_lost), CLOSED);
                let what = "split the gateways".to_owned();
                (what, deed, self.milliseconds(2_000..4_000))
            }
            Kind::Silence => {
                let replica = self.replica("issuance");
                let silent = self.edges(|edge| edge.from == replica && edge.to == "quota-0");
                let what = format!("silence {replica} towards quota");
                (what, Deed::Weather(silent, STILL), PAST_THE_TTL)
            }
            Kind::ClockJump => self.clock_jump(),
            Kind::RollingRestart => {
                let what = "rolling restart".to_owned();
                (what, Deed::RollingRestart, Duration::ZERO)
            }
            Kind::StallQuotaDatabase => self.stall(Stalled::Backends(Service::Quota)),
            Kind::StallIssuanceDatabase => self.stall(Stalled::Backends(Service::Issuance)),
            Kind::StallOrderIntakeDatabase => self.stall(Stalled::Backends(Service::OrderIntake)),
            Kind::StallDisk => self.stall(Stalled::Disk),
        }
    }

    fn kill(&mut self, service: &str) -> Drawn {
        let replica = self.replica(service);
        let away = self.milliseconds(0..1_500);
        (format!("kill {replica}"), Deed::Kill(replica), away)
    }

    fn on_an_edge(
        &mut self,
        what: &str,
        wanted: fn(&Edge) -> bool,
        weather: Weather,
        lasts_ms: Range<u64>,
    ) -> Drawn {
        let edge = self.edge(wanted);
        let what = format!("{what} {edge}");
        let deed = Deed::Weather(vec![edge], weather);
        (what, deed, self.milliseconds(lasts_ms))
    }

    fn delay(&mut self) -> Drawn {
        let edge = self.edge(|_| true);
        let there = self.random.random_range(0..60);
        let back = self.random.random_range(5..60);
        let what = format!("delay {edge} by {there} and {back} ms");
        let weather = Weather {
            delays: (Duration::from_millis(there), Duration::from_millis(back)),
            ..Weather::FAIR
        };
        let deed = Deed::Weather(vec![edge], weather);
        (what, deed, self.milliseconds(1_000..3_000))
    }

    fn stall(&mut self, stalled: Stalled) -> Drawn {
        let (lasts, times) = STALLS[self.stalls % STALLS.len()];
        self.stalls += 1;
        let milliseconds = lasts.as_millis();
        let what = format!("stall {stalled:?} {times} times for {milliseconds} ms");
        (what, Deed::StallPostgres(stalled, times), lasts)
    }

    fn clock_jump(&mut self) -> Drawn {
        let seconds = self.random.random_range(CLOCK_SECONDS);
        let back: bool = self.random.random();
        let seconds = if back { -seconds } else { seconds };
        let replica = self.replica("");
        let what = format!("move the clock of {replica} by {seconds} s");
        let deed = Deed::Clock(replica, seconds);
        (what, deed, self.milliseconds(1_000..3_000))
    }

    /// A replica whose name begins so.
    fn replica(&mut self, service: &str) -> String {
        let replicas = self.repertoire.replicas.iter();
        let of_service: Vec<_> = replicas.filter(|name| name.starts_with(service)).collect();
        of_service
            .choose(&mut self.random)
            .map_or_else(String::new, |name| (*name).clone())
    }

    fn edges(&self, wanted: impl Fn(&Edge) -> bool) -> Vec<Edge> {
        let edges = self.repertoire.edges.iter();
        edges.filter(|edge| wanted(edge)).cloned().collect()
    }

    fn edge(&mut self, wanted: fn(&Edge) -> bool) -> Edge {
        let edge = self.edges(wanted).choose(&mut self.random).cloned();
        edge.unwrap_or_default()
    }

    fn milliseconds(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }
}

fn pause(replica: String, still: Duration) -> Drawn {
    let what = format!("pause {replica} for {} ms", still.as_millis());
    (what, Deed::Pause(replica), still)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plan(seed: u64) -> Plan {
        let edge = |to: &str| Edge {
            from: "issuance-0".to_owned(),
            to: to.to_owned(),
        };
        let names = [
            "quota-0",
            "issuance-0",
            "issuance-1",
            "order-intake-0",
            "gateway-0",
        ];
        let repertoire = Repertoire {
            replicas: names.map(str::to_owned).to_vec(),
            edges: vec![edge(POSTGRES), edge("quota-0")],
        };
        let settings = Settings {
            seed,
            faults_last: Duration::ZERO,
            mutation: None,
            only: None,
            data: "nowhere".into(),
            say: |_| (),
        };
        Plan::new(&settings, repertoire)
    }

    #[test]
    fn a_seed_gives_the_same_plan_again_and_another_seed_another() {
        let steps = |seed| {
            let mut plan = plan(seed);
            (0..40).map(|_| plan.next()).collect::<Vec<_>>()
        };
        assert_eq!(steps(1), steps(1));
        assert_ne!(steps(1), steps(2));
    }

    #[test]
    fn each_kind_comes_before_any_comes_again() {
        let mut plan = plan(3);
        let first: BTreeSet<_> = (0..plan.kinds.len())
            .map(|_| plan.next().fault.kind)
            .collect();
        assert_eq!(first.len(), Kind::value_variants().len());
    }
}
