use tidegate_types::CouponCode;

const CODE_LENGTH: usize = 16;
const MIN_LENGTH: usize = 2;

/// An ending of codes that is none. The sentence fits behind the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the last 2 to 16 characters of a code")]
pub struct InvalidCodeEnding;

/// The last characters of a code. `Debug` tells only how many they are: all of them are a code.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeEnding(String);

impl CodeEnding {
    /// Reads what a person typed, as forgivingly as a whole code is read.
    pub fn parse(typed: &str) -> Result<Self, InvalidCodeEnding> {
        let read = (MIN_LENGTH..=CODE_LENGTH).find_map(|length| {
            // What is missing in front of it is filled up, so that it is read as a whole code is.
            let missing = CODE_LENGTH - length;
            let code = CouponCode::parse(&format!("{}{typed}", "0".repeat(missing)))?;
            code.reveal().get(missing..).map(str::to_owned)
        });
        read.map(Self).ok_or(InvalidCodeEnding)
    }

    pub fn ends(&self, code: CouponCode) -> bool {
        code.reveal().ends_with(&self.0)
    }
}

impl std::fmt::Debug for CodeEnding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the last {} characters of a code", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "0123456789ABCDEF";

    fn ends(typed: &str) -> bool {
        let code = CouponCode::parse(CODE).unwrap();
        CodeEnding::parse(typed).unwrap().ends(code)
    }

    #[test]
    fn an_ending_is_read_in_any_case_and_with_any_separators() {
        let full_width = "\u{FF25}\u{FF26}";
        let whole = "o1234-56789 abcd_ef".replace('_', "\u{2014}");
        for typed in ["EF", "ef", " c-d E\tf", full_width, "9ABC-DEF", &whole] {
            assert!(ends(typed), "{typed:?}");
        }
        for typed in ["FE", "DE", "0EF", "BCDFF", "1123456789ABCDEF"] {
            assert!(!ends(typed), "{typed:?}");
        }
    }

    #[test]
    fn what_is_shorter_or_longer_than_an_ending_or_no_part_of_a_code_is_refused() {
        let too_long = format!("0{CODE}");
        for typed in ["", "F", "- F", "U*", "\u{5976}\u{8336}", "E.F", &too_long] {
            assert_eq!(
                CodeEnding::parse(typed),
                Err(InvalidCodeEnding),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn an_ending_is_not_shown() {
        let ending = CodeEnding::parse(CODE).unwrap();
        assert!(!format!("{ending:?}").contains(CODE));
    }
}
