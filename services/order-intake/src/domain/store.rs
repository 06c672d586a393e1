use tidegate_types::{InvalidText, PrintedText, StoreId};

/// A store's name for people.
pub type DisplayName = PrintedText<100>;

/// The part of town a store is in: 1 to 64 visible ASCII characters, the same alphabet as a store's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area(StoreId);

impl Area {
    /// Takes a text over if it is within bounds.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        StoreId::parse(text).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A place that makes orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Its name for programs.
    pub id: StoreId,
    /// Its name for people.
    pub display_name: DisplayName,
    /// Where it is, for finding another store nearby.
    pub area: Area,
}
