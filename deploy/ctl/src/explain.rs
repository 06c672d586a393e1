//! What a refusal's reason means, in the words of the contract itself.

use serde_json::json;
use tidegate_types::Reason;

use crate::{contract::pool, failure::Failure, output::Output};

/// What the contract says of a reason, such as `BUDGET_EXHAUSTED`; of all of them without a name.
pub fn explain(name: Option<&str>) -> Result<Output, Failure> {
    let reasons = all();
    let wanted = name.map(|name| name.trim().to_uppercase().replace('-', "_"));
    let shown: Vec<_> = reasons
        .into_iter()
        .filter(|(reason, _)| wanted.as_ref().is_none_or(|wanted| reason == wanted))
        .map(|(reason, meaning)| json!({ "reason": reason, "meaning": meaning }))
        .collect();
    if shown.is_empty() {
        let known: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        return Err(Failure::Usage(format!(
            "there is no reason {}; there are {}",
            wanted.unwrap_or_default(),
            known.join(", ")
        )));
    }
    let columns = [("REASON", "/reason"), ("MEANING", "/meaning")];
    Ok(Output::list(shown, &columns))
}

fn all() -> Vec<(String, String)> {
    let Some(reasons) = pool().get_enum_by_name("tidegate.type.v1.Reason") else {
        return Vec::new();
    };
    let file = reasons.parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let places = info.map_or(&[][..], |info| &info.location);
    let named = reasons.values().filter_map(|value| {
        let name = value.name().strip_prefix("REASON_")?;
        let said = places.iter().find(|place| place.path == value.path());
        let words = said.map_or("", |place| place.leading_comments());
        let words: Vec<_> = words.split_whitespace().collect();
        (name != "UNSPECIFIED").then(|| (name.to_owned(), words.join(" ")))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_explained_in_the_words_of_the_contract() {
        let reasons = all();
        assert_eq!(reasons.len(), Reason::ALL.len());
        for (reason, meaning) in reasons {
            assert!(!meaning.is_empty(), "{reason}");
        }
    }
}
