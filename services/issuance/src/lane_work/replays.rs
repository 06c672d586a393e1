use sqlx::PgConnection;
use tidegate_pg::Reply;
use tidegate_types::Lane;

use super::{Claimed, Issued};
use crate::store::{
    controls,
    coupons::{self, CouponKey},
};

/// Answers claims that have their coupon already, with what is in force of it in the database.
pub(super) async fn answer(
    connection: &mut PgConnection,
    lane: Lane,
    replays: Vec<(&mut Reply<Claimed>, CouponKey<'_>)>,
) -> Result<(), sqlx::Error> {
    if replays.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = replays.iter().map(|(_, key)| *key).collect();
    let campaigns: Vec<_> = keys.iter().map(|(_, campaign, _)| *campaign).collect();
    let controls = controls::read(&mut *connection, lane, &campaigns).await?;
    let coupons = coupons::read(connection, lane, &keys).await?;
    for ((reply, _), coupon) in replays.into_iter().zip(coupons) {
        // Coupons are never deleted: what the statement before saw is still there.
        let coupon = coupon.ok_or(sqlx::Error::RowNotFound)?;
        reply.put(Claimed::Issued(Box::new(Issued {
            in_force: controls.get(&coupon.campaign).copied(),
            coupon,
            replayed: true,
        })));
    }
    Ok(())
}
