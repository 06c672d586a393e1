use super::*;

/// Of issuance it is known that it can do a hundred a second, and so many have joined in the first second; half a second after it is over.
fn joined_by(tickets: u64) -> Room {
    let mut room = Room::new(campaign());
    room.report(vec![joined(NOW, tickets)], true, None, at(0));
    room.report(Vec::new(), false, None, at(1_250));
    let pace = &mut room.queue.pace;
    pace.issued.most_per_second = Some(100.0);
    // Turns have come at this pace until now, and been used.
    (pace.per_second, pace.felt_per_second) = (100.0, 100.0);
    pace.shown = Shown {
        due_per_second: 100.0,
        used_per_second: 100.0,
    };
    let near_target = Duration::from_millis(60);
    room.report(Vec::new(), false, Some(near_target), at(1_350));
    room
}

#[test]
fn as_many_as_issuance_serves_in_a_second_are_called_at_once() {
    let few = joined_by(100);
    assert!(few.queue.watermark >= Watermark::before(cohort(NOW + 1)));
    let many = joined_by(140);
    assert!(many.queue.watermark < Watermark::before(cohort(NOW + 1)));
    assert!(many.queue.watermark.draw > 0, "one after the other");
}

#[test]
fn a_pace_that_was_only_tried_out_calls_nobody_at_once() {
    let mut room = Room::new(campaign());
    room.report(vec![joined(NOW, 400)], true, None, at(0));
    room.queue.pace.felt_per_second = room.queue.pace.per_second;
    room.report(Vec::new(), false, None, at(1_350));
    assert!(room.queue.watermark < Watermark::before(cohort(NOW + 1)));
}
