use super::*;

fn campaign() -> CampaignNumber {
    CampaignNumber::new(1u32).unwrap()
}

fn tier(number: u8) -> TierNumber {
    TierNumber::new(number).unwrap()
}

fn lease(stock: &[(u8, u64)], spent_at: Instant) -> HeldLease {
    let remaining = stock
        .iter()
        .map(|(number, left)| (tier(*number), *left))
        .collect();
    HeldLease {
        id: Uuid::now_v7(),
        remaining,
        trace: TraceContext::new_root(false),
        held_since: spent_at,
        spent_at,
    }
}

fn denial(tier_sold_out: &[bool], now: Instant) -> Denial {
    Denial {
        tier_sold_out: tier_sold_out.to_vec(),
        ask_again_at: now + Duration::from_secs(1),
    }
}

#[test]
fn claims_are_assigned_until_the_stock_in_hand_is_gone_in_the_order_of_the_tiers() {
    let mut book = LeaseBook::default();
    book.add(campaign(), lease(&[(0, 1), (1, 2)], Instant::now()));
    let mut assigned: Vec<_> = std::iter::from_fn(|| book.reserve(campaign(), None))
        .map(|(_, tier)| tier.get())
        .collect();
    assigned.sort();
    assert_eq!(assigned, [0, 1, 1]);
    assert_eq!(book.outlook(campaign(), None), Outlook::Coming);
}

#[test]
fn a_claim_for_one_tier_never_gets_another() {
    let mut book = LeaseBook::default();
    book.add(campaign(), lease(&[(0, 5)], Instant::now()));
    assert_eq!(book.reserve(campaign(), Some(tier(1))), None);
    assert!(book.reserve(campaign(), Some(tier(0))).is_some());
}

#[test]
fn demand_that_found_nothing_is_asked_for_once_until_the_answer_comes() {
    let (mut book, now) = (LeaseBook::default(), Instant::now());
    book.reserve(campaign(), None);
    book.reserve(campaign(), Some(tier(2)));
    let wanted = book.wanted(now);
    assert_eq!(wanted.len(), 1);
    assert!(wanted[0].any_tier > 0 && wanted[0].tiers[0].0 == tier(2));
    assert!(book.wanted(now).is_empty());
    book.acquired(campaign());
    assert!(!book.wanted(now).is_empty());
}

#[test]
fn a_denial_holds_until_it_is_time_to_ask_again_or_budget_is_added() {
    let (mut book, now) = (LeaseBook::default(), Instant::now());
    book.deny(campaign(), denial(&[true, false], now));
    assert_eq!(book.outlook(campaign(), Some(tier(0))), Outlook::SoldOut);
    assert_eq!(book.outlook(campaign(), None), Outlook::Returning);
    book.reserve(campaign(), None);
    assert!(book.wanted(now).is_empty());
    book.forget_denial(campaign());
    assert_eq!(book.outlook(campaign(), None), Outlook::Coming);
    assert_eq!(book.wanted(now).len(), 1);
}

#[test]
fn leases_that_are_used_up_or_idle_are_given_back_and_no_others() {
    let (mut book, now) = (LeaseBook::default(), Instant::now());
    let (empty, busy) = (lease(&[(0, 0)], now), lease(&[(0, 5)], now));
    let idle = lease(&[(0, 5)], now - IDLE_BEFORE_RETURN);
    let expected = [(campaign(), empty.id), (campaign(), idle.id)];
    for lease in [empty, idle, busy] {
        book.add(campaign(), lease);
    }
    assert_eq!(book.take_finished(now, true), expected);
    assert_eq!(book.totals(), (1, 5));
}

#[test]
fn a_lease_in_use_is_given_back_once_the_pool_has_none_of_what_it_holds() {
    let held_since = Instant::now();
    let later = held_since + HELD_WHILE_OTHERS_NEED;
    let book = |free: Option<&[u64]>| {
        let mut book = LeaseBook::default();
        let mut held = lease(&[(0, 0), (1, 5)], held_since);
        held.spent_at = later;
        book.add(campaign(), held);
        if let Some(free) = free {
            book.tell_free(campaign(), free.to_vec());
        }
        book
    };
    let taken = |mut book: LeaseBook, now, may_give_way| book.take_finished(now, may_give_way);
    assert_eq!(taken(book(Some(&[3, 0])), later, true).len(), 1);
    let too_early = later - Duration::from_millis(1);
    assert_eq!(taken(book(Some(&[3, 0])), too_early, true), []);
    assert_eq!(taken(book(Some(&[3, 0])), later, false), []);
    // Nothing is left of tier 0.
    assert_eq!(taken(book(Some(&[0, 3])), later, true), []);
    assert_eq!(taken(book(None), later, true), []);
    let mut forgotten = book(Some(&[3, 0]));
    forgotten.forget_free();
    assert_eq!(taken(forgotten, later, true), []);
}

#[test]
fn a_denial_that_tells_nothing_of_the_tiers_says_neither_that_they_are_gone_nor_nearly() {
    let mut book = LeaseBook::default();
    book.deny(campaign(), denial(&[], Instant::now()));
    assert_eq!(book.outlook(campaign(), None), Outlook::Withheld);
    assert_eq!(book.outlook(campaign(), Some(tier(0))), Outlook::Withheld);
}

#[test]
fn the_database_has_the_last_word_on_what_is_left() {
    let mut book = LeaseBook::default();
    let held = lease(&[(0, 5)], Instant::now());
    let id = held.id;
    book.add(campaign(), held);
    book.correct(campaign(), id, tier(0), 0, None);
    assert_eq!(book.reserve(campaign(), None), None);
}
