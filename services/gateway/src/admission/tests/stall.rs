use super::*;

#[tokio::test(start_paused = true)]
async fn a_stall_teaches_nothing_of_how_many_find_room() {
    let (admission, lane) = with_a_lane();
    // A thousand a second, each of which waits for 80 ms; and then nobody is served for half a minute.
    let now = answers(&admission, Instant::now(), 80, 10, 1_000);
    let now = answers(&admission, now, 5_000, 0, 3_000);
    answers(&admission, now, 20, 10, 1);
    let _under_way = enter(&admission, lane, 60);
    assert!(finds_room(&admission, lane).await);
}

#[test]
fn a_stall_that_is_over_closes_no_door() {
    let (admission, lane) = with_a_lane();
    let now = answers(&admission, Instant::now(), 5, 10, 100);
    let now = answers(&admission, now, 4_000, 10, 20);
    assert!(admission.may_issue(lane, now));
}
