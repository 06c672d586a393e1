use super::*;

/// Quota's word in the tenth second, when the turns of all have come who came before `second`.
fn up_to(second: u64) -> Word {
    let mut word = word(10, 0, 1_000);
    word.watermark.cohort = cohort(second);
    word
}

#[test]
fn who_comes_when_nobody_waits_from_before_may_be_served_at_once_unless_told_to_wait() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    assert!(!room.may_fill_in(ann.visit()), "nothing is known yet");
    ann.queue(&room).hear(up_to(9));
    assert!(
        !room.may_fill_in(ann.visit()),
        "some of the second before wait"
    );
    ann.queue(&room).hear(up_to(10));
    assert!(room.may_fill_in(ann.visit()));
    ann.queue_up(&room, None);
    assert!(!room.may_fill_in(ann.visit()));
    let again = Shopper::new("ann", "r-2");
    assert!(!room.may_fill_in(again.visit()), "the same shopper");
    assert!(room.may_fill_in(Shopper::new("ben", "r-1").visit()));
}

#[test]
fn until_the_turns_of_the_last_second_can_come_nobody_of_it_is_overtaken() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let (ben, ben_again) = (Shopper::new("ben", "r-1"), Shopper::new("ben", "r-2"));
    let in_tenth_second = |shopper: &Shopper, milliseconds| {
        let utc = Timestamp::UNIX_EPOCH
            + Duration::from_secs(FIRST + 10)
            + Duration::from_millis(milliseconds);
        room.may_fill_in(Visit {
            now: Moment {
                utc,
                ..Moment::now()
            },
            ..shopper.visit()
        })
    };
    ann.queue(&room).hear(Word {
        current_cohort: cohort(9),
        ..up_to(9)
    });
    ben.queue_up(&room, None);
    ann.queue(&room).hear(up_to(9));
    assert!(in_tenth_second(&ann, 300));
    assert!(!in_tenth_second(&ann, 500), "from now on they may come");
    assert!(
        !in_tenth_second(&ben_again, 300),
        "told to wait in the ninth"
    );
    ann.queue(&room).hear(up_to(8));
    assert!(
        !in_tenth_second(&ann, 300),
        "two seconds would be overtaken"
    );
}

#[test]
fn a_turn_is_overdue_by_as_much_as_those_came_later_who_may_be_served() {
    let (room, ann) = (room(), Shopper::new("ann", "r-1"));
    let overdue = |second: u64| {
        let turn = Turn {
            cohort: cohort(second),
            draw: 0,
        };
        room.overdue(ann.visit(), turn).as_secs()
    };
    ann.queue(&room).hear(up_to(7));
    assert_eq!(overdue(5), 2, "the turns of the seventh second are next");
    ann.queue(&room).hear(up_to(10));
    assert_eq!(overdue(8), 2, "those who come in the tenth are served");
    ann.queue(&room).hear(up_to(11));
    assert_eq!(overdue(8), 2);
}
