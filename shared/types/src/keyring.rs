mod file;

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine as _, prelude::BASE64_STANDARD};

pub use file::KeyFile;

const MAX_KEY_ID: u8 = 7;
const MIN_KEY_BYTES: usize = 32;
/// What HMAC-SHA-256 yields.
const MAC_BYTES: usize = 32;

/// Why keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The file is not the JSON that is expected.
    #[error("the keys are not of the form {{\"active\":1,\"keys\":{{\"1\":\"<base64>\"}}}}: {0}")]
    Malformed(String),
    /// A key id is too large.
    #[error("key id {0} is not from 0 to {MAX_KEY_ID}")]
    KeyId(String),
    /// A key is not base64 of 32 bytes or more.
    #[error("key {0} is not base64 of at least {MIN_KEY_BYTES} bytes")]
    Key(String),
    /// The active key is not among the keys.
    #[error("the active key {0} is not among the keys")]
    NoActiveKey(u8),
    /// As many keys as there are ids.
    #[error("every key id is taken; take out a key that nothing uses any more")]
    NoFreeId,
    /// The machine gives no random bytes.
    #[error("the machine gives no random bytes")]
    NoRandomness,
}

/// Secret keys of HMAC-SHA-256: one is for what is made new, all are for checking what was made before, so that the active key can be changed.
#[derive(Clone)]
pub struct Keyring {
    active: u8,
    keys: BTreeMap<u8, hmac::Key>,
}

impl Keyring {
    /// Reads `{"active":1,"keys":{"1":"<base64 of 32 bytes>"}}`.
    pub fn from_json(json: &str) -> Result<Self, KeyringError> {
        let file = KeyFile::from_json(json)?;
        let mut keys = BTreeMap::new();
        for (id, text) in file.keys {
            let number = id.parse().ok().filter(|number: &u8| *number <= MAX_KEY_ID);
            let number = number.ok_or_else(|| KeyringError::KeyId(id.clone()))?;
            let bytes = BASE64_STANDARD.decode(text).ok();
            let bytes = bytes.filter(|bytes| bytes.len() >= MIN_KEY_BYTES);
            let bytes = bytes.ok_or(KeyringError::Key(id))?;
            keys.insert(number, hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        }
        if !keys.contains_key(&file.active) {
            return Err(KeyringError::NoActiveKey(file.active));
        }
        Ok(Self {
            active: file.active,
            keys,
        })
    }

    /// The id of the key for what is made new.
    pub fn active_key_id(&self) -> u8 {
        self.active
    }

    /// The ids of all keys, the active one among them.
    pub fn key_ids(&self) -> impl Iterator<Item = u8> {
        self.keys.keys().copied()
    }

    /// The MAC of the parts, one after the other, under a key; `None` if that key is gone from the keyring. It is the caller's part that no two meanings have the same parts.
    pub fn mac(&self, key_id: u8, parts: &[&[u8]]) -> Option<[u8; MAC_BYTES]> {
        let mut context = hmac::Context::with_key(self.keys.get(&key_id)?);
        for part in parts {
            context.update(part);
        }
        context.sign().as_ref().try_into().ok()
    }

    /// Whether `head` is how the MAC of the parts begins, found out in a time that tells nothing of it.
    pub fn is_head_of_mac(&self, key_id: u8, parts: &[&[u8]], head: &[u8]) -> bool {
        let mac = self.mac(key_id, parts);
        let expected = mac.as_ref().and_then(|mac| mac.get(..head.len()));
        expected.is_some_and(|expected| verify_slices_are_equal(expected, head).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(active: u8, keys: &[(u8, &str)]) -> Result<Keyring, KeyringError> {
        let keys: Vec<_> = keys
            .iter()
            .map(|(id, key)| format!(r#""{id}":"{key}""#))
            .collect();
        let json = format!(r#"{{"active":{active},"keys":{{{}}}}}"#, keys.join(","));
        Keyring::from_json(&json)
    }

    fn key(bytes: usize, byte: u8) -> String {
        BASE64_STANDARD.encode(vec![byte; bytes])
    }

    #[test]
    fn keys_that_cannot_be_used_are_refused_without_being_quoted() {
        let (short, good) = (key(31, 1), key(32, 1));
        let refused = |active, id, key: &str| ring(active, &[(id, key)]).err().unwrap();
        assert_eq!(refused(1, 1, &short), KeyringError::Key("1".into()));
        assert!(!refused(1, 1, &short).to_string().contains(&short));
        assert_eq!(refused(1, 8, &good), KeyringError::KeyId("8".into()));
        assert_eq!(refused(3, 1, &good), KeyringError::NoActiveKey(3));
        let malformed = Keyring::from_json("{").err().unwrap();
        assert!(matches!(malformed, KeyringError::Malformed(_)));
    }

    #[test]
    fn a_mac_is_right_for_its_key_and_its_parts_only() {
        let ring = ring(2, &[(1, &key(32, 1)), (2, &key(32, 2))]).unwrap();
        let mac = ring.mac(ring.active_key_id(), &[b"a", b"b"]).unwrap();
        assert!(ring.is_head_of_mac(2, &[b"ab"], &mac[..16]));
        assert!(!ring.is_head_of_mac(1, &[b"ab"], &mac[..16]));
        assert!(!ring.is_head_of_mac(2, &[b"ac"], &mac[..16]));
        assert!(!ring.is_head_of_mac(3, &[b"ab"], &mac[..16]));
        assert!(!ring.is_head_of_mac(2, &[b"ab"], &[mac.as_slice(), &[0]].concat()));
    }
}
