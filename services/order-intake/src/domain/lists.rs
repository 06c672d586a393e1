use tidegate_types::{StoreId, Timestamp};

use super::{Area, PagePosition, PageSize, StateKind};

/// Which orders of a store are asked for, by the slots in which it makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOrdersQuery {
    pub store: StoreId,
    pub states: Vec<StateKind>,
    /// Those that come after this place, whose time is the beginning of a slot.
    pub after: PagePosition,
    /// Those whose slot begins before this moment.
    pub until: Timestamp,
    pub size: PageSize,
}

impl StoreOrdersQuery {
    /// The same, without slots that begin before this moment.
    pub fn not_before(self, first: Timestamp) -> Self {
        let first = PagePosition::before_all_of(first);
        Self {
            after: self.after.max(first),
            ..self
        }
    }
}

/// Which stores are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoresQuery {
    pub area: Option<Area>,
    /// Those that are closed only, or open only.
    pub is_closed: Option<bool>,
    /// Those whose id comes after this one.
    pub after: Option<StoreId>,
    pub size: PageSize,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_is_older_than_may_be_listed_is_left_out_and_a_later_page_stays() {
        let from = |after| StoreOrdersQuery {
            store: StoreId::parse("s-1").unwrap(),
            states: StateKind::ALL.to_vec(),
            after,
            until: datetime!(2026-02-07 00:00 UTC),
            size: PageSize::new(0).unwrap(),
        };
        let first = datetime!(2026-02-06 00:00 UTC);
        let begins = from(PagePosition::OLDEST).not_before(first).after;
        assert_eq!(begins, PagePosition::before_all_of(first));
        let later = PagePosition::after_all_of(first);
        assert_eq!(from(later).not_before(first).after, later);
    }
}
