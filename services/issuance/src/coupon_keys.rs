//! The keys of coupon codes, read again when their file changes.
//!
//! A key that is not here says nothing about the coupons made with it. They are refused for now and
//! are good again as soon as the key is back.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
};

use arc_swap::ArcSwap;
use tidegate_auth::{FileWatch, RELOAD_INTERVAL};
use tidegate_types::{CouponCode, CouponKeyring, DecodedCode, ShopperId, Unverified};
use tokio::time::interval;

use crate::{
    domain::coupon::StoredCoupon,
    error::{IssuanceError, Result},
    metrics::IssuanceMetrics,
};

/// A keys file that cannot be used. Quotes no key.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be used for the keys of coupons: {reason}")]
pub struct CouponKeysUnusable {
    file: PathBuf,
    reason: String,
}

pub struct CouponKeys {
    file: PathBuf,
    /// From before the first reading, so that no change is missed.
    watch: Mutex<FileWatch>,
    current: ArcSwap<CouponKeyring>,
    /// A bit for each key that the log called missing since the last reading.
    told_missing: AtomicU8,
}

impl CouponKeys {
    pub fn load(file: impl Into<PathBuf>) -> Result<Self, CouponKeysUnusable> {
        let file = file.into();
        let watch = FileWatch::new([&*file]);
        Ok(Self {
            watch: Mutex::new(watch),
            current: ArcSwap::from_pointee(read(&file)?),
            file,
            told_missing: AtomicU8::new(0),
        })
    }

    pub fn active_key_id(&self) -> u8 {
        self.current.load().active_key_id()
    }

    /// The coupon's code; `None` if its key is missing, which the log says once a key.
    pub fn code_of(&self, coupon: &StoredCoupon, shopper: &ShopperId) -> Option<CouponCode> {
        let (key_id, campaign, slot) = (coupon.key_id, coupon.campaign, coupon.slot);
        let code = self.current.load().derive(key_id, campaign, shopper, slot);
        let bit = 1u8.checked_shl(key_id.into()).unwrap_or_default();
        if code.is_none() && self.told_missing.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            let file = self.file.display();
            tracing::error!(key_id, %file, "the key of coupons that shoppers hold is missing: their codes are neither shown nor taken until it is back in the file; no coupon is lost");
        }
        code
    }

    pub fn decode(&self, typed: &str, shopper: &ShopperId) -> Result<DecodedCode> {
        let code = CouponCode::parse(typed).ok_or(IssuanceError::CouponNotFound)?;
        Ok(self.current.load().verify(code, shopper)?)
    }

    /// Which coupon a code says it is, of whichever shopper; nobody's can be told from others' while
    /// its key is missing.
    pub fn claimed(&self, typed: &str) -> Result<(CouponCode, DecodedCode)> {
        let code = CouponCode::parse(typed).ok_or(IssuanceError::CouponNotFound)?;
        let claimed = code.claimed().ok_or(IssuanceError::CouponNotFound)?;
        // Whether there is a key is the same for every shopper.
        let anybody = ShopperId::parse("anybody").map_err(|_| IssuanceError::Internal)?;
        self.is_of(code, &anybody).map(|_| (code, claimed))
    }

    pub fn is_of(&self, code: CouponCode, shopper: &ShopperId) -> Result<bool> {
        match self.current.load().verify(code, shopper) {
            Ok(_) => Ok(true),
            Err(Unverified::Never) => Ok(false),
            Err(missing) => Err(missing.into()),
        }
    }

    /// What [`CouponKeys::decode`] says, for giving back what an order holds: where nobody can
    /// verify the code, what it claims is good enough, because only the order that holds the coupon
    /// can free it.
    pub fn decode_held(&self, typed: &str, shopper: &ShopperId) -> Result<DecodedCode> {
        match self.decode(typed, shopper) {
            Err(missing @ IssuanceError::CouponKeyMissing { .. }) => CouponCode::parse(typed)
                .and_then(CouponCode::claimed)
                .ok_or(missing),
            decoded => decoded,
        }
    }

    /// Looks at the file from time to time, until the task is aborted.
    pub async fn keep_fresh(self: Arc<Self>, metrics: IssuanceMetrics) {
        metrics.coupon_keys(&self.current.load());
        let mut ticks = interval(RELOAD_INTERVAL);
        loop {
            ticks.tick().await;
            if !self.watch.lock().is_ok_and(|mut watch| watch.changed()) {
                continue;
            }
            match read(&self.file) {
                Ok(keyring) => {
                    let active_key_id = keyring.active_key_id();
                    let key_ids: Vec<_> = keyring.key_ids().collect();
                    metrics.coupon_keys(&keyring);
                    self.current.store(Arc::new(keyring));
                    self.told_missing.store(0, Ordering::Relaxed);
                    tracing::info!(active_key_id, ?key_ids, "the coupon keys were read again");
                }
                Err(error) => {
                    metrics.coupon_keys_file_usable.set(0);
                    tracing::error!(%error, "the coupon keys changed but cannot be used; the ones from before stay in use until this process ends, and it cannot start again with this file")
                }
            }
        }
    }
}

fn read(file: &Path) -> Result<CouponKeyring, CouponKeysUnusable> {
    let unusable = |reason: String| CouponKeysUnusable {
        file: file.to_owned(),
        reason,
    };
    let json = fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    CouponKeyring::from_json(&json).map_err(|error| unusable(error.to_string()))
}
