use std::fmt;

/// Why a text cannot be shown to people. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrintedText {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Longer than the bound.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The most characters allowed.
        max: usize,
    },
    /// A control character, or one that turns the direction of what follows.
    #[error("must not hold control characters")]
    Control,
}

/// A text for people, in any script: 1 to `MAX` characters, none of which can break a line, a log or the reading direction.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PrintedText<const MAX: usize>(Box<str>);

impl<const MAX: usize> PrintedText<MAX> {
    /// Takes a text over if it is within bounds.
    pub fn parse(text: &str) -> Result<Self, InvalidPrintedText> {
        if text.trim().is_empty() {
            return Err(InvalidPrintedText::Empty);
        }
        if text.chars().count() > MAX {
            return Err(InvalidPrintedText::TooLong { max: MAX });
        }
        if text.chars().any(is_control) {
            return Err(InvalidPrintedText::Control);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> fmt::Debug for PrintedText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_for_people_take_any_script_and_no_control_characters() {
        use InvalidPrintedText::{Control, Empty, TooLong};
        let refused = |text: &str| PrintedText::<4>::parse(text).err();
        assert_eq!(refused("珍珠奶茶"), None);
        assert_eq!(refused("珍珠奶茶!"), Some(TooLong { max: 4 }));
        assert_eq!(refused("  "), Some(Empty));
        for hostile in ["a\0", "a\n", "a\u{202e}b", "\u{2067}"] {
            assert_eq!(refused(hostile), Some(Control), "{hostile:?}");
        }
    }
}
