//! Every order of events in small worlds, and the mistakes that the checks of the promises find.

use std::{num::NonZeroUsize, thread::available_parallelism};

use anyhow::{Context, Result};
use stateright::{Checker, HasDiscoveries, Model};
use tidegate_model::{
    COUPONS_ARE_SPENT_FROM_LEASES, Fault, HALT_MEANS_HALT, LEASES_ARE_SETTLED_ONCE, LeaseProtocol,
    NEVER_OVERSOLD, UNUSED_COMES_BACK, World,
};

/// Four leases for a few coupons, one coupon a lease.
fn world(stock: &[u64]) -> World {
    World {
        holders: 2,
        leases_per_holder: 2,
        stock: stock.to_vec(),
        wanted_of_each_tier: 1,
        wanted_of_any_tier: 0,
        may_halt: false,
        may_lose_commits: false,
    }
}

/// Visits every state, save those that differ from a visited one by the places of holders and
/// leases only.
fn holds(name: &str, world: World) -> Result<()> {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let checker = LeaseProtocol::new(world)?
        .checker()
        .threads(cores)
        .symmetry()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    checker.assert_properties();
    println!(
        "{name}: {} states, {} transitions",
        checker.unique_state_count(),
        checker.state_count()
    );
    Ok(())
}

/// Finds the shortest way in which a mistake breaks a promise. On one core, because several do not
/// search in the order of length.
fn breaks(fault: Fault, promise: &'static str) -> Result<()> {
    let world = World {
        holders: 3,
        leases_per_holder: 1,
        may_halt: promise == HALT_MEANS_HALT,
        ..world(&[1])
    };
    let model = LeaseProtocol::new(world)?.with(fault);
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::AnyOf([promise].into()))
        .spawn_bfs()
        .join();
    let path = checker.discovery(promise);
    let path = path.with_context(|| format!("{fault:?} does not break {promise}"))?;
    println!("{fault:?} breaks {promise}:");
    for action in path.into_actions() {
        println!("  {action:?}");
    }
    Ok(())
}

#[test]
fn every_promise_holds_in_every_order_of_events() -> Result<()> {
    holds("stock of 2", world(&[2]))
}

#[test]
fn every_promise_holds_whenever_a_halt_and_a_resumption_come() -> Result<()> {
    let world = World {
        may_halt: true,
        ..world(&[2])
    };
    holds("stock of 2, halted", world)
}

#[test]
fn every_promise_holds_when_holders_do_not_learn_what_was_committed() -> Result<()> {
    let world = World {
        may_lose_commits: true,
        ..world(&[2])
    };
    holds("stock of 2, answers lost", world)
}

#[test]
fn every_promise_holds_for_leases_of_two_tiers() -> Result<()> {
    let world = World {
        holders: 3,
        leases_per_holder: 1,
        ..world(&[1, 2])
    };
    holds("two tiers", world)
}

#[test]
fn every_promise_holds_for_leases_of_whichever_tier_has_stock() -> Result<()> {
    let world = World {
        holders: 3,
        leases_per_holder: 1,
        wanted_of_each_tier: 0,
        wanted_of_any_tier: 1,
        ..world(&[1, 1])
    };
    holds("two tiers, whichever has stock", world)
}

#[test]
fn every_promise_holds_for_leases_of_two_coupons() -> Result<()> {
    // A lease gets at most half of what is free.
    let world = World {
        holders: 3,
        leases_per_holder: 1,
        wanted_of_each_tier: 2,
        ..world(&[4])
    };
    holds("stock of 4", world)
}

#[test]
fn every_promise_holds_among_three_holders_with_all_of_it_at_once() -> Result<()> {
    let world = World {
        holders: 3,
        leases_per_holder: 1,
        may_halt: true,
        may_lose_commits: true,
        ..world(&[2])
    };
    holds("three holders, halted, answers lost", world)
}

#[test]
fn each_mistake_breaks_the_promise_that_it_must() {
    let missed: Vec<_> = [
        (Fault::SpendsWithoutTheFence, NEVER_OVERSOLD),
        (Fault::SpendsWithoutTheFence, COUPONS_ARE_SPENT_FROM_LEASES),
        (Fault::SpendsWithoutTheFence, HALT_MEANS_HALT),
        (Fault::CreditsWithoutTheSeal, NEVER_OVERSOLD),
        (Fault::CreditsWithoutTheSeal, LEASES_ARE_SETTLED_ONCE),
        (Fault::LeavesNoTombstone, NEVER_OVERSOLD),
        (Fault::AnswersNoSealOfTheUnknown, UNUSED_COMES_BACK),
        (Fault::CreditsEveryTime, NEVER_OVERSOLD),
        (Fault::AcknowledgesBeforeTheSeals, HALT_MEANS_HALT),
        (Fault::GrantsWhileHalted, HALT_MEANS_HALT),
    ]
    .into_iter()
    .filter_map(|(fault, promise)| breaks(fault, promise).err())
    .map(|error| error.to_string())
    .collect();
    assert_eq!(missed, Vec::<String>::new());
}
