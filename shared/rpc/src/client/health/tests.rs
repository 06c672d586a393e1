use super::*;

const FAST: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(900);

fn answers(health: &mut Health, took: Duration, now: Instant) {
    for _ in 0..40 {
        health.answered(Some(took), now);
    }
}

#[test]
fn a_replica_that_fails_is_ejected_longer_each_time_its_probe_fails() {
    let (mut health, now) = (Health::default(), Instant::now());
    assert_eq!(health.failed(now), Change::Ejected);
    assert_eq!(health.standing(now), Standing::Ejected);
    let later = now + MIN_EJECTION;
    assert_eq!(health.standing(later), Standing::ToBeProbed);
    assert!(health.begin_probe(later));
    assert_eq!(health.failed(later), Change::Ejected);
    assert_eq!(health.standing(later + MIN_EJECTION), Standing::Ejected);
    assert_eq!(
        health.standing(later + MIN_EJECTION * 2),
        Standing::ToBeProbed
    );
}

#[test]
fn many_calls_that_fail_together_are_one_failure() {
    let (mut health, now) = (Health::default(), Instant::now());
    assert_eq!(health.failed(now), Change::Ejected);
    assert!((0..100).all(|_| health.failed(now) == Change::Nothing));
    assert_eq!(health.standing(now + MIN_EJECTION), Standing::ToBeProbed);
}

#[test]
fn one_call_probes_an_ejected_replica_and_its_answer_brings_the_others_back() {
    let (mut health, now) = (Health::default(), Instant::now());
    health.failed(now);
    let later = now + MIN_EJECTION;
    assert!(!health.begin_probe(now) && health.begin_probe(later));
    assert!(!health.begin_probe(later));
    assert_eq!(health.standing(later), Standing::Ejected);
    assert_eq!(
        health.standing(later + PROBE_PATIENCE),
        Standing::ToBeProbed,
        "a probe that tells nothing is repeated"
    );
    assert_eq!(health.answered(Some(FAST), later), Change::TrustedAgain);
    assert_eq!(health.standing(later), Standing::Trusted);
}

#[test]
fn a_replica_far_slower_than_its_peers_is_ejected_until_a_probe_is_quick() {
    let (mut health, now) = (Health::default(), Instant::now());
    answers(&mut health, SLOW, now);
    assert_eq!(health.judge(FAST.as_secs_f64(), now), Change::Ejected);
    assert_eq!(
        health.answered(Some(SLOW), now),
        Change::Nothing,
        "a call of before its ejection"
    );
    let later = now + MIN_EJECTION;
    assert!(health.begin_probe(later));
    assert_eq!(health.answered(Some(SLOW), later), Change::Ejected);
    assert_eq!(health.standing(later + MIN_EJECTION), Standing::Ejected);
    let later = later + MIN_EJECTION * 2;
    assert!(health.begin_probe(later));
    assert_eq!(health.answered(Some(FAST), later), Change::TrustedAgain);
    answers(&mut health, FAST, later);
    assert_eq!(health.judge(FAST.as_secs_f64(), later), Change::Nothing);
}

#[test]
fn a_replica_as_slow_as_its_peers_or_slow_only_by_little_stays() {
    let now = Instant::now();
    for (own, peers) in [(SLOW, SLOW / 2), (FAST * 9, FAST / 10)] {
        let mut health = Health::default();
        answers(&mut health, own, now);
        assert_eq!(health.judge(peers.as_secs_f64(), now), Change::Nothing);
    }
    let mut health = Health::default();
    health.answered(Some(SLOW), now);
    assert_eq!(
        health.judge(FAST.as_secs_f64(), now),
        Change::Nothing,
        "one answer is no pace"
    );
}

#[test]
fn the_middle_one_is_not_moved_by_one_slow_peer() {
    assert_eq!(middle(vec![0.9, 0.01, 0.02]), Some(0.02));
    assert_eq!(middle(Vec::new()), None);
}
