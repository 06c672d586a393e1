use std::{fmt, sync::Arc};

use stateright::{Model, Property};
use tidegate_issuance::domain::fence::Counts;
use tidegate_quota::domain::{LeaseRequest, TierCounts, TierStock};
use tidegate_types::{CampaignNumber, Lanes, ReplicaId, TierNumber};
use uuid::Uuid;

use crate::{
    Fault, promises,
    state::{Halt, Holder, Message, State, Stock},
    witnesses,
};

/// How big the world is.
#[derive(Clone, Debug)]
pub struct World {
    /// How many replicas there are.
    pub holders: usize,
    /// How many leases each asks for.
    pub leases_per_holder: usize,
    /// The stock of each tier.
    pub stock: Vec<u64>,
    /// How many coupons of each tier every lease is to have.
    pub wanted_of_each_tier: u64,
    /// How many of whichever tier has stock.
    pub wanted_of_any_tier: u64,
    /// Whether the campaign may be halted and resumed.
    pub may_halt: bool,
    /// Whether a holder may miss the answer of its database to something that was committed.
    pub may_lose_commits: bool,
}

/// The protocol in a world of one campaign.
#[derive(Clone, Debug)]
pub struct LeaseProtocol {
    /// The size of the world.
    pub world: World,
    /// The mistake it makes, if it is to make one.
    pub fault: Option<Fault>,
    /// Every lease is asked for in the same words; only its id and its holder differ, and no rule
    /// of quota looks at those.
    pub(crate) request: LeaseRequest,
}

/// A lease by the places of its holder and of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LeaseId {
    pub holder: usize,
    pub lease: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A holder asks for a lease.
    Ask(LeaseId),
    /// A message arrives, for the first time or again.
    Deliver(LeaseId, Message),
    /// A granted lease is installed and the holder does not learn of it.
    InstallUnheard(LeaseId, Counts),
    /// A holder commits a coupon.
    Spend {
        /// From this lease.
        lease: LeaseId,
        tier: TierNumber,
        /// False if the holder does not learn of it.
        is_heard: bool,
    },
    /// A holder seals a lease and tells quota what was used.
    GiveBack(LeaseId),
    /// A holder dies, and its memory with it.
    Crash(usize),
    /// Quota takes a holder for dead, rightly or not, and wants its leases sealed.
    Suspect(usize),
    /// Quota is told to halt the campaign, and wants all leases sealed.
    Halt,
    /// Quota tells staff that the campaign is halted.
    AcknowledgeHalt,
    /// Quota is told to let the campaign issue again.
    Resume,
}

impl LeaseProtocol {
    /// The protocol as it is to be.
    pub fn new(world: World) -> anyhow::Result<Self> {
        let mut wanted = TierCounts::default();
        for tier in 0..world.stock.len() {
            wanted.set(TierNumber::new(tier)?, world.wanted_of_each_tier);
        }
        let request = LeaseRequest {
            lease_id: Uuid::nil(),
            campaign: CampaignNumber::new(1u32)?,
            holder: ReplicaId::parse("holder")?,
            lane: Lanes::new(1u16)?.lane(0u16)?,
            wanted,
            wanted_of_any_tier: world.wanted_of_any_tier,
        };
        Ok(Self {
            world,
            fault: None,
            request,
        })
    }

    /// The protocol with a mistake in it.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..self
        }
    }

    pub(crate) fn makes(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(crate) fn stock_at_first(&self) -> Vec<TierStock> {
        let stock = self.world.stock.iter().map(|stock| TierStock {
            free: *stock,
            ..TierStock::default()
        });
        stock.collect()
    }

    pub(crate) fn lease_ids(&self) -> impl Iterator<Item = LeaseId> {
        let leases = self.world.leases_per_holder;
        (0..self.world.holders)
            .flat_map(move |holder| (0..leases).map(move |lease| LeaseId { holder, lease }))
    }

    fn actions_of_holder(&self, holder: &Holder, id: LeaseId, actions: &mut Vec<Action>) {
        let lease = &holder.leases[id.lease];
        if !holder.alive {
            return;
        }
        if !lease.in_flight.contains(&Message::Ask) {
            actions.push(Action::Ask(id));
        }
        let Some(in_hand) = &lease.in_hand else {
            return;
        };
        actions.push(Action::GiveBack(id));
        for (tier, left) in in_hand {
            if *left == 0 {
                continue;
            }
            for is_heard in [true, false] {
                if is_heard || self.world.may_lose_commits {
                    actions.push(Action::Spend {
                        lease: id,
                        tier: *tier,
                        is_heard,
                    });
                }
            }
        }
    }

    fn deliveries(&self, holder: &Holder, id: LeaseId, actions: &mut Vec<Action>) {
        let lease = &holder.leases[id.lease];
        for message in &lease.in_flight {
            if let Message::Granted(granted) = message {
                // The dead hear nothing, and a holder at work with the lease waits for no answer
                // any more.
                if !holder.alive || lease.in_hand.is_some() {
                    continue;
                }
                if self.world.may_lose_commits {
                    actions.push(Action::InstallUnheard(id, granted.clone()));
                }
            }
            actions.push(Action::Deliver(id, message.clone()));
        }
    }
}

impl Model for LeaseProtocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let holder = Holder {
            alive: true,
            leases: vec![Arc::default(); self.world.leases_per_holder],
        };
        vec![State {
            halt: Halt::NotOrdered,
            stock: self.stock_at_first().into_iter().map(Stock).collect(),
            coupons: vec![0; self.world.stock.len()],
            holders: vec![holder; self.world.holders],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for id in self.lease_ids() {
            let holder = &state.holders[id.holder];
            self.actions_of_holder(holder, id, actions);
            self.deliveries(holder, id, actions);
        }
        for (place, holder) in state.holders.iter().enumerate() {
            if holder.alive {
                actions.push(Action::Crash(place));
            }
            actions.push(Action::Suspect(place));
        }
        match state.halt {
            Halt::NotOrdered if self.world.may_halt => actions.push(Action::Halt),
            Halt::Ordered => actions.extend([Action::AcknowledgeHalt, Action::Resume]),
            Halt::Acknowledged { .. } => actions.push(Action::Resume),
            Halt::NotOrdered | Halt::Over => {}
        }
    }

    /// Nothing where nothing changes: a state is not its own successor.
    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.apply(&mut state, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = promises::all();
        all.extend(witnesses::all(self));
        all
    }
}

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease {} of holder {}", self.lease, self.holder)
    }
}
