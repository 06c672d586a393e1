use tidegate_types::{InvalidPrintedText, PrintedText};

/// A text for people; an empty one is none.
pub fn given<const MAX: usize>(text: &str) -> Result<Option<PrintedText<MAX>>, InvalidPrintedText> {
    let given = Some(text).filter(|text| !text.is_empty());
    given.map(PrintedText::parse).transpose()
}

/// A text for people as it is shown and kept: none is an empty one.
pub fn shown<const MAX: usize>(text: &Option<PrintedText<MAX>>) -> &str {
    text.as_ref().map_or("", PrintedText::as_str)
}
