use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidegate_types::RequestId;

/// A caller may hold so many times as many places as are free. One alone may so have eight ninths of all, and what it
/// leaves lets in at once another that needs nearly a tenth.
const PLACES_PER_FREE: usize = 8;

/// Places that the subjects of tokens share, by the rule of dynamic thresholds: whoever holds the most finds no more
/// first, so that all who ask for more than their share come to hold equally many, and some are always free for
/// whoever asks for less. Cheap to clone.
#[derive(Clone)]
pub struct FairPlaces(Arc<Shared>);

struct Shared {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Only those who hold some, so that there are never more than places.
    by_subject: HashMap<RequestId, usize>,
}

impl FairPlaces {
    /// So many places.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            taken: Mutex::default(),
        }))
    }

    /// Takes a place for a caller, or says at once that there is none for it: who waits for a place only makes others
    /// late. Without a token the caller is a service of the suite, and may have them all.
    pub fn take(&self, subject: Option<&RequestId>) -> Option<FairPlace> {
        let mut taken = self.0.taken();
        let free = self.0.most.saturating_sub(taken.all);
        if free == 0 {
            return None;
        }
        if let Some(subject) = subject {
            match taken.by_subject.get_mut(subject) {
                Some(held) if *held >= free.saturating_mul(PLACES_PER_FREE) => return None,
                Some(held) => *held += 1,
                None => {
                    taken.by_subject.insert(subject.clone(), 1);
                }
            }
        }
        taken.all += 1;
        Some(FairPlace {
            places: Arc::clone(&self.0),
            subject: subject.cloned(),
        })
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place, until it is dropped.
pub struct FairPlace {
    places: Arc<Shared>,
    subject: Option<RequestId>,
}

impl Drop for FairPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let Some(subject) = &self.subject else {
            return;
        };
        if let Some(held) = taken.by_subject.get_mut(subject) {
            *held -= 1;
            if *held == 0 {
                taken.by_subject.remove(subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 900;

    fn caller(subject: &str) -> RequestId {
        RequestId::parse(subject).unwrap()
    }

    /// Takes places until there are none for this caller.
    fn flood(places: &FairPlaces, caller: &RequestId) -> Vec<FairPlace> {
        std::iter::from_fn(|| places.take(Some(caller))).collect()
    }

    #[test]
    fn a_caller_alone_may_have_all_places_but_those_kept_for_whoever_comes() {
        let places = FairPlaces::new(MOST);
        assert_eq!(flood(&places, &caller("one")).len(), MOST / 9 * 8);
        assert!(places.0.taken().by_subject.is_empty());
        assert_eq!(places.0.taken().all, 0);
    }

    #[test]
    fn whoever_needs_nearly_a_tenth_is_let_in_while_another_has_taken_all_that_it_can() {
        let places = FairPlaces::new(MOST);
        let _flood = flood(&places, &caller("one"));
        assert!(flood(&places, &caller("two")).len() >= MOST * 8 / 81);
    }

    #[test]
    fn callers_that_ask_for_more_than_their_share_come_to_hold_equally_many() {
        let places = FairPlaces::new(MOST);
        let callers = ["one", "two", "three"].map(caller);
        let mut held = [const { Vec::new() }; 3];
        held[0] = flood(&places, &callers[0]);
        // Calls end, one of each caller in turn, and all ask for more.
        for _ in 0..MOST {
            for (caller, held) in callers.iter().zip(&mut held) {
                held.pop();
                held.extend(flood(&places, caller));
            }
        }
        let share = MOST * 8 / (1 + 8 * 3);
        assert!(
            held.iter().all(|held| held.len().abs_diff(share) <= 8),
            "{:?} of {share}",
            held.each_ref().map(Vec::len)
        );
        // A fourth one with little to do does not notice them.
        let quiet = caller("quiet");
        let few: Vec<_> = (0..20).map(|_| places.take(Some(&quiet))).collect();
        assert!(few.iter().all(Option::is_some));
    }

    #[test]
    fn tokens_of_one_subject_have_one_share_and_services_may_take_every_place() {
        let places = FairPlaces::new(MOST);
        let of_one = flood(&places, &caller("one"));
        assert!(places.take(Some(&caller("one"))).is_none());
        let rest: Vec<_> = std::iter::from_fn(|| places.take(None)).collect();
        assert_eq!(of_one.len() + rest.len(), MOST);
    }

    #[test]
    fn few_places_are_all_taken() {
        let places = FairPlaces::new(2);
        assert_eq!(flood(&places, &caller("one")).len(), 2);
    }
}
