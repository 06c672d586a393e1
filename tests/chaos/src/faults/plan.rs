//! The plan of a round: which faults, in which order, at which targets, all from the seed.

use std::{collections::VecDeque, time::Duration};

use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use tidegate_local::postgres::{Database, Stalled};

use super::{Fault, Kind};
use crate::{
    edges::{Edge, POSTGRES},
    mutation::Mutation,
    suite::LEASE_TTL,
};

/// Past the TTL, with room for the readings after which a holder counts as silent and for the seal.
const PAST_THE_TTL: Duration = LEASE_TTL.saturating_mul(2);
/// A clock is wrong by at least one hour and at most six.
const CLOCK_SECONDS: std::ops::Range<i64> = 3_600..21_600;
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
    /// The names of all replicas.
    pub replicas: Vec<String>,
    pub edges: Vec<Edge>,
    /// Whether clocks can be moved on this machine.
    pub clocks: bool,
}

/// A fault, and a milder one that lasts meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub kind: Kind,
    pub fault: Fault,
    /// What overlaps with it, if anything.
    pub companion: Option<(Kind, Fault)>,
}

#[derive(Debug)]
pub struct Plan {
    random: StdRng,
    repertoire: Repertoire,
    kinds: Vec<Kind>,
    next: VecDeque<Kind>,
    stalls: usize,
    is_full: bool,
    callers_come: bool,
}

impl Plan {
    /// The plan of a seed, of one kind of fault only if that is asked for. A mutation is only shown
    /// the faults that expose it.
    pub fn new(
        seed: u64,
        repertoire: Repertoire,
        mutation: Option<Mutation>,
        only: Option<Kind>,
    ) -> Self {
        let mut kinds = match mutation {
            None => only.map_or(Kind::ALL.to_vec(), |kind| vec![kind]),
            Some(Mutation::AcknowledgeBeforeCommit) => vec![Kind::KillPostgres],
            Some(Mutation::SpendWithoutFence | Mutation::SealNothing) => vec![Kind::Silence],
            Some(Mutation::DropUniqueKey) => vec![Kind::Split],
            // What exposes it is the halts, under many claims.
            Some(Mutation::AcknowledgeHaltEarly) => vec![Kind::Delay],
            Some(Mutation::KeepStaleEstimates) => vec![Kind::StallIssuanceDatabase],
        };
        kinds.retain(|kind| *kind != Kind::ClockJump || repertoire.clocks);
        Self {
            random: StdRng::seed_from_u64(seed),
            repertoire,
            kinds,
            next: VecDeque::new(),
            stalls: 0,
            is_full: mutation.is_none() && only.is_none(),
            callers_come: mutation.is_none_or(|it| it == Mutation::KeepStaleEstimates),
        }
    }

    /// How many steps it takes until each kind had its turn.
    pub fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Whether it is looked after each fault who is served again; most mutations break other
    /// promises than that.
    pub fn callers_come(&self) -> bool {
        self.callers_come
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
        Step {
            kind,
            fault,
            companion,
        }
    }

    /// Something that only makes the other fault harder to bear: both are undone by time alone.
    fn companion(&mut self) -> (Kind, Fault) {
        let kind = if self.repertoire.clocks && self.random.random() {
            Kind::ClockJump
        } else {
            Kind::Delay
        };
        (kind, self.fault(kind))
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        match kind {
            Kind::KillQuota => self.kill("quota"),
            Kind::KillIssuance => self.kill("issuance"),
            Kind::KillOrderIntake => self.kill("order-intake"),
            Kind::KillGateway => self.kill("gateway"),
            Kind::KillPostgres => Fault::KillPostgres {
                away: self.milliseconds(0..1_500),
            },
            Kind::PauseIssuance => Fault::Pause {
                replica: self.replica("issuance"),
                still: PAST_THE_TTL,
            },
            Kind::PauseAnother => Fault::Pause {
                replica: {
                    let service = ["quota", "order-intake", "gateway"].choose(&mut self.random);
                    self.replica(service.unwrap_or(&"quota"))
                },
                still: self.milliseconds(1_500..4_000),
            },
            Kind::Cut => Fault::Cut {
                edge: self.edge(|edge| edge.to != POSTGRES),
                lasts: self.milliseconds(1_000..3_000),
            },
            Kind::CutPostgres => Fault::Cut {
                edge: self.edge(|edge| edge.to == POSTGRES),
                lasts: self.milliseconds(1_000..3_000),
            },
            Kind::Stall => Fault::Stall {
                edge: self.edge(|_| true),
                lasts: self.milliseconds(1_000..4_000),
            },
            Kind::Delay => Fault::Delay {
                edge: self.edge(|_| true),
                there: self.milliseconds(0..60),
                back: self.milliseconds(5..60),
                lasts: self.milliseconds(1_000..3_000),
            },
            Kind::Split => Fault::Split {
                lasts: self.milliseconds(2_000..4_000),
            },
            Kind::Silence => Fault::Silence {
                replica: self.replica("issuance"),
                lasts: PAST_THE_TTL,
            },
            Kind::ClockJump => self.clock_jump(),
            Kind::RollingRestart => Fault::RollingRestart,
            Kind::StallQuotaDatabase => self.stall(Stalled::Backends(Database::Quota)),
            Kind::StallIssuanceDatabase => self.stall(Stalled::Backends(Database::Issuance)),
            Kind::StallOrderIntakeDatabase => self.stall(Stalled::Backends(Database::OrderIntake)),
            Kind::StallDisk => self.stall(Stalled::Disk),
        }
    }

    fn stall(&mut self, stalled: Stalled) -> Fault {
        let (lasts, times) = STALLS[self.stalls % STALLS.len()];
        self.stalls += 1;
        Fault::StallPostgres {
            stalled,
            lasts,
            times,
        }
    }

    fn kill(&mut self, service: &str) -> Fault {
        Fault::Kill {
            replica: self.replica(service),
            away: self.milliseconds(0..1_500),
        }
    }

    fn clock_jump(&mut self) -> Fault {
        let seconds = self.random.random_range(CLOCK_SECONDS);
        let back: bool = self.random.random();
        Fault::ClockJump {
            replica: self.replica(""),
            offset_seconds: if back { -seconds } else { seconds },
            lasts: self.milliseconds(1_000..3_000),
        }
    }

    /// A replica whose name begins so.
    fn replica(&mut self, service: &str) -> String {
        let replicas = self.repertoire.replicas.iter();
        let of_service: Vec<_> = replicas.filter(|name| name.starts_with(service)).collect();
        of_service
            .choose(&mut self.random)
            .map_or_else(String::new, |name| (*name).clone())
    }

    fn edge(&mut self, wanted: fn(&Edge) -> bool) -> Edge {
        let edges = self.repertoire.edges.iter();
        let wanted: Vec<_> = edges.filter(|edge| wanted(edge)).collect();
        let edge = wanted.choose(&mut self.random);
        edge.map_or_else(Edge::default, |edge| (*edge).clone())
    }

    fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }
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
            clocks: true,
        };
        Plan::new(seed, repertoire, None, None)
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
        let first: BTreeSet<_> = (0..plan.kinds()).map(|_| plan.next().kind).collect();
        assert_eq!(first.len(), Kind::ALL.len());
    }
}
