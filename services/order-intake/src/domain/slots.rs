use std::collections::{BTreeMap, BTreeSet};

use tidegate_types::Timestamp;

use super::{Minute, OpenSpan, SlotMinutes, Store, StoreState};

/// How far ahead orders are booked at most, and looked for if the shopper names no latest time.
const HORIZON_MINUTES: i64 = 24 * 60;
/// How far ahead the opening of a store is told.
const OPENING_TOLD_MINUTES: i64 = 15 * 24 * 60;

/// A stretch of time in which a store makes so many orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub begins: Minute,
    pub minutes: SlotMinutes,
}

impl Slot {
    pub fn starts_at(self) -> Timestamp {
        self.begins.begins_at()
    }

    /// When the next one begins.
    pub fn ends_at(self) -> Timestamp {
        self.end().begins_at()
    }

    fn end(self) -> Minute {
        self.begins.plus(self.minutes.get().into())
    }
}

/// What is booked into the slot that begins at one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booking {
    /// The slot; the longest one, if its store has changed the length since.
    pub slot: Slot,
    /// Orders that are to be made in it.
    pub booked: u16,
    /// How many the store made in a slot when the last one was booked: `booked` was never more than
    /// that at a booking.
    pub capacity_when_booked: u16,
}

/// Why a store has no slot for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSlot {
    /// The latest time the shopper would accept is over.
    LatestPassed,
    /// Every slot until then is full; the next one with room is told if it is within the horizon.
    Busy { next: Option<Slot> },
    /// The store takes no orders until then; when it does next is told if that is known and near.
    Closed { opens_at: Option<Timestamp> },
}

/// What one store makes when, as a batch sees and changes it. Whoever holds it holds the store's
/// lock, so nobody else books meanwhile.
#[derive(Debug)]
pub struct Timetable {
    store: Store,
    now: Minute,
    /// When the store is open as far ahead as orders are booked.
    open: Vec<OpenSpan>,
    bookings: BTreeMap<Minute, Booking>,
    changed: BTreeSet<Minute>,
    gave_back: bool,
    /// No slot before this one has room: where the next search begins.
    full_until: Minute,
}

impl Timetable {
    /// The first and the last minute at which bookings may begin that a timetable needs to know,
    /// also to give places in some slots back.
    pub fn span(
        now: Timestamp,
        given_back: impl IntoIterator<Item = Slot>,
    ) -> (Timestamp, Timestamp) {
        let now = Minute::of(now);
        let (recent, ahead) = (
            now.plus(-2 * SlotMinutes::MAX),
            now.plus(HORIZON_MINUTES + SlotMinutes::MAX),
        );
        let slots = given_back.into_iter().map(|slot| slot.begins);
        let (first, last) = slots.fold((recent, ahead), |(first, last), begins| {
            (first.min(begins), last.max(begins))
        });
        (first.begins_at(), last.begins_at())
    }

    /// A timetable with every booking of the store in [`Timetable::span`].
    pub fn new(store: Store, now: Timestamp, bookings: impl IntoIterator<Item = Booking>) -> Self {
        let now = Minute::of(now);
        Self {
            now,
            open: open_around(&store, now),
            full_until: now,
            bookings: bookings
                .into_iter()
                .map(|booking| (booking.slot.begins, booking))
                .collect(),
            store,
            changed: BTreeSet::new(),
            gave_back: false,
        }
    }

    /// Goes on from another moment.
    pub fn look_from(&mut self, now: Timestamp) {
        let now = Minute::of(now);
        if now != self.now {
            let first_kept = now.plus(-2 * SlotMinutes::MAX);
            self.bookings = self.bookings.split_off(&first_kept);
            self.open = open_around(&self.store, now);
            (self.now, self.full_until) = (now, now);
        }
    }

    /// What was changed is no change any more.
    pub fn clear_changes(&mut self) {
        self.changed.clear();
        self.gave_back = false;
    }

    /// Whether a place was given back since then.
    pub fn gave_back(&self) -> bool {
        self.gave_back
    }

    /// Whether no booking touches two of today's slots.
    pub fn has_slots_of_one_length(&self) -> bool {
        let minutes = self.store.slot_minutes;
        self.bookings
            .values()
            .all(|booking| booking.slot.minutes == minutes)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Books the first slot with room: the one under way or a later one, within the opening hours,
    /// that begins no later than the latest time the shopper would accept.
    pub fn book(&mut self, now: Timestamp, latest: Option<Timestamp>) -> Result<Slot, NoSlot> {
        if latest.is_some_and(|latest| latest < now) {
            return Err(NoSlot::LatestPassed);
        }
        let latest = latest
            .map_or(self.horizon(), Minute::of)
            .min(self.horizon());
        let slot = match self.first_free() {
            Some(slot) if slot.begins <= latest => slot,
            next => return Err(self.why_none(latest, next)),
        };
        let capacity = self.store.orders_per_slot.get();
        let booking = self.bookings.entry(slot.begins).or_insert(Booking {
            slot,
            booked: 0,
            capacity_when_booked: capacity,
        });
        booking.booked += 1;
        booking.capacity_when_booked = capacity;
        booking.slot.minutes = booking.slot.minutes.max(slot.minutes);
        self.changed.insert(slot.begins);
        Ok(slot)
    }

    /// Gives one order's place in a slot back. A slot that is long over is left as it was.
    pub fn give_back(&mut self, slot: Slot) {
        if let Some(booking) = self.bookings.get_mut(&slot.begins)
            && booking.booked > 0
        {
            booking.booked -= 1;
            self.changed.insert(slot.begins);
            self.gave_back = true;
            self.full_until = self.now;
        }
    }

    /// The first slot with room, without booking it.
    pub fn first_free(&mut self) -> Option<Slot> {
        if !self.takes_orders() {
            return None;
        }
        let free = self
            .open_slots(self.full_until)
            .find(|slot| self.has_room(*slot));
        self.full_until = free.map_or(self.horizon().plus(1), |slot| slot.begins);
        free
    }

    /// The bookings that are not as they were.
    pub fn changes(&self) -> impl Iterator<Item = &Booking> {
        self.changed
            .iter()
            .filter_map(|begins| self.bookings.get(begins))
    }

    fn why_none(&self, latest: Minute, next: Option<Slot>) -> NoSlot {
        if !self.takes_orders() {
            return NoSlot::Closed { opens_at: None };
        }
        let opens = self.open_slots(self.now).next();
        let opens = opens.or_else(|| self.opens_later());
        if opens.is_some_and(|opens| opens.begins <= latest) {
            NoSlot::Busy { next }
        } else {
            let opens_at = opens.map(Slot::starts_at);
            NoSlot::Closed { opens_at }
        }
    }

    fn takes_orders(&self) -> bool {
        self.store.state == StoreState::Open && self.store.orders_per_slot.get() > 0
    }

    fn horizon(&self) -> Minute {
        self.now.plus(HORIZON_MINUTES)
    }

    /// The slots within the opening hours, from the one a minute lies in up to the horizon.
    fn open_slots(&self, from: Minute) -> impl Iterator<Item = Slot> + use<'_> {
        let minutes = self.store.slot_minutes;
        let length = i64::from(minutes.get());
        let first = self.store.zone.stretch_of(from, length);
        let horizon = self.horizon();
        (0..)
            .map(move |index| first.plus(index * length))
            .take_while(move |begins| *begins <= horizon)
            .filter(move |begins| self.open.iter().any(|span| span.covers(*begins, length)))
            .map(move |begins| Slot { begins, minutes })
    }

    /// The first slot beyond the horizon, if it is not too far off to be told.
    fn opens_later(&self) -> Option<Slot> {
        let minutes = self.store.slot_minutes;
        let length = i64::from(minutes.get());
        let (from, until) = (self.horizon(), self.now.plus(OPENING_TOLD_MINUTES));
        let open = self.store.hours.open_between(&self.store.zone, from, until);
        open.into_iter().find_map(|span| {
            let first = self.store.zone.stretch_of(span.begins.max(from), length);
            [first, first.plus(length)]
                .into_iter()
                .find(|begins| *begins > from && span.covers(*begins, length))
                .map(|begins| Slot { begins, minutes })
        })
    }

    /// Bookings of another length count in every slot they touch.
    fn has_room(&self, slot: Slot) -> bool {
        let booked: u32 = self
            .bookings
            .range(slot.begins.plus(-SlotMinutes::MAX)..slot.end())
            .filter(|(_, booking)| booking.slot.end() > slot.begins)
            .map(|(_, booking)| u32::from(booking.booked))
            .sum();
        booked < u32::from(self.store.orders_per_slot.get())
    }
}

/// When a store is open, as far around a moment as slots are looked for.
fn open_around(store: &Store, now: Minute) -> Vec<OpenSpan> {
    let from = now.plus(-SlotMinutes::MAX);
    let until = now.plus(HORIZON_MINUTES + SlotMinutes::MAX);
    store.hours.open_between(&store.zone, from, until)
}

#[cfg(test)]
mod tests;
