//! Which suite is talked to, and as whom: contexts in a file, like kubectl's.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{commands::keys::write_secret, failure::Failure};

/// All contexts, and which of them is used unless another is named.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// Empty if none is.
    pub current_context: String,
    pub contexts: BTreeMap<String, Context>,
}

/// One suite, and what is needed to talk to it. Secrets are in files of their own; relative paths
/// begin at the folder of the contexts' file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// `host:port`, once for each replica
    #[arg(long, required = true)]
    pub gateway: Vec<String>,
    #[arg(long, required = true)]
    pub quota: Vec<String>,
    #[arg(long, required = true)]
    pub issuance: Vec<String>,
    #[arg(long, required = true)]
    pub order_intake: Vec<String>,
    /// Whom the suite's certificates are signed by
    #[arg(long)]
    pub ca_file: PathBuf,
    /// The certificate of staff, and its key
    #[arg(long)]
    pub certificate_file: PathBuf,
    #[arg(long)]
    pub key_file: PathBuf,
    /// The token of staff
    #[arg(long)]
    pub token_file: PathBuf,
    /// The token of a chatbot's backend, for trying claims and orders
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shopper_token_file: Option<PathBuf>,
    /// The key that tokens are signed with, in development
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key_file: Option<PathBuf>,
    /// A backend of traces with Tempo's API, such as http://localhost:3200
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traces: Option<String>,
}

impl Contexts {
    /// Where they are unless `--config` or TIDEGATE_CONFIG says otherwise.
    pub fn usual_file() -> Option<PathBuf> {
        let named = env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty());
        let folder = named.map(PathBuf::from).or_else(|| {
            let home = env::var_os("HOME").filter(|home| !home.is_empty())?;
            Some(PathBuf::from(home).join(".config"))
        });
        Some(folder?.join("tidegate").join("contexts.yaml"))
    }

    /// Reads the file; no file is no contexts.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            read => read.with_context(|| format!("{} cannot be read", file.display()))?,
        };
        serde_saphyr::from_str(&text).map_err(|error| {
            Failure::Usage(format!("{} holds no contexts: {error}", file.display()))
        })
    }

    /// Writes the file, for its owner's eyes, whole or not at all.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let folder = file.parent().context("the contexts' file has no folder")?;
        private_folder(folder)?;
        let text = serde_saphyr::to_string(self).context("contexts cannot be written as YAML")?;
        write_secret(file, text)
    }

    /// The context that is named, or the current one, with its files' paths made whole.
    pub fn find(&self, name: Option<&str>, file: &Path) -> Result<Context, Failure> {
        let name = name.unwrap_or(&self.current_context);
        if self.contexts.is_empty() {
            return Err(Failure::Usage(format!(
                "there is no context in {}: deploy/local/run writes one, and tidegatectl context add makes one",
                file.display()
            )));
        }
        let found = self.contexts.get(name).ok_or_else(|| {
            let known: Vec<_> = self.contexts.keys().map(String::as_str).collect();
            let known = known.join(", ");
            Failure::Usage(format!("there is no context {name:?}; there are {known}"))
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Ok(found.clone().within(folder))
    }
}

impl Context {
    /// The same, with its relative paths beginning at a folder.
    pub(crate) fn within(self, folder: &Path) -> Self {
        let whole = |path: PathBuf| folder.join(path);
        Self {
            ca_file: whole(self.ca_file),
            certificate_file: whole(self.certificate_file),
            key_file: whole(self.key_file),
            token_file: whole(self.token_file),
            shopper_token_file: self.shopper_token_file.map(whole),
            signing_key_file: self.signing_key_file.map(whole),
            ..self
        }
    }
}

/// Makes a folder that only its owner may enter, if there is none yet.
pub fn private_folder(folder: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    Ok(made.with_context(|| format!("{} cannot be made", folder.display()))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn contexts() -> Contexts {
        let context = Context {
            quota: vec!["127.0.0.1:7000".to_owned()],
            ca_file: "ca.pem".into(),
            token_file: "/elsewhere/staff.token".into(),
            ..Context::default()
        };
        Contexts {
            current_context: "local".to_owned(),
            contexts: [("local".to_owned(), context)].into(),
        }
    }

    #[test]
    fn contexts_are_written_for_their_owner_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tidegate/contexts.yaml");
        contexts().write(&file).unwrap();
        assert_eq!(Contexts::read(&file).unwrap(), contexts());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn relative_paths_begin_at_the_file_and_an_unknown_context_names_those_there_are() {
        let file = Path::new("/home/ann/contexts.yaml");
        let found = contexts().find(None, file).unwrap();
        assert_eq!(found.ca_file, Path::new("/home/ann/ca.pem"));
        assert_eq!(found.token_file, Path::new("/elsewhere/staff.token"));
        let unknown = contexts().find(Some("staging"), file).unwrap_err();
        let told = "there is no context \"staging\"; there are local";
        assert_eq!(unknown.to_string(), told);
    }
}
