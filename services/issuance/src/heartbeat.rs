//! Tells quota that this replica lives. One that is silent for longer than quota's lease TTL has its leases sealed.

use std::time::Duration;

use tidegate_types::{InvalidText, ReplicaId};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::leases::Lending;

/// Twenty fit quota's lease TTL, unless that is set shorter; a handful must get lost in a row before a living lease holder looks silent.
const BEAT_INTERVAL: Duration = Duration::from_millis(500);
const LIFE_DIGITS: usize = 8;

/// The name under which this life of a replica holds leases: `<replica>/<8 hexadecimal digits>`. It is another one after each start, so that quota notices a death however soon the replica is back, and the
/// new life cannot be taken for the old.
pub fn new_lease_holder(replica: &ReplicaId) -> Result<ReplicaId, InvalidText> {
    let life = Uuid::new_v4().simple().to_string();
    // The slash ends the replica's part. What is cut off or replaced makes two replicas look alike at worst, and then one gives back what the other left behind.
    let mut replica = replica.as_str().replace('/', "-");
    replica.truncate(ReplicaId::MAX_LENGTH - LIFE_DIGITS - 1);
    ReplicaId::parse(format!("{replica}/{}", &life[..LIFE_DIGITS]))
}

/// Beats until the task is aborted. Beats that no quota replica heard are counted and not logged: the client logs once that it does not answer.
pub async fn beat(lending: Lending) {
    let mut ticks = interval(BEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if lending.quota.renew(&lending.lease_holder).await.is_err() {
            lending.metrics.heartbeats_missed.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(replica: &str) -> (String, String) {
        let lease_holder = new_lease_holder(&ReplicaId::parse(replica).unwrap()).unwrap();
        let (replica, life) = lease_holder.as_str().split_once('/').unwrap();
        (replica.to_owned(), life.to_owned())
    }

    #[test]
    fn every_life_of_a_replica_has_a_name_of_its_own_and_the_replicas_part_in_common() {
        let (first, second) = (parts("issuance-0"), parts("issuance-0"));
        assert_eq!([&*first.0, &*second.0], ["issuance-0"; 2]);
        assert_ne!(first.1, second.1);
        assert_eq!(first.1.len(), LIFE_DIGITS);
        assert_eq!(parts(&"r".repeat(ReplicaId::MAX_LENGTH)).0.len(), 55);
        // One slash, whatever the replica's name.
        let (replica, life) = parts("zone/issuance-0");
        assert_eq!(replica, "zone-issuance-0");
        assert!(!life.contains('/'));
    }
}
