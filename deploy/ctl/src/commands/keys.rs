//! Keys of coupon codes, of tickets and of tokens, in a folder of files.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tidegate_auth::{SigningKey, write_secret_file};
use tidegate_types::KeyFile;

use crate::{context::private_folder, failure::Failure, output::Output};

pub const COUPON_KEYS: &str = "coupon-keys.json";
pub const TICKET_KEYS: &str = "ticket-keys.json";
pub const JWKS: &str = "jwks.json";
pub const TOKEN_KEY: &str = "token.key";
/// A token key that services are told of and that signs nothing yet.
const NEXT_TOKEN_KEY: &str = "token.key.next";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the keys that are missing; those there are stay
    Init(Where),
    /// Add a key that every process must know before it is used: the first step of a change
    Rotate {
        #[arg(value_enum)]
        kind: Kind,
        #[command(flatten)]
        folder: Where,
    },
    /// Use the added key from now on: the second step, when every process knows it
    Activate {
        #[arg(value_enum)]
        kind: Kind,
        #[command(flatten)]
        folder: Where,
    },
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Coupon codes are made with it
    Coupon,
    /// Places in the queue are signed with it
    Ticket,
    /// Tokens are signed with it
    Token,
}

/// Where the keys are.
#[derive(Debug, Args)]
pub struct Where {
    /// The folder of the files
    #[arg(long, default_value = "keys")]
    folder: PathBuf,
    /// Print the Secrets and the ConfigMap that Kubernetes needs, for `kubectl apply --filename -`
    #[arg(long)]
    kubernetes: bool,
    /// The namespace of those
    #[arg(long, default_value = "tidegate")]
    namespace: String,
}

pub fn run(command: Command) -> Result<Output, Failure> {
    let (note, folder) = match command {
        Command::Init(folder) => {
            let made = init(&folder.folder)?;
            let note = match made.is_empty() {
                true => format!("All keys are in {} already.", folder.folder.display()),
                false => format!("Made in {}: {}.", folder.folder.display(), made.join(", ")),
            };
            (note, folder)
        }
        Command::Rotate { kind, folder } => (rotate(kind, &folder.folder)?, folder),
        Command::Activate { kind, folder } => (activate(kind, &folder.folder)?, folder),
    };
    if folder.kubernetes {
        eprintln!("{note}");
        let manifests = manifests(&folder.folder, &folder.namespace)?;
        return Ok(Output::one(manifests.clone().into(), &[]).with_note(manifests.trim_end()));
    }
    Ok(Output::said(note))
}

/// Makes the keys that are missing; those there are stay.
pub fn init(folder: &Path) -> Result<Vec<&'static str>, Failure> {
    private_folder(folder)?;
    let mut made = Vec::new();
    for name in [COUPON_KEYS, TICKET_KEYS] {
        let file = folder.join(name);
        if !file.exists() {
            let keys = KeyFile::generate().map_err(anyhow::Error::from)?;
            write_keys(&file, &keys)?;
            made.push(name);
        }
    }
    let key_file = folder.join(TOKEN_KEY);
    if !key_file.exists() {
        let key = SigningKey::generate().map_err(anyhow::Error::from)?;
        write_secret(&key_file, key.pem())?;
        made.push(TOKEN_KEY);
    }
    // Public keys that are there stay: tokens of an identity provider may be checked with them.
    let key = SigningKey::load(&key_file).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut public = match folder.join(JWKS).exists() {
        true => published(folder)?,
        false => Vec::new(),
    };
    if !public.iter().any(|known| known["kid"] == key.id().as_str()) {
        public.push(key.public_jwk());
        publish(folder, &public)?;
        made.push(JWKS);
    }
    Ok(made)
}

fn rotate(kind: Kind, folder: &Path) -> Result<String, Failure> {
    if let Some(name) = secret_file(kind) {
        let file = folder.join(name);
        let mut keys = read_keys(&file)?;
        let id = keys
            .add()
            .map_err(|error| Failure::Usage(error.to_string()))?;
        write_keys(&file, &keys)?;
        return Ok(format!(
            "Key {id} is in {} and not active. Roll the file out, and when every process knows it: tidegatectl keys activate {}",
            file.display(),
            kind_name(kind)
        ));
    }
    let key = SigningKey::generate().map_err(anyhow::Error::from)?;
    let mut public = published(folder)?;
    public.push(key.public_jwk());
    write_secret(&folder.join(NEXT_TOKEN_KEY), key.pem())?;
    publish(folder, &public)?;
    Ok(format!(
        "Key {} is in {JWKS} and signs nothing yet. Roll {JWKS} out, and when every process knows it: tidegatectl keys activate token",
        key.id()
    ))
}

fn activate(kind: Kind, folder: &Path) -> Result<String, Failure> {
    if let Some(name) = secret_file(kind) {
        let file = folder.join(name);
        let mut keys = read_keys(&file)?;
        let activated = keys.activate();
        let activated = activated.map_err(|error| Failure::Usage(error.to_string()))?;
        let Some(id) = activated else {
            return Err(nothing_added(kind));
        };
        write_keys(&file, &keys)?;
        return Ok(format!(
            "Key {id} is active in {}: roll it out. The key from before stays, for what was made with it.",
            file.display()
        ));
    }
    let (next, now) = (folder.join(NEXT_TOKEN_KEY), folder.join(TOKEN_KEY));
    if !next.exists() {
        return Err(nothing_added(kind));
    }
    let renamed = fs::rename(&next, &now);
    renamed.with_context(|| format!("{} cannot be written", now.display()))?;
    Ok(format!(
        "{} signs tokens from now on. Its predecessor stays in {JWKS}: take it out when its last token has ended.",
        now.display()
    ))
}

fn nothing_added(kind: Kind) -> Failure {
    let kind = kind_name(kind);
    Failure::Usage(format!(
        "no key was added that could be used: tidegatectl keys rotate {kind} adds one"
    ))
}

fn secret_file(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Coupon => Some(COUPON_KEYS),
        Kind::Ticket => Some(TICKET_KEYS),
        Kind::Token => None,
    }
}

fn kind_name(kind: Kind) -> String {
    format!("{kind:?}").to_lowercase()
}

fn read_as<T, E: Display>(
    file: &Path,
    take_apart: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    let name = file.display();
    let missing = || format!("{name} cannot be read; tidegatectl keys init makes it");
    let text = fs::read_to_string(file).with_context(missing)?;
    take_apart(&text).map_err(|error| Failure::Usage(format!("{name}: {error}")))
}

fn read_keys(file: &Path) -> Result<KeyFile, Failure> {
    read_as(file, KeyFile::from_json)
}

fn write_keys(file: &Path, keys: &KeyFile) -> Result<(), Failure> {
    let text = keys.to_json().map_err(anyhow::Error::from)?;
    write_secret(file, text)
}

fn published(folder: &Path) -> Result<Vec<Value>, Failure> {
    let read: Value = read_as(&folder.join(JWKS), |text| serde_json::from_str(text))?;
    Ok(read["keys"].as_array().cloned().unwrap_or_default())
}

fn publish(folder: &Path, keys: &[Value]) -> Result<(), Failure> {
    let jwks = json!({ "keys": keys }).to_string();
    write_secret(&folder.join(JWKS), jwks)
}

/// The Secrets and the ConfigMap, as one stream of YAML documents. The key that signs tokens is not
/// among them: no service needs it.
fn manifests(folder: &Path, namespace: &str) -> Result<String, Failure> {
    let read = |name: &str| {
        let file = folder.join(name);
        fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))
    };
    let mut text = String::new();
    for (name, file) in [("coupon-keys", COUPON_KEYS), ("ticket-keys", TICKET_KEYS)] {
        let content = STANDARD.encode(read(file)?);
        text += &format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\ntype: Opaque\ndata:\n  {file}: {content}\n"
        );
    }
    let jwks = read(JWKS)?;
    text += &format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: token-keys\n  namespace: {namespace}\ndata:\n  {JWKS}: '{jwks}'\n"
    );
    Ok(text)
}

/// Writes a file for its owner's eyes.
pub fn write_secret(file: &Path, content: impl AsRef<[u8]>) -> Result<(), Failure> {
    let written = write_secret_file(file, content.as_ref());
    Ok(written.with_context(|| format!("{} cannot be written", file.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_changed_in_two_steps() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(init(folder.path()).unwrap().len(), 4);
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        let coupon = read(COUPON_KEYS);
        assert!(init(folder.path()).unwrap().is_empty());
        assert_eq!(read(COUPON_KEYS), coupon);

        rotate(Kind::Coupon, folder.path()).unwrap();
        let added = read_keys(&folder.path().join(COUPON_KEYS)).unwrap();
        assert_eq!(added.active_key_id(), 1);
        assert_eq!(added.pending_key_id(), Some(2));
        activate(Kind::Coupon, folder.path()).unwrap();
        let active = read_keys(&folder.path().join(COUPON_KEYS)).unwrap();
        assert_eq!(active.active_key_id(), 2);

        let first = read(TOKEN_KEY);
        rotate(Kind::Token, folder.path()).unwrap();
        assert_eq!(read(TOKEN_KEY), first);
        activate(Kind::Token, folder.path()).unwrap();
        assert_ne!(read(TOKEN_KEY), first);
        assert_eq!(published(folder.path()).unwrap().len(), 2);
    }

    #[test]
    fn public_keys_that_are_there_stay() {
        let folder = tempfile::tempdir().unwrap();
        let other = json!({ "keys": [{ "kid": "theirs" }] });
        fs::write(folder.path().join(JWKS), other.to_string()).unwrap();
        init(folder.path()).unwrap();
        let public = published(folder.path()).unwrap();
        assert_eq!((public.len(), &public[0]["kid"]), (2, &json!("theirs")));
        let activated = activate(Kind::Coupon, folder.path());
        assert!(activated.is_err(), "none was added");
    }

    #[test]
    fn kubernetes_gets_the_names_that_its_deployments_mount() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path()).unwrap();
        let text = manifests(folder.path(), "tidegate").unwrap();
        for part in ["coupon-keys", "ticket-keys", "token-keys"] {
            let name = format!("name: {part}\n");
            assert!(text.contains(&name), "{part} is missing");
        }
        assert!(text.contains("jwks.json"));
        let is_secret = text.contains("PRIVATE KEY");
        assert!(!is_secret, "the signing key is no part of the cluster");
    }
}
