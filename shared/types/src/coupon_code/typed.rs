//! Codes as people type and paste them.

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Longer texts are refused before they are read: 16 letters of four bytes, each with four separators
/// of three.
pub(super) const MAX_TYPED_BYTES: usize = 256;
/// What people take for a dash and Unicode does not: the minus sign, the long mark of Japanese
/// keyboards, and the line of Chinese ones.
const LOOK_LIKE_DASHES: [char; 3] = ['\u{2212}', '\u{30FC}', '\u{2500}'];

/// The letters and digits of a typed code as the alphabet has them: width and style are folded by
/// NFKC, case by the alphabet, O, I and L are read as the digits they look like, and spaces, dashes
/// and what cannot be seen are left out. `None` if the text is longer than any code.
pub(super) fn letters(typed: &str) -> Option<impl Iterator<Item = char>> {
    let is_read = typed.len() <= MAX_TYPED_BYTES;
    let letters = typed.nfkc().filter(|typed| !is_left_out(*typed));
    is_read.then(|| letters.map(canonical))
}

fn canonical(typed: char) -> char {
    match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    }
}

fn is_left_out(typed: char) -> bool {
    let is_mark = matches!(
        typed.general_category(),
        // Zero-width characters, marks of direction and of byte order, soft hyphens.
        GeneralCategory::Format
            | GeneralCategory::DashPunctuation
            | GeneralCategory::SpaceSeparator
    );
    // Tabs and ends of lines are no separators to Unicode; selectors of a character's look come
    // along with what is pasted from chats.
    let is_selector = matches!(typed, '\u{FE00}'..='\u{FE0F}');
    is_mark || is_selector || typed.is_whitespace() || LOOK_LIKE_DASHES.contains(&typed)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::super::CouponCode;

    const CODE: &str = "0123456789ABCDEF";

    #[track_caller]
    fn assert_reads(typed: &str) {
        let read = CouponCode::parse(typed).map(CouponCode::reveal);
        assert_eq!(read.as_deref(), Some(CODE), "{typed:?}");
    }

    #[test]
    fn full_width_letters_and_digits_are_read() {
        assert_reads("\u{FF10}\u{FF11}\u{FF12}\u{FF13}456789\u{FF21}\u{FF22}CDEF");
        assert_reads("0123456789\u{FF41}\u{FF42}\u{FF43}\u{FF44}\u{FF45}\u{FF46}");
        // The look-alikes of 0 and 1, on a Chinese keyboard.
        assert_reads("\u{FF2F}\u{FF49}23456789ABCDEF");
        assert_reads("\u{FF4F}\u{FF2C}23456789ABCDEF");
    }

    #[test]
    fn spaces_dashes_and_what_cannot_be_seen_are_left_out() {
        let spaces = " \t\n\r\u{A0}\u{2003}\u{2009}\u{202F}\u{3000}\u{2028}";
        let unseen =
            "\u{200B}\u{200C}\u{200D}\u{2060}\u{FEFF}\u{AD}\u{200E}\u{202E}\u{2066}\u{FE0F}";
        let dashes =
            "-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{FF0D}\u{FE58}\u{FE63}";
        let long_marks = "\u{30FC}\u{FF70}\u{2500}";
        for left_out in [spaces, unseen, dashes, long_marks].concat().chars() {
            assert_reads(&format!(
                "{left_out}0123{left_out}{left_out}456789ABCDEF{left_out}"
            ));
        }
    }

    #[test]
    fn what_is_no_code_is_not_made_one() {
        for typed in [
            "",
            "\u{3000}",
            "0",
            "0123456789ABCDE",
            "0123456789ABCDEF0",
            "UUUUUUUUUUUUUUUU",
            "\u{5976}\u{8336}\u{5976}\u{8336}",
            "0123456789ABCDE\u{4E00}",
            // An accent is seen, and no part of the letter it stands on.
            "0123456789ABCDEF\u{301}",
            // Letters of other alphabets are not what they look like.
            "\u{41E}123456789ABCDEF",
            "0123.4567.89AB.CDEF",
        ] {
            assert_eq!(CouponCode::parse(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn a_text_longer_than_any_code_is_refused_unread() {
        let padding = |bytes: usize| format!("{CODE}{}", " ".repeat(bytes - CODE.len()));
        assert_reads(&padding(super::MAX_TYPED_BYTES));
        assert_eq!(
            CouponCode::parse(&padding(super::MAX_TYPED_BYTES + 1)),
            None
        );
        // One character that stands for eighteen.
        assert_eq!(CouponCode::parse(&"\u{FDFA}".repeat(85)), None);
    }

    /// A character of a code as somebody may type it.
    fn typed(letter: char) -> impl Strategy<Value = String> {
        let mut ways = vec![letter, letter.to_ascii_lowercase()];
        ways.extend(match letter {
            '0' => &['O', 'o'][..],
            '1' => &['I', 'i', 'L', 'l'],
            _ => &[],
        });
        let wide = |way: &char| char::from_u32(*way as u32 - 0x21 + 0xFF01);
        ways.extend(ways.iter().filter_map(wide).collect::<Vec<_>>());
        let between = select(vec![
            "", "", "", "-", " ", "\t", "\u{3000}", "\u{A0}", "\u{200B}", "\u{FEFF}", "\u{2014}",
            "\u{2212}", "\u{FF0D}", "\u{30FC}",
        ]);
        (select(ways), vec(between, 0..3))
            .prop_map(|(letter, between)| format!("{letter}{}", between.concat()))
    }

    proptest! {
        #[test]
        fn any_code_is_read_however_it_is_decorated(
            (code, typed) in any::<u128>().prop_map(|bits| CouponCode(bits >> 48)).prop_flat_map(
                |code| {
                    let letters: Vec<_> = code.reveal().chars().map(typed).collect();
                    (Just(code), letters.prop_map(|letters| letters.concat()))
                },
            )
        ) {
            prop_assert_eq!(CouponCode::parse(&typed), Some(code), "{:?}", typed);
        }

        #[test]
        fn no_text_breaks_the_reader(typed in any::<String>()) {
            let _ = CouponCode::parse(&typed);
        }
    }
}
