//! Keys as Kubernetes takes them.

use std::{fs, path::Path};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{COUPON_KEYS, JWKS, TICKET_KEYS};
use crate::failure::Failure;

/// The Secrets and the ConfigMap, as one stream of YAML documents. The key that signs tokens is not
/// among them: no service needs it.
pub(super) fn manifests(folder: &Path, namespace: &str) -> Result<String, Failure> {
    let mut text = String::new();
    for (name, file) in [("coupon-keys", COUPON_KEYS), ("ticket-keys", TICKET_KEYS)] {
        let content = STANDARD.encode(read(folder, file)?);
        text += &format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\ntype: Opaque\ndata:\n  {file}: {content}\n"
        );
    }
    let jwks = read(folder, JWKS)?;
    text += &format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: token-keys\n  namespace: {namespace}\ndata:\n  {JWKS}: '{jwks}'\n"
    );
    Ok(text)
}

fn read(folder: &Path, name: &str) -> Result<String, Failure> {
    let file = folder.join(name);
    let text = fs::read_to_string(&file);
    Ok(text.with_context(|| format!("{} cannot be read", file.display()))?)
}
