//! What staff write down: campaigns and stores as YAML, with a JSON Schema that editors can use.

mod campaign;
mod store;
mod tier;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::ValueEnum;
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use campaign::{CampaignSpec, Comparison};
pub use store::{StoreSpec, StoresSpec};

use crate::failure::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// One campaign.
    Campaign,
    /// Stores, any number of them.
    Stores,
}

pub fn schema(kind: Kind) -> Value {
    let schema = match kind {
        Kind::Campaign => schema_for!(CampaignSpec),
        Kind::Stores => schema_for!(StoresSpec),
    };
    schema.to_value()
}

#[derive(Debug, clap::Args)]
pub struct FromFile {
    /// YAML; `-` is standard input. tidegatectl schema tells its form
    #[arg(short, long)]
    pub file: PathBuf,
    /// Tell what would be done, and don't do it
    #[arg(long)]
    pub dry_run: bool,
    /// Why; kept in the history. The file's name if none is given
    #[arg(long)]
    reason: Option<String>,
}

impl FromFile {
    /// Why something is changed; where it comes from, if nobody said why.
    pub fn reason(&self) -> String {
        let name = match self.file.file_name() {
            Some(name) if self.file != Path::new("-") => name.to_string_lossy(),
            _ => "standard input".into(),
        };
        let name = name.chars().filter(|character| !character.is_control());
        let from = || format!("from {}", name.take(100).collect::<String>());
        self.reason.clone().unwrap_or_else(from)
    }
}

/// Reads a file, or standard input if it is `-`. Every fault is told at once, by its place.
pub fn read<T: DeserializeOwned + JsonSchema>(file: &Path) -> Result<T, Failure> {
    parse(&read_text(file)?).map_err(|faults| {
        let (name, faults) = (file.display(), faults.join("\n  "));
        Failure::Usage(format!("{name} cannot be used:\n  {faults}"))
    })
}

/// The text of a file, or of standard input if it is `-`.
pub fn read_text(file: &Path) -> Result<String, Failure> {
    Ok(if file == Path::new("-") {
        io::read_to_string(io::stdin()).context("standard input cannot be read")?
    } else {
        fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?
    })
}

fn parse<T: DeserializeOwned + JsonSchema>(text: &str) -> Result<T, Vec<String>> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| vec![error.to_string()])?;
    let schema = schema_for!(T).to_value();
    let validator = jsonschema::validator_for(&schema).map_err(|error| vec![error.to_string()])?;
    let faults = validator.iter_errors(&value).map(|error| {
        let place = error.instance_path().to_string();
        let place = place.trim_start_matches('/').replace('/', ".");
        match place.as_str() {
            "" => error.to_string(),
            place => format!("{place}: {error}"),
        }
    });
    let faults: Vec<_> = faults.collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    serde_json::from_value(value).map_err(|error| vec![error.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_beside_the_examples_are_those_of_today_and_the_examples_fit() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        for (kind, name) in [(Kind::Campaign, "campaign"), (Kind::Stores, "stores")] {
            let file = folder.join(format!("{name}.schema.json"));
            let there: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
            let anew = format!("write it anew: tidegatectl schema {name}");
            assert_eq!(there, schema(kind), "{anew}");
        }
        read::<CampaignSpec>(&folder.join("spring-tea.yaml")).unwrap();
        read::<StoresSpec>(&folder.join("stores.yaml")).unwrap();
    }

    #[test]
    fn every_fault_of_a_file_is_told_by_its_place() {
        let text = "campaign_id: tea\ncurrency_code: yuan\nlimit_per_shopper: 0\ntypo: 1\n";
        let faults = parse::<CampaignSpec>(text).unwrap_err().join("\n");
        for part in ["currency_code", "limit_per_shopper", "typo", "opens_at"] {
            assert!(faults.contains(part), "{part} is missing in {faults}");
        }
    }
}
