//! Redemptions, releases and revocations in any order and any number, against a model of a few lines.

use std::{collections::BTreeSet, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use sqlx::PgConnection;
use tidegate_issuance::{
    domain::coupon::{MAX_RELEASED_ORDERS, MAX_VALIDITY_GIVEN_BACK},
    store::{
        coupon_changes::{RedeemRow, ReleaseRow, redeem, release, revoke},
        coupons::{CouponKey, read},
    },
};
use tidegate_types::{MAX_TIERS, ShopperId, Slot, Timestamp};
use uuid::Uuid;

use crate::{
    lane::{campaign_of, only_lane, tier_of},
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

/// What a batch asks of one coupon.
struct Use {
    /// Whose it is: the place among the shoppers.
    place: usize,
    shopper: ShopperId,
    order: Uuid,
    extension: Option<Timestamp>,
    /// Until when a release asks the coupon to be valid at least.
    least: Option<Timestamp>,
    may_redeem: bool,
}

impl Use {
    fn draw(
        random: &mut StdRng,
        place: usize,
        model: &Model,
        orders: &[Uuid],
        now: Timestamp,
    ) -> Self {
        let holder = model.held.filter(|_| random.random_bool(0.5));
        let drawn = || *orders.iter().choose(random).unwrap();
        let order = holder.map_or_else(drawn, |(holder, _)| holder);
        let mut soon = |hours: std::ops::Range<u32>| {
            let hours = random.random_range(hours);
            random.random_bool(0.2).then(|| now + HOUR * hours)
        };
        Self {
            place,
            shopper: ShopperId::parse(SHOPPERS[place]).unwrap(),
            order,
            extension: soon(0..1_600).map(|end| end - HOUR * 800),
            least: soon(0..800),
            may_redeem: random.random_bool(0.8),
        }
    }

    fn key(&self) -> CouponKey<'_> {
        (&self.shopper, campaign_of(1), Slot::new(1u8).unwrap())
    }

    fn redemption(&self) -> RedeemRow<'_> {
        RedeemRow {
            key: self.key(),
            order_id: self.order,
            payable_tiers: match self.may_redeem {
                true => every_tier(),
                // Every tier but that of the coupons.
                false => (1..MAX_TIERS).map(tier_of).collect(),
            },
            extended_valid_until: self.extension,
        }
    }

    fn release(&self) -> ReleaseRow<'_> {
        ReleaseRow {
            key: self.key(),
            order_id: self.order,
            extended_valid_until: self.extension,
            valid_at_least_until: self.least,
        }
    }
}

async fn redeem_all(
    connection: &mut PgConnection,
    batch: &[Use],
    now: Timestamp,
    models: &mut [Model],
) {
    let rows: Vec<_> = batch.iter().map(Use::redemption).collect();
    let told = redeem(connection, only_lane(), &rows, now).await.unwrap();
    for (used, told) in batch.iter().zip(told) {
        let model = &mut models[used.place];
        if used.may_redeem {
            model.redeem(used.order, now, used.extension);
        }
        let holder = model.held.map(|(order, _)| order);
        assert_eq!(told.unwrap().order_id, holder, "{}", SHOPPERS[used.place]);
    }
}

async fn release_all(
    connection: &mut PgConnection,
    batch: &[Use],
    now: Timestamp,
    models: &mut [Model],
) {
    let rows: Vec<_> = batch.iter().map(Use::release).collect();
    let told = release(connection, only_lane(), &rows, now).await.unwrap();
    for (used, told) in batch.iter().zip(told) {
        let ends = (used.extension, used.least);
        let given_back = models[used.place].release(used.order, now, ends);
        assert_eq!(told, given_back, "{}", SHOPPERS[used.place]);
    }
}

async fn check(connection: &mut PgConnection, batch: &[Use], models: &[Model]) {
    let keys: Vec<_> = batch.iter().map(Use::key).collect();
    let coupons = read(connection, only_lane(), &keys).await.unwrap();
    for (used, coupon) in batch.iter().zip(coupons) {
        let (coupon, model, whose) = (coupon.unwrap(), &models[used.place], SHOPPERS[used.place]);
        let holder = model.held.map(|(order, _)| order);
        assert_eq!(coupon.order_id, holder, "{whose}");
        assert_eq!(coupon.own_valid_until, model.valid_until, "{whose}");
        assert_eq!(coupon.released_order_ids, model.released, "{whose}");
        assert_eq!(coupon.revoked, model.revoked, "{whose}");
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
            let count = random.random_range(1..=models.len());
            let places = (0..models.len()).choose_multiple(&mut random, count);
            let places: BTreeSet<_> = places.into_iter().collect();
            let draw = |place| Use::draw(&mut random, place, &models[place], &orders, seen);
            let batch: Vec<_> = places.into_iter().map(draw).collect();
            match random.random_range(0..200) {
                0..90 => redeem_all(connection, &batch, seen, &mut models).await,
                90..199 => release_all(connection, &batch, seen, &mut models).await,
                _ => {
                    let key = batch[0].key();
                    let told = revoke(connection, only_lane(), &[key], vec!["x"], seen).await;
                    assert_eq!(told.unwrap(), [models[batch[0].place].revoke()]);
                }
            }
            check(connection, &batch, &models).await;
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
