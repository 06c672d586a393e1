//! What must happen in some order of events; without it the promises would hold because nothing
//! difficult ever happens.

use stateright::Property;
use tidegate_issuance::domain::fence::Fence;
use tidegate_quota::domain::{Settlement, grant};

use crate::{
    LeaseProtocol,
    state::{Halt, Holder, LeaseLife, Message, State, to_quota},
};

pub(crate) fn all(model: &LeaseProtocol) -> Vec<Property<LeaseProtocol>> {
    let mut all = vec![
        sometimes("a tombstone refuses a late install", |_, state| {
            let mut leases = state.leases();
            leases.any(|(holder, lease)| tombstone_refuses(holder, lease))
        }),
        sometimes("a seal refuses a holder's coupon", |_, state| {
            state.leases().any(|(_, lease)| seal_refuses(lease))
        }),
        sometimes("settling again changes nothing", |model, state| {
            let mut leases = state.leases();
            leases.any(|(_, lease)| settles_again(model, lease))
        }),
    ];
    if model.world.may_halt {
        all.push(sometimes(
            "a halt is acknowledged while a holder believes in its stock",
            |_, state| {
                let mut leases = state.leases();
                matches!(state.halt, Halt::Acknowledged { .. })
                    && leases.any(|(_, lease)| seal_refuses(lease))
            },
        ));
    }
    if has_a_lease_to_spare(model) {
        all.push(sometimes(
            "all is issued though a dead holder had some of it",
            |_, state| {
                let mut leases = state.leases();
                all_is_issued(state)
                    && leases.any(|(holder, lease)| !holder.alive && gave_back(lease))
            },
        ));
    }
    if leases_hold_several(model) {
        all.push(sometimes("a lease comes back partly used", |_, state| {
            let mut leases = state.leases();
            leases.any(|(_, lease)| gave_back(lease) && was_used(lease))
        }));
    }
    all
}

fn sometimes(
    name: &'static str,
    condition: fn(&LeaseProtocol, &State) -> bool,
) -> Property<LeaseProtocol> {
    Property::sometimes(name, condition)
}

/// Quota's answer can arrive any moment at a holder that waits for it, and the lease was sealed
/// before.
fn tombstone_refuses(holder: &Holder, lease: &LeaseLife) -> bool {
    let mut messages = lease.in_flight.iter();
    let tombstone = |granted| {
        let (after, is_fresh) = lease.fence.clone().install(granted);
        !is_fresh && matches!(after, Fence::Sealed { granted, .. } if granted.is_empty())
    };
    holder.alive
        && messages.any(|message| match message {
            Message::Granted(granted) => tombstone(granted.clone()),
            Message::Ask | Message::Seal | Message::Used(_) => false,
        })
}

/// A holder believes in stock that it cannot spend any more.
fn seal_refuses(lease: &LeaseLife) -> bool {
    let mut in_hand = lease.in_hand.iter().flatten();
    matches!(lease.fence, Fence::Sealed { .. })
        && in_hand.any(|(tier, left)| *left > 0 && lease.fence.clone().spend(*tier, 1).is_err())
}

/// Quota can be told any moment what it knows already.
fn settles_again(model: &LeaseProtocol, lease: &LeaseLife) -> bool {
    let mut messages = lease.in_flight.iter();
    let settled = lease.lent.as_ref().filter(|lent| !lent.is_outstanding());
    settled.is_some_and(|lent| {
        messages.any(|message| match message {
            Message::Used(used) => {
                let settled = model.lease(lent).settle(&to_quota(used));
                matches!(settled, Ok(Settlement::Before))
            }
            Message::Ask | Message::Granted(_) | Message::Seal => false,
        })
    })
}

fn all_is_issued(state: &State) -> bool {
    let stock: u64 = state.stock.iter().map(|stock| stock.0.stock()).sum();
    state.coupon_count() == stock
}

fn gave_back(lease: &LeaseLife) -> bool {
    lease.lent.as_ref().is_some_and(|lent| {
        let used = lent.used.as_ref().map(|used| used.values().sum::<u64>());
        used.is_some_and(|used| used < lent.granted.values().sum())
    })
}

fn was_used(lease: &LeaseLife) -> bool {
    let lent = lease.lent.as_ref();
    lent.and_then(|lent| lent.used.as_ref())
        .is_some_and(|used| used.values().any(|used| *used > 0))
}

/// The stock can be issued although one lease comes to nothing.
fn has_a_lease_to_spare(model: &LeaseProtocol) -> bool {
    let stock: u64 = model.world.stock.iter().sum();
    stock < model.lease_ids().count() as u64
}

fn leases_hold_several(model: &LeaseProtocol) -> bool {
    let request = &model.request;
    let first = model.stock_at_first();
    grant(&request.wanted, request.wanted_of_any_tier, &first, 0).total() > 1
}
