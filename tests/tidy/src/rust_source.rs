//! Tells the code of a Rust file from its comments and its strings, so that a rule looks where it means to look.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

/// The attribute of an item that only tests see.
static TEST_ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"#\s*!?\[cfg\((?:(?:all|any)\()?test\b[^\]]*\]"));
/// Further attributes of the same item.
static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*#\[[^\]]*\]"));
static MODULE_ELSEWHERE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;"));

/// A file in three layers of the same length as its text: what does not belong to a layer is blank in it, so that a place in one
/// is the same place in the others and in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RustSource {
    /// All but comments and the insides of strings.
    pub code: String,
    pub comments: String,
    /// The insides of strings, byte strings and characters.
    pub strings: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Code,
    Comment,
    Text,
}

impl RustSource {
    /// Reads a file that the compiler takes.
    pub fn parse(text: &str) -> Self {
        let layers = layers(text.as_bytes());
        let keep = |layer| blank(text, |place| layers[place] != layer);
        Self {
            code: keep(Layer::Code),
            comments: keep(Layer::Comment),
            strings: keep(Layer::Text),
        }
    }

    /// The same without the items that are compiled for tests only.
    pub fn without_tests(&self) -> Self {
        Self {
            code: self.blank_tests_in(&self.code),
            comments: self.blank_tests_in(&self.comments),
            strings: self.blank_tests_in(&self.strings),
        }
    }

    /// Blanks the items that are compiled for tests only in one layer, or in the text itself.
    pub fn blank_tests_in(&self, layer: &str) -> String {
        let items = self.test_items();
        blank(layer, |place| {
            items.iter().any(|item| item.contains(&place))
        })
    }

    /// The names of the modules of their own files that are compiled for tests only.
    pub fn test_modules(&self) -> Vec<&str> {
        let items = self.test_items().into_iter();
        items
            .filter_map(|item| {
                let declared = after_attributes(&self.code, item.start);
                let name = MODULE_ELSEWHERE.captures(&self.code[declared..item.end])?;
                Some(name.get(1)?.as_str())
            })
            .collect()
    }

    fn test_items(&self) -> Vec<Range<usize>> {
        let found = TEST_ATTRIBUTE.find_iter(&self.code);
        found
            .map(|attribute| {
                let inner = attribute.as_str().contains('!');
                let end = if inner {
                    self.code.len()
                } else {
                    end_of_item(&self.code, attribute.end())
                };
                attribute.start()..end
            })
            .collect()
    }
}

fn after_attributes(code: &str, mut place: usize) -> usize {
    while let Some(attribute) = ATTRIBUTE.find(&code[place..]) {
        place += attribute.end();
    }
    place
}

/// Behind the item's first semicolon, or behind the brace that closes its first one.
fn end_of_item(code: &str, attribute_end: usize) -> usize {
    let begin = after_attributes(code, attribute_end);
    let mut depth = 0usize;
    for (place, byte) in code.bytes().enumerate().skip(begin) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && byte == b'}' {
                    return place + 1;
                }
            }
            b';' if depth == 0 => return place + 1,
            _ => (),
        }
    }
    code.len()
}

fn layers(text: &[u8]) -> Vec<Layer> {
    let mut layers = vec![Layer::Code; text.len()];
    let mut place = 0;
    while place < text.len() {
        let (layer, inside, end) = token(text, place);
        layers[inside].fill(layer);
        place = end;
    }
    layers
}

/// The layer of the token at `place`, the bytes that belong to that layer, and where the next token begins.
fn token(text: &[u8], place: usize) -> (Layer, Range<usize>, usize) {
    let rest = &text[place..];
    let word_before =
        place > 0 && (text[place - 1].is_ascii_alphanumeric() || text[place - 1] == b'_');
    if rest.starts_with(b"//") {
        let end = place + length_until(rest, b"\n");
        return (Layer::Comment, place..end, end);
    }
    if rest.starts_with(b"/*") {
        let end = place + block_comment(rest);
        return (Layer::Comment, place..end, end);
    }
    if rest[0] == b'"' {
        let end = place + quoted(rest, b'"');
        return (Layer::Text, place + 1..(end - 1).max(place + 1), end);
    }
    if let Some((opening, closing)) = raw_string(rest).filter(|_| !word_before) {
        let inside = place + opening;
        let end_inside = inside + length_until(&text[inside..], &closing);
        let end = (end_inside + closing.len()).min(text.len());
        return (Layer::Text, inside..end_inside, end);
    }
    if rest[0] == b'\'' && is_character(rest) {
        let end = place + quoted(rest, b'\'');
        return (Layer::Text, place + 1..(end - 1).max(place + 1), end);
    }
    (Layer::Code, place..place + 1, place + 1)
}

fn length_until(text: &[u8], end: &[u8]) -> usize {
    text.windows(end.len())
        .position(|window| window == end)
        .unwrap_or(text.len())
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut place) = (0, 0);
    while place < text.len() {
        if text[place..].starts_with(b"/*") {
            depth += 1;
            place += 2;
        } else if text[place..].starts_with(b"*/") {
            depth -= 1;
            place += 2;
            if depth == 0 {
                return place;
            }
        } else {
            place += 1;
        }
    }
    text.len()
}

/// The length of a literal with its quotes.
fn quoted(text: &[u8], quote: u8) -> usize {
    let mut place = 1;
    while place < text.len() {
        match text[place] {
            b'\\' => place += 2,
            byte if byte == quote => return place + 1,
            _ => place += 1,
        }
    }
    text.len()
}

/// The length of what opens a raw string, and what closes it.
fn raw_string(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let letters = [&b"br"[..], b"cr", b"r"]
        .into_iter()
        .find(|letters| text.starts_with(letters))?
        .len();
    let hashes = text[letters..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let opening = letters + hashes + 1;
    (text.get(opening - 1) == Some(&b'"')).then(|| {
        let closing = [&b"\""[..], &b"#".repeat(hashes)].concat();
        (opening, closing)
    })
}

/// A quote begins a character, unless it begins a lifetime or a label.
fn is_character(text: &[u8]) -> bool {
    match text.get(1) {
        Some(b'\\') => true,
        Some(first) if first.is_ascii_alphanumeric() || *first == b'_' => {
            text.get(2) == Some(&b'\'')
        }
        Some(_) => true,
        None => false,
    }
}

fn blank(text: &str, is_blank: impl Fn(usize) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    for (place, letter) in text.char_indices() {
        if letter == '\n' || !is_blank(place) {
            kept.push(letter);
        } else {
            // As many bytes as the letter, so that places stay the same.
            kept.extend(std::iter::repeat_n(' ', letter.len_utf8()));
        }
    }
    kept
}

/// A pattern that is written in this crate's source.
pub(crate) fn pattern(expression: &str) -> Regex {
    match Regex::new(expression) {
        Ok(pattern) => pattern,
        Err(error) => panic!("the pattern {expression} is wrong: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_told_from_code() {
        let text = "let a = \"in // text\"; // said \"so\"\nlet b = 'x'; /* one /* two */ three */ let c: &'static str = r#\"raw \"here\"#;";
        let source = RustSource::parse(text);
        assert!(
            source.code.contains("let c: &'static str = r#\"") && !source.code.contains("here")
        );
        assert!(!source.code.contains("in //") && !source.code.contains("three"));
        assert!(source.comments.contains("// said \"so\"") && source.comments.contains("three */"));
        assert!(source.strings.contains("in // text") && source.strings.contains("raw \"here"));
    }

    #[test]
    fn escapes_lifetimes_and_bytes_do_not_lead_astray() {
        let source = RustSource::parse(
            r#"f::<'a>('\'', "\"", b"\\", '"', b'"', br"\", "é") + kept // said"#,
        );
        assert!(source.code.contains("kept") && source.comments.trim() == "// said");
        assert_eq!(source.code.len(), source.strings.len());
    }

    #[test]
    fn all_layers_keep_their_lines() {
        let text = "/* a\nb */\n\"c\nd\"\ne";
        let source = RustSource::parse(text);
        for layer in [&source.code, &source.comments, &source.strings] {
            assert_eq!((layer.len(), layer.lines().count()), (text.len(), 5));
        }
    }

    #[test]
    fn test_items_are_blanked_and_what_follows_them_is_kept() {
        let text = "fn before() {}\n#[cfg(test)]\n#[allow(unused)]\nmod tests {\n fn one() { \"}\"; }\n}\n#[cfg(test)]\nuse a::{b, c};\nfn after() {}";
        let kept = RustSource::parse(text).without_tests().code;
        assert!(kept.contains("before") && kept.contains("after"));
        assert!(!kept.contains("one") && !kept.contains("a::"));
        assert!(
            RustSource::parse("#![cfg(test)]\nfn one() {}")
                .without_tests()
                .code
                .trim()
                .is_empty()
        );
        assert!(
            RustSource::parse("#[cfg(unix)]\nfn one() {}")
                .without_tests()
                .code
                .contains("one")
        );
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_named() {
        let source = RustSource::parse(
            "#[cfg(test)]\nmod tests;\nmod store;\n#[cfg(test)]\npub(crate) mod samples;\n#[cfg(test)]\nmod inside { fn one() {} }",
        );
        assert_eq!(source.test_modules(), ["tests", "samples"]);
    }
}
