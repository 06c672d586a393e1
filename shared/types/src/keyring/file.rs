use std::collections::BTreeMap;

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{KeyringError, MAX_KEY_ID, MIN_KEY_BYTES};

/// A file of secret keys: `{"active":1,"keys":{"1":"<base64 of 32 bytes>"}}`.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct KeyFile {
    pub(super) active: u8,
    pub(super) keys: BTreeMap<String, String>,
    /// Added and not active yet; only whoever changes keys looks at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<u8>,
}

impl KeyFile {
    /// A file with one key, made now.
    pub fn generate() -> Result<Self, KeyringError> {
        let mut file = Self {
            active: 1,
            keys: BTreeMap::new(),
            pending: None,
        };
        file.keys.insert("1".to_owned(), new_key()?);
        Ok(file)
    }

    /// Reads one. The parser's own message may quote the input, which is secret; its position may not.
    pub fn from_json(json: &str) -> Result<Self, KeyringError> {
        serde_json::from_str(json).map_err(|error| {
            KeyringError::Malformed(format!("line {}, column {}", error.line(), error.column()))
        })
    }

    /// The text of the file.
    pub fn to_json(&self) -> Result<String, KeyringError> {
        serde_json::to_string(self).map_err(|error| KeyringError::Malformed(error.to_string()))
    }

    /// The id of the key for what is made new.
    pub fn active_key_id(&self) -> u8 {
        self.active
    }

    /// The key that was added and is not active yet, if there is one.
    pub fn pending_key_id(&self) -> Option<u8> {
        self.pending
    }

    /// Adds a key that is not active yet, and tells its id: every process must know it first. An id
    /// that was used before comes last, for what was made with it may still be about.
    pub fn add(&mut self) -> Result<u8, KeyringError> {
        let last = self.pending.unwrap_or(self.active);
        let after = (1..=MAX_KEY_ID + 1).map(|step| (last + step) % (MAX_KEY_ID + 1));
        let id = after.into_iter().find(|id| !self.has(*id));
        let id = id.ok_or(KeyringError::NoFreeId)?;
        self.keys.insert(id.to_string(), new_key()?);
        self.pending = Some(id);
        Ok(id)
    }

    /// Makes the added key the active one, and tells its id; `None` if none was added.
    pub fn activate(&mut self) -> Result<Option<u8>, KeyringError> {
        let Some(id) = self.pending else {
            return Ok(None);
        };
        if !self.has(id) {
            return Err(KeyringError::NoActiveKey(id));
        }
        self.active = id;
        self.pending = None;
        Ok(Some(id))
    }

    fn has(&self, id: u8) -> bool {
        self.keys.contains_key(&id.to_string())
    }
}

fn new_key() -> Result<String, KeyringError> {
    let mut key = [0; MIN_KEY_BYTES];
    rand::fill(&mut key).map_err(|_| KeyringError::NoRandomness)?;
    Ok(BASE64_STANDARD.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keyring;

    #[test]
    fn a_key_is_added_first_and_made_active_later() {
        let mut file = KeyFile::generate().unwrap();
        assert_eq!(file.activate().unwrap(), None);
        let added = file.add().unwrap();
        let read = KeyFile::from_json(&file.to_json().unwrap()).unwrap();
        let ring = Keyring::from_json(&read.to_json().unwrap()).unwrap();
        assert_eq!(ring.active_key_id(), 1);
        assert_eq!(ring.key_ids().collect::<Vec<_>>(), [1, added]);
        let mut file = read;
        assert_eq!(file.activate().unwrap(), Some(added));
        let ring = Keyring::from_json(&file.to_json().unwrap()).unwrap();
        assert_eq!(ring.active_key_id(), added);
    }

    #[test]
    fn a_key_can_be_changed_after_an_old_one_was_taken_out() {
        let mut file = KeyFile::generate().unwrap();
        file.add().unwrap();
        file.activate().unwrap();
        file.keys.remove("1");
        assert_eq!(file.add().unwrap(), 3, "the id of the old key comes last");
        assert_eq!(file.activate().unwrap(), Some(3));
    }

    #[test]
    fn no_key_is_dropped_to_make_room_for_another() {
        let mut file = KeyFile::generate().unwrap();
        let added: Vec<_> = (0..7).map(|_| file.add().unwrap()).collect();
        assert_eq!(added, [2, 3, 4, 5, 6, 7, 0]);
        assert_eq!(file.add(), Err(KeyringError::NoFreeId));
    }
}
