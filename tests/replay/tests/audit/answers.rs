//! What shoppers were told, held against the books.

use std::time::Duration;

use anyhow::Result;
use tidegate_local::postgres::Postgres;
use tidegate_proto::gateway::v1::QueuedClaim;
use tidegate_replay::{
    audit::Audit,
    crowd::habits::InQueue,
    ledger::{AskedAgain, Ledger, ToldNever, ToldSellOut, ToldStanding},
    queue_wait::{Asked, QueueWait},
};

use crate::{CODE, ORDER, audit, sound_ledger, wrong};

pub async fn wrong_answers_are_found(postgres: &Postgres) -> Result<()> {
    let ledger = sound_ledger();
    ledger.coupon(7, 1, "000020J000000001");
    ledger.coupon(8, 1, "unreadable");
    ledger.order(8, "unreadable", CODE, ToldStanding::Accepted);
    ledger.order(7, ORDER, CODE, ToldStanding::Cancelled);
    ledger.coupon_left(false);
    let found = audit(postgres, &ledger, [""; 3]).await?;
    let unreadable = found.acked_is_kept.count("wrong_answers_unreadable");
    assert_eq!(unreadable, Some(2));
    let found = wrong(&found);
    for expected in [
        "exactly-once: wrong_answers_that_differ",
        "acked-is-kept: wrong_cancelled_orders_made_all_the_same",
        "stores-survive: wrong_coupons_spoiled_by_a_full_store",
    ] {
        let is_found = found.iter().any(|name| name == expected);
        assert!(is_found, "{expected} is missing in {found:?}");
    }
    Ok(())
}

pub async fn dishonest_answers_are_found(postgres: &Postgres) -> Result<()> {
    let minute = Duration::from_secs(60);
    let sell_out = |shopper, asked_at| ToldSellOut {
        shopper,
        request: 1,
        asked_at,
    };
    let ledger = Ledger::new("run");
    ledger.sell_out(sell_out(7, minute));
    let found = audit(postgres, &ledger, [""; 3]).await?;
    let holder = "honest-answer: wrong_sell_outs_told_to_holders_of_an_undelivered_coupon";
    assert!(wrong(&found).iter().any(|name| name == holder));
    // One was told before the coupon was made, one holds none, and one was told of the coupon all the same.
    let ledger = sound_ledger();
    ledger.sell_out(sell_out(7, minute));
    ledger.sell_out(sell_out(8, minute));
    let later = "UPDATE coupons SET issued_at = '2026-01-02'";
    let early = Ledger::new("run");
    early.sell_out(sell_out(7, minute));
    for (ledger, change) in [(&ledger, ""), (&early, later)] {
        let found = wrong(&audit(postgres, ledger, ["", change, ""]).await?);
        assert!(!found.iter().any(|name| name == holder), "{found:?}");
    }

    let ledger = sound_ledger();
    let never = "honest-answer: wrong_never_but_later";
    for shopper in [8, 9] {
        ledger.never(ToldNever::Claim {
            shopper,
            request: 1,
        });
        ledger.asked_again(AskedAgain::Refused);
    }
    let found = audit(postgres, &ledger, [""; 3]).await?;
    assert!(!wrong(&found).iter().any(|name| name == never));
    let count = |found: &Audit, name| found.honest_answer.count(name);
    assert_eq!(count(&found, "told_never"), Some(2));
    ledger.asked_again(AskedAgain::Undecided);
    ledger.asked_again(AskedAgain::Served);
    let found = audit(postgres, &ledger, [""; 3]).await?;
    assert_eq!(count(&found, "told_never_asked_again"), Some(4));
    assert_eq!(count(&found, "told_never_undecided_again"), Some(1));
    assert_eq!(count(&found, "wrong_never_but_later"), Some(1));
    assert!(wrong(&found).iter().any(|name| name == never));

    let ledger = sound_ledger();
    let asked = Asked {
        at: minute,
        told_at: minute,
    };
    let mut wait = QueueWait::new(asked, &QueuedClaim::default(), InQueue::Polls);
    wait.end(minute * 2, false);
    ledger.queue_wait(wait);
    let left = "honest-answer: wrong_shoppers_left_waiting";
    let found = wrong(&audit(postgres, &ledger, [""; 3]).await?);
    assert!(!found.iter().any(|name| name == left), "stock is left");
    let sold_out = "INSERT INTO coupons SELECT lane, 'run-' || number, campaign_number, slot, request_id, NULL, 0, lease_id, key_id, issued_at, valid_until
        FROM coupons, generate_series(11, 14) AS number";
    let found = wrong(&audit(postgres, &ledger, ["", sold_out, ""]).await?);
    assert!(found.iter().any(|name| name == left), "{found:?}");
    Ok(())
}
