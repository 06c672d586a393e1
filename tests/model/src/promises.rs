//! What holds in every state.

use stateright::Property;
use tidegate_issuance::domain::fence::{Counts, Fence};
use tidegate_types::TierNumber;

use crate::{
    Action, LeaseId, LeaseProtocol,
    state::{Halt, Lent, Message, State},
};

/// There are never more coupons than stock, and moving stock neither makes nor loses any.
pub const NEVER_OVERSOLD: &str = "never-oversold";
/// The coupons are those that the leases say were used.
pub const COUPONS_ARE_SPENT_FROM_LEASES: &str = "coupons are spent from leases";
/// What quota settled is what was used and can never change, and its totals are those of its
/// leases.
pub const LEASES_ARE_SETTLED_ONCE: &str = "leases are settled once, with what was used";
/// Between the acknowledgement of a halt and the resumption no coupon commits.
pub const HALT_MEANS_HALT: &str = "halt-means-halt";
/// Whatever has happened, once all that is outstanding is sealed, all that was not used is free.
pub const UNUSED_COMES_BACK: &str = "unused-comes-back";

pub(crate) fn all() -> Vec<Property<LeaseProtocol>> {
    vec![
        Property::always(NEVER_OVERSOLD, never_oversold),
        Property::always(COUPONS_ARE_SPENT_FROM_LEASES, coupons_are_spent_from_leases),
        Property::always(LEASES_ARE_SETTLED_ONCE, leases_are_settled_once),
        Property::always(HALT_MEANS_HALT, halt_means_halt),
        Property::always(UNUSED_COMES_BACK, unused_comes_back),
    ]
}

fn never_oversold(model: &LeaseProtocol, state: &State) -> bool {
    let tiers = state.stock.iter().zip(&model.world.stock);
    tiers
        .zip(&state.coupons)
        .all(|((now, initial), coupons)| now.0.stock() == *initial && *coupons <= *initial)
}

fn coupons_are_spent_from_leases(_: &LeaseProtocol, state: &State) -> bool {
    let mut spent = vec![0; state.coupons.len()];
    for (_, lease) in state.leases() {
        match &lease.fence {
            Fence::Unknown => {}
            Fence::Open { used, .. } | Fence::Sealed { used, .. } => add(&mut spent, used),
        }
    }
    spent == state.coupons
}

fn leases_are_settled_once(_: &LeaseProtocol, state: &State) -> bool {
    let mut leased = vec![0; state.stock.len()];
    let mut settled = leased.clone();
    for (_, lease) in state.leases() {
        let Some(lent) = &lease.lent else {
            continue;
        };
        match (&lent.used, &lease.fence) {
            (None, _) => add(&mut leased, &lent.granted),
            (Some(told), Fence::Sealed { used, .. }) if told.iter().eq(some(used)) => {
                add(&mut settled, told);
            }
            (Some(_), _) => return false,
        }
    }
    let totals = leased.into_iter().zip(settled);
    totals.eq(state.stock.iter().map(|it| (it.0.leased, it.0.settled)))
}

fn halt_means_halt(_: &LeaseProtocol, state: &State) -> bool {
    match state.halt {
        Halt::Acknowledged { coupons } => state.coupon_count() == coupons,
        Halt::NotOrdered | Halt::Ordered | Halt::Over => true,
    }
}

/// Runs the recovery from this very state, with the protocol's own steps: quota suspects everybody,
/// every seal that is outstanding arrives, and so does every answer. That is stronger than to say
/// that nothing is on lease in the end, since it holds wherever a run is cut off.
fn unused_comes_back(model: &LeaseProtocol, state: &State) -> bool {
    let mut state = state.clone();
    for holder in 0..model.world.holders {
        model.apply(&mut state, Action::Suspect(holder));
    }
    let outstanding = |id: &LeaseId| {
        let lent = &state.holders[id.holder].leases[id.lease].lent;
        lent.as_ref().is_some_and(Lent::is_outstanding)
    };
    let outstanding: Vec<_> = model.lease_ids().filter(outstanding).collect();
    for id in outstanding {
        deliver(model, &mut state, id, |it| *it == Message::Seal);
        deliver(model, &mut state, id, |it| matches!(it, Message::Used(_)));
    }
    let mut tiers = state.stock.iter().zip(&state.coupons);
    tiers.all(|(stock, coupons)| stock.0.leased == 0 && stock.0.settled == *coupons)
}

fn deliver(
    model: &LeaseProtocol,
    state: &mut State,
    id: LeaseId,
    arrives: impl Fn(&Message) -> bool,
) {
    let sent = &state.holders[id.holder].leases[id.lease].in_flight;
    let arriving: Vec<_> = sent.iter().filter(|it| arrives(it)).cloned().collect();
    for message in arriving {
        model.apply(state, Action::Deliver(id, message));
    }
}

/// The counts without those that are zero, which quota does not keep.
fn some(counts: &Counts) -> impl Iterator<Item = (&TierNumber, &u64)> {
    counts.iter().filter(|(_, count)| **count > 0)
}

fn add(totals: &mut [u64], counts: &Counts) {
    for (tier, count) in counts {
        totals[usize::from(tier.get())] += count;
    }
}
