//! What a refusal's reason means, in the words of the contract itself.

use prost_reflect::prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::json;
use tidegate_types::Reason;

use crate::{failure::Failure, output::Output};

/// Field numbers of the path from a file to the first enum's values, as the descriptors count.
const ENUMS_OF_FILE: i32 = 5;
const VALUES_OF_ENUM: i32 = 2;
const REASON_FILE: &str = "tidegate/type/v1/reason.proto";

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
    Ok(Output::list(
        shown,
        &[("REASON", "/reason"), ("MEANING", "/meaning")],
    ))
}

fn all() -> Vec<(String, String)> {
    let set = FileDescriptorSet::decode(tidegate_proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
    let file = set.file.into_iter().find(|file| file.name() == REASON_FILE);
    let Some(file) = file else {
        return Vec::new();
    };
    let place = file
        .enum_type
        .iter()
        .position(|kind| kind.name() == "Reason");
    let place = place
        .and_then(|place| i32::try_from(place).ok())
        .unwrap_or(0);
    let info = file.source_code_info.unwrap_or_default();
    let values = file
        .enum_type
        .into_iter()
        .nth(place as usize)
        .unwrap_or_default()
        .value;
    let said = |number: usize| {
        let path = [ENUMS_OF_FILE, place, VALUES_OF_ENUM, number as i32];
        let found = info.location.iter().find(|location| location.path == path);
        let words = found.map_or("", |location| location.leading_comments());
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let named = values.iter().enumerate().filter_map(|(number, value)| {
        let name = value.name().strip_prefix("REASON_")?;
        Some((name.to_owned(), said(number)))
    });
    named.filter(|(name, _)| name != "UNSPECIFIED").collect()
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
