//! What each action does: the steps of the two services around their rules.

use std::sync::Arc;

use tidegate_issuance::domain::fence::{Counts, Fence};
use tidegate_quota::domain::{IssuanceControl, IssuanceState, Lease, Settlement, grant};
use tidegate_types::TierNumber;

use crate::{
    Action, Fault, LeaseId, LeaseProtocol,
    state::{Halt, LeaseLife, Lent, Message, State, Stock, to_issuance, to_quota},
};

impl LeaseProtocol {
    pub(crate) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Ask(id) => {
                lease_mut(state, id).in_flight.insert(Message::Ask);
            }
            Action::Deliver(id, Message::Ask) => self.acquire(state, id),
            Action::Deliver(id, Message::Granted(granted)) => {
                self.install(lease_mut(state, id), granted, true);
            }
            Action::Deliver(id, Message::Seal) => self.seal(lease_mut(state, id)),
            Action::Deliver(id, Message::Used(used)) => self.settle(state, id, &used),
            Action::InstallUnheard(id, granted) => {
                self.install(lease_mut(state, id), granted, false);
            }
            Action::Spend {
                lease,
                tier,
                is_heard,
            } => self.spend(state, lease, tier, is_heard),
            Action::GiveBack(id) => give_back(lease_mut(state, id)),
            Action::Crash(holder) => {
                let holder = &mut state.holders[holder];
                holder.alive = false;
                for lease in holder.leases.iter_mut().filter(|it| it.in_hand.is_some()) {
                    Arc::make_mut(lease).in_hand = None;
                }
            }
            Action::Suspect(holder) => send_seals(&mut state.holders[holder].leases),
            Action::Halt => {
                state.halt = Halt::Ordered;
                let holders = state.holders.iter_mut();
                holders.for_each(|holder| send_seals(&mut holder.leases));
            }
            Action::AcknowledgeHalt => self.acknowledge_halt(state),
            Action::Resume => state.halt = Halt::Over,
        }
    }

    /// Quota lends, once for each lease. Nothing granted leaves no trace, so the same question may
    /// be answered otherwise later.
    fn acquire(&self, state: &mut State, id: LeaseId) {
        let grants = state.control().issuance == IssuanceControl::Open
            || self.makes(Fault::GrantsWhileHalted);
        if !grants || state.holders[id.holder].leases[id.lease].lent.is_some() {
            return;
        }
        let request = &self.request;
        let others = state.others_with_leases(id.holder);
        let tiers = state.tiers();
        let granted = grant(&request.wanted, request.wanted_of_any_tier, &tiers, others);
        if granted.total() == 0 {
            return;
        }
        for (stock, (_, quantity)) in state.stock.iter_mut().zip(granted.iter()) {
            *stock = Stock(stock.0.lend(quantity));
        }
        let granted = to_issuance(&granted);
        let lease = lease_mut(state, id);
        lease.in_flight.insert(Message::Granted(granted.clone()));
        lease.lent = Some(Lent {
            granted,
            used: None,
        });
    }

    /// The holder makes a lease spendable, and works with what the database says is left of it.
    fn install(&self, lease: &mut LeaseLife, granted: Counts, is_heard: bool) {
        let (fence, _) = std::mem::take(&mut lease.fence).install(granted);
        lease.fence = fence;
        if is_heard && let Fence::Open { granted, used } = &lease.fence {
            let left = granted.iter().map(|(tier, granted)| {
                let used = used.get(tier).copied().unwrap_or_default();
                (*tier, granted - used)
            });
            lease.in_hand = Some(left.collect());
        }
    }

    /// One coupon and its lease, in one commit. What is refused changes nothing, the holder's
    /// belief included: a holder may be slow to learn.
    fn spend(&self, state: &mut State, id: LeaseId, tier: TierNumber, is_heard: bool) {
        let lease = lease_mut(state, id);
        match lease.fence.clone().spend(tier, 1) {
            Ok(fence) => lease.fence = fence,
            Err(_) if self.makes(Fault::SpendsWithoutTheFence) => {}
            Err(_) => return,
        }
        let left = lease.in_hand.as_mut().and_then(|it| it.get_mut(&tier));
        if let Some(left) = left.filter(|_| is_heard) {
            *left -= 1;
        }
        state.coupons[usize::from(tier.get())] += 1;
    }

    /// Issuance seals because quota wants it.
    fn seal(&self, lease: &mut LeaseLife) {
        let never_installed = lease.fence == Fence::Unknown;
        let (sealed, used) = lease.fence.clone().seal();
        if never_installed && self.makes(Fault::AnswersNoSealOfTheUnknown) {
            return;
        }
        lease.in_flight.insert(Message::Used(used));
        let stays = self.makes(Fault::CreditsWithoutTheSeal)
            || never_installed && self.makes(Fault::LeavesNoTombstone);
        if !stays {
            lease.fence = sealed;
        }
    }

    /// Quota settles, once for each lease.
    fn settle(&self, state: &mut State, id: LeaseId, used: &Counts) {
        let Some(lent) = &state.holders[id.holder].leases[id.lease].lent else {
            return;
        };
        let used = to_quota(used);
        let lease = self.lease(lent);
        match lease.settle(&used) {
            Ok(Settlement::Now) => {}
            Ok(Settlement::Before) if self.makes(Fault::CreditsEveryTime) => {}
            Ok(Settlement::Before) | Err(_) => return,
        }
        lease_mut(state, id).lent = Some(Lent {
            granted: to_issuance(&lease.granted),
            used: Some(to_issuance(&used)),
        });
        for (stock, (tier, granted)) in state.stock.iter_mut().zip(lease.granted.iter()) {
            *stock = Stock(stock.0.settle(granted, used.get(tier)));
        }
    }

    /// Quota tells staff how issuing stands; only that it is halted is an acknowledgement.
    fn acknowledge_halt(&self, state: &mut State) {
        let is_halted = state.control().issuance_state(&state.tiers()) == IssuanceState::Halted;
        if is_halted || self.makes(Fault::AcknowledgesBeforeTheSeals) {
            let coupons = state.coupon_count();
            state.halt = Halt::Acknowledged { coupons };
        }
    }

    /// A lease as quota's rules take it.
    pub(crate) fn lease(&self, lent: &Lent) -> Lease {
        Lease {
            request: self.request.clone(),
            granted: to_quota(&lent.granted),
            used: lent.used.as_ref().map(to_quota),
            is_archived: false,
        }
    }
}

/// The holder seals by itself. It forgets the lease, whether its message arrives or not.
fn give_back(lease: &mut LeaseLife) {
    let (sealed, used) = std::mem::take(&mut lease.fence).seal();
    lease.fence = sealed;
    lease.in_hand = None;
    lease.in_flight.insert(Message::Used(used));
}

fn send_seals(leases: &mut [Arc<LeaseLife>]) {
    for lease in leases {
        if lease.lent.as_ref().is_some_and(Lent::is_outstanding) {
            Arc::make_mut(lease).in_flight.insert(Message::Seal);
        }
    }
}

fn lease_mut(state: &mut State, id: LeaseId) -> &mut LeaseLife {
    Arc::make_mut(&mut state.holders[id.holder].leases[id.lease])
}
