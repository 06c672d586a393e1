//! Redemptions, releases and revocations in any order and any number, against a model of a few lines.

use std::{collections::BTreeSet, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use sqlx::PgConnection;
use tidegate_issuance::{
    domain::coupon::{MAX_RELEASED_ORDERS, MAX_VALIDITY_GIVEN_BACK},
    store::{
        coupon_changes::{RedeemRow, ReleaseRow, RevokeRow, redeem, release, revoke},
        coupons::{CouponKey, read},
    },
};
use tidegate_types::{ShopperId, Slot, Timestamp};
use uuid::Uuid;

use crate::{
    lane::{campaign_of, only_lane},
    redeeming::coupon_uses::{every_tier, with_coupons},
};

const SEEDS: u64 = 4;
const BATCHES: usize = 300;
/// Orders that come again and again; older ones are replaced by new ones bit by bit.
const ORDERS: usize = 8;
const SHOPPERS: [&str; 8] = ["ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];
const HOUR: Duration = Duration::from_secs(3_600);

/// A coupon as it should be.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    /// The order that holds it, and since when.
    held: Option<(Uuid, Timestamp)>,
    valid_until: Timestamp,
    released: Vec<Uuid>,
    revoked: bool,
    /// How often an order gave it back, and a release fell out of memory.
    given_back: usize,
    forgotten: usize,
}

impl Model {
    fn redeem(&mut self, order: Uuid, now: Timestamp, extension: Option<Timestamp>) {
        let is_valid = self.valid_until > now || extension.is_some_and(|end| end > now);
        let is_free = self.held.is_none() && !self.revoked && !self.released.contains(&order);
        if is_free && is_valid {
            self.held = Some((order, now));
        }
    }

    /// Whether the order held it.
    fn release(
        &mut self,
        order: Uuid,
        now: Timestamp,
        (extension, least): (Option<Timestamp>, Option<Timestamp>),
    ) -> bool {
        if !self.released.contains(&order) {
            self.released.push(order);
            let too_many = self
                .released
                .len()
                .saturating_sub(MAX_RELEASED_ORDERS.into());
            self.forgotten += self.released.drain(..too_many).count();
        }
        let Some((_, since)) = self.held.take_if(|(holder, _)| *holder == order) else {
            return false;
        };
        let most = time::Duration::try_from(MAX_VALIDITY_GIVEN_BACK).unwrap();
        let end = extension.map_or(self.valid_until, |end| end.max(self.valid_until));
        self.given_back += 1;
        let end = end + (now - since).clamp(time::Duration::ZERO, most);
        self.valid_until = least.map_or(end, |least| end.max(least));
        true
    }

    /// Whether that changed it.
    fn revoke(&mut self) -> bool {
        let revokes = self.held.is_none() && !self.revoked;
        self.revoked |= revokes;
        revokes
    }
}

/// What one batch asks for: of each shopper in it one coupon and an order.
struct Batch {
    places: Vec<usize>,
    shoppers: Vec<ShopperId>,
    orders: Vec<Uuid>,
    extensions: Vec<Option<Timestamp>>,
    /// Until when a release asks the coupon to be valid at least.
    least: Vec<Option<Timestamp>>,
    may_redeem: Vec<bool>,
    now: Timestamp,
}

impl Batch {
    fn draw(random: &mut StdRng, models: &[Model], orders: &[Uuid], now: Timestamp) -> Self {
        let count = random.random_range(1..=models.len());
        let places = (0..models.len()).choose_multiple(random, count);
        let places: BTreeSet<_> = places.into_iter().collect();
        let mut each = |place: &usize| {
            let holder = models[*place].held.filter(|_| random.random_bool(0.5));
            let drawn = || *orders.iter().choose(random).unwrap();
            let order = holder.map_or_else(drawn, |(holder, _)| holder);
            let extension = random.random_bool(0.2).then(|| {
                let hours = random.random_range(0..1_600);
                now + HOUR * hours - HOUR * 800
            });
            let asks = random.random_bool(0.2);
            let least = asks.then(|| now + HOUR * random.random_range(0..800));
            ((order, extension), (least, random.random_bool(0.8)))
        };
        let (asked, rest): (Vec<_>, Vec<_>) = places.iter().map(&mut each).unzip();
        let (orders, extensions) = asked.into_iter().unzip();
        let (least, may_redeem) = rest.into_iter().unzip();
        let shopper = |place: &usize| ShopperId::parse(SHOPPERS[*place]).unwrap();
        Self {
            shoppers: places.iter().map(shopper).collect(),
            places: places.into_iter().collect(),
            orders,
            extensions,
            least,
            may_redeem,
            now,
        }
    }

    fn keys(&self) -> Vec<CouponKey<'_>> {
        let slot = Slot::new(1u8).unwrap();
        let key = |shopper| (shopper, campaign_of(1), slot);
        self.shoppers.iter().map(key).collect()
    }

    async fn redeem(&self, connection: &mut PgConnection, models: &mut [Model]) {
        let keys = self.keys();
        let rows: Vec<_> = (0..keys.len())
            .map(|at| RedeemRow {
                key: keys[at],
                order_id: self.orders[at],
                payable_tiers: if self.may_redeem[at] {
                    every_tier()
                } else {
                    [].into_iter().collect()
                },
                extended_valid_until: self.extensions[at],
            })
            .collect();
        let redeemed = redeem(connection, only_lane(), &rows, self.now);
        let told = redeemed.await.unwrap();
        for (at, place) in self.places.iter().enumerate() {
            if self.may_redeem[at] {
                models[*place].redeem(self.orders[at], self.now, self.extensions[at]);
            }
        }
        for (told, place) in told.into_iter().zip(&self.places) {
            let holder = models[*place].held.map(|(order, _)| order);
            assert_eq!(told.unwrap().order_id, holder, "{}", SHOPPERS[*place]);
        }
    }

    async fn release(&self, connection: &mut PgConnection, models: &mut [Model]) {
        let keys = self.keys();
        let rows: Vec<_> = (0..keys.len())
            .map(|at| ReleaseRow {
                key: keys[at],
                order_id: self.orders[at],
                extended_valid_until: self.extensions[at],
                valid_at_least_until: self.least[at],
            })
            .collect();
        let told = release(connection, only_lane(), &rows, self.now);
        let told = told.await.unwrap();
        for (at, place) in self.places.iter().enumerate() {
            let ends = (self.extensions[at], self.least[at]);
            let given_back = models[*place].release(self.orders[at], self.now, ends);
            assert_eq!(told[at], given_back, "{}", SHOPPERS[*place]);
        }
    }

    async fn revoke(&self, connection: &mut PgConnection, models: &mut [Model]) {
        let row = |key| RevokeRow { key, reason: "x" };
        let rows: Vec<_> = self.keys().into_iter().map(row).take(1).collect();
        let told = revoke(connection, only_lane(), &rows, self.now);
        assert_eq!(told.await.unwrap(), [models[self.places[0]].revoke()]);
    }

    async fn check(&self, connection: &mut PgConnection, models: &[Model]) {
        let coupons = read(connection, only_lane(), &self.keys()).await.unwrap();
        for (coupon, place) in coupons.into_iter().zip(&self.places) {
            let (coupon, model) = (coupon.unwrap(), &models[*place]);
            let holder = model.held.map(|(order, _)| order);
            let whose = SHOPPERS[*place];
            assert_eq!(coupon.order_id, holder, "{whose}");
            assert_eq!(coupon.own_valid_until, model.valid_until, "{whose}");
            assert_eq!(coupon.released_order_ids, model.released, "{whose}");
            assert_eq!(coupon.revoked, model.revoked, "{whose}");
        }
    }
}

#[tokio::test]
async fn coupons_are_held_given_back_and_lengthened_as_the_model_says_whatever_comes_in_any_order()
{
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let (lane, _writer) = with_coupons(&SHOPPERS).await;
        let connection = &mut lane.connect().await;
        let start = Timestamp::now_utc().truncate_to_microsecond();
        let valid_until = start + HOUR * 400;
        sqlx::query("UPDATE coupons SET valid_until = $1")
            .bind(valid_until)
            .execute(&mut *connection)
            .await
            .unwrap();
        let model = Model {
            held: None,
            valid_until,
            released: Vec::new(),
            revoked: false,
            given_back: 0,
            forgotten: 0,
        };
        let mut models = SHOPPERS.map(|_| model.clone());
        let mut orders: Vec<_> = (0..ORDERS).map(|_| Uuid::new_v4()).collect();
        let mut now = start;
        for _ in 0..BATCHES {
            if random.random_bool(0.5) {
                orders[random.random_range(0..ORDERS)] = Uuid::new_v4();
            }
            // Clocks of several replicas: now and then one is behind, or far ahead.
            now += Duration::from_millis(random.random_range(0..HOUR.as_millis() as u64));
            let hours = random.random_range(0..600);
            let seen = match random.random_range(0..10) {
                0 => now - HOUR * hours,
                1 => now + HOUR * hours,
                _ => now,
            };
            let batch = Batch::draw(&mut random, &models, &orders, seen);
            match random.random_range(0..200) {
                0..90 => batch.redeem(connection, &mut models).await,
                90..199 => batch.release(connection, &mut models).await,
                _ => batch.revoke(connection, &mut models).await,
            }
            batch.check(connection, &models).await;
        }
        for count in [
            |model: &Model| model.given_back,
            |model: &Model| model.forgotten,
        ] {
            let seen: usize = models.iter().map(count).sum();
            assert!(seen > 50, "seed {seed} shows too little: {seen}");
        }
    }
}
