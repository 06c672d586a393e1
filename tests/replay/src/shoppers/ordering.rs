//! One shopper's order: at the favourite store, at another one or in a later slot if that is full, and sometimes given up again.

use std::time::{Duration, SystemTime};

use tidegate_proto::{
    gateway::v1::{CancelOrderRequest, CheckCouponRequest, GetOrderRequest, PlaceOrderRequest},
    r#type::v1::{Money, Order, OrderLine, OrderState},
};
use tokio::time::{Instant, sleep};

use super::shopper::{Shopper, traceparent};
use crate::{
    campaign::{CURRENCY, SLOT, store_id},
    crowd::schedule::{ChangeOfMind, Wish},
    ledger::{ToldNever, ToldStanding},
    measures::OrderEnd,
    refusal::{Alternatives, Failure, STORE_BUSY},
};

const MILK_TEA_MINOR_UNITS: i64 = 2_800;
/// Stores a shopper is sent on from before giving up, the favourite included.
const TRIES: usize = 5;
/// An order that is not decided yet is asked for so often, so long apart.
const ORDER_POLLS: u32 = 60;
const ORDER_POLL: Duration = Duration::from_millis(250);
const CONTENT_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Try {
    store_id: String,
    latest: SystemTime,
    detour: Option<Detour>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detour {
    Elsewhere,
    Later,
}

impl Try {
    /// The next try at what an answer named instead; none if it named nothing.
    fn instead(&self, told: Alternatives, is_loyal: bool, shopper: u32) -> Option<Self> {
        let place = shopper as usize % told.stores.len().max(1);
        let store = told.stores.into_iter().nth(place);
        let later = told.next_slot_at.map(|next| Self {
            store_id: self.store_id.clone(),
            // Somebody else may be quicker: the slot after that will do as well.
            latest: SystemTime::from(next) + SLOT,
            detour: Some(Detour::Later),
        });
        let elsewhere = store.map(|store| Self {
            store_id: store.store_id,
            latest: self.latest,
            detour: Some(Detour::Elsewhere),
        });
        if is_loyal {
            later.or(elsewhere)
        } else {
            elsewhere.or(later)
        }
    }
}

impl Shopper {
    /// Orders with the coupon; true if an order is accepted in the end and kept.
    pub(super) async fn order_with(&self, code: &str, wish: &Wish) -> bool {
        let Some(order) = self.order("order", code, wish).await else {
            return false;
        };
        if wish.change_of_mind == ChangeOfMind::Keeps {
            return true;
        }
        sleep(CONTENT_FOR).await;
        let is_free = self.cancel(order, code).await;
        if !is_free || wish.change_of_mind == ChangeOfMind::Cancels {
            return false;
        }
        let anew = self.order("anew", code, wish).await;
        if anew.is_some() {
            self.scene
                .measures
                .detour(|detours| detours.accepted_anew += 1);
        }
        anew.is_some()
    }

    async fn order(&self, name: &str, code: &str, wish: &Wish) -> Option<Order> {
        let measures = &self.scene.measures;
        measures.order_placed();
        let due = Instant::now();
        let span = self.begin("shopper orders", None);
        let traceparent = traceparent(span.as_ref());
        let outcome = self
            .order_somewhere(name, code, wish, traceparent.as_deref())
            .await;
        let end = match &outcome {
            Ok(_) => OrderEnd::Accepted,
            Err(end) => end.clone(),
        };
        measures.order_ended(due.elapsed(), &end);
        self.finish(span, outcome.is_err());
        outcome.ok()
    }

    async fn order_somewhere(
        &self,
        name: &str,
        code: &str,
        wish: &Wish,
        traceparent: Option<&str>,
    ) -> Result<Order, OrderEnd> {
        let measures = &self.scene.measures;
        let mut next = Some(Try {
            store_id: store_id(wish.store),
            latest: SystemTime::now() + wish.patience,
            detour: None,
        });
        for number in 1..=TRIES {
            let Some(now) = next.take() else { break };
            let message = self.message(format!("{name}-{number}"), &now, code);
            let placed = match self.place(message, traceparent).await {
                Ok(placed) => placed,
                Err(Failure::StoreBusy(told)) => {
                    measures.detour(|detours| detours.told_busy += 1);
                    if number == 1 {
                        self.look_at_coupon(code).await;
                    }
                    next = now.instead(told, wish.is_loyal, self.number);
                    continue;
                }
                Err(failure) => return Err(failure.into()),
            };
            let order = self.follow(placed, code).await?;
            measures.detour(|detours| match now.detour {
                None => {}
                Some(Detour::Elsewhere) => detours.accepted_elsewhere += 1,
                Some(Detour::Later) => detours.accepted_later += 1,
            });
            return Ok(order);
        }
        Err(OrderEnd::Rejected(STORE_BUSY.to_owned()))
    }

    fn message(&self, request_id: String, now: &Try, code: &str) -> PlaceOrderRequest {
        let price = Money {
            currency_code: CURRENCY.to_owned(),
            minor_units: MILK_TEA_MINOR_UNITS,
        };
        PlaceOrderRequest {
            shopper_id: self.id.clone(),
            request_id,
            store_id: now.store_id.clone(),
            lines: vec![OrderLine {
                sku: "milk-tea".to_owned(),
                quantity: 1,
                unit_price: Some(price),
            }],
            coupon_code: code.to_owned(),
            latest_acceptable_at: Some(now.latest.into()),
            suggest_stores: true,
        }
    }

    async fn place(
        &self,
        message: PlaceOrderRequest,
        traceparent: Option<&str>,
    ) -> Result<Order, Failure> {
        let scene = &self.scene;
        let answer = scene.ask(Instant::now(), &message, traceparent).await;
        if let Err(Failure::Never(_)) = answer {
            scene.ledger.never(ToldNever::Order {
                shopper: self.number,
                message: Box::new(message),
            });
        }
        Ok(answer?.order.unwrap_or_default())
    }

    /// Writes down what was told of the order and asks again until it is decided.
    async fn follow(&self, mut order: Order, code: &str) -> Result<Order, OrderEnd> {
        for _ in 0..ORDER_POLLS {
            let state = order.state();
            let is_pending = matches!(state, OrderState::Pending | OrderState::Unspecified);
            let told = match state {
                OrderState::Pending | OrderState::Rejected | OrderState::Unspecified => {
                    ToldStanding::Durable
                }
                // A store that failed gave the coupon back, which is no more than the order's being
                // known.
                OrderState::Failed => ToldStanding::Durable,
                OrderState::Cancelled => ToldStanding::Cancelled,
                OrderState::Accepted
                | OrderState::InPreparation
                | OrderState::Ready
                | OrderState::Completed => ToldStanding::Accepted,
            };
            let ledger = &self.scene.ledger;
            ledger.order(self.number, &order.order_id, code, told);
            if told == ToldStanding::Accepted {
                return Ok(order);
            }
            if !is_pending {
                return Err(OrderEnd::Rejected(why(&order)));
            }
            sleep(ORDER_POLL).await;
            order = self.read(&order.order_id).await?;
        }
        Err(OrderEnd::Unanswered)
    }

    async fn read(&self, order_id: &str) -> Result<Order, Failure> {
        let scene = &self.scene;
        let message = GetOrderRequest {
            shopper_id: self.id.clone(),
            order_id: order_id.to_owned(),
        };
        let answer = scene.ask(Instant::now(), &message, None);
        Ok(answer.await?.order.unwrap_or_default())
    }

    /// Gives the order up; true once the answers say that its coupon is free.
    async fn cancel(&self, order: Order, code: &str) -> bool {
        let scene = &self.scene;
        let tell = |standing| {
            scene
                .ledger
                .order(self.number, &order.order_id, code, standing)
        };
        tell(ToldStanding::CancelAsked);
        let message = CancelOrderRequest {
            shopper_id: self.id.clone(),
            order_id: order.order_id.clone(),
        };
        let answer = scene.ask(Instant::now(), &message, None);
        let Ok(answer) = answer.await else {
            return false;
        };
        tell(ToldStanding::Cancelled);
        scene.measures.detour(|detours| detours.cancelled += 1);
        let mut now = answer.order.unwrap_or_default();
        for _ in 0..ORDER_POLLS {
            if now.coupon_released_at.is_some() {
                return true;
            }
            sleep(ORDER_POLL).await;
            let Ok(read) = self.read(&order.order_id).await else {
                return false;
            };
            now = read;
        }
        false
    }

    /// A full store must leave the coupon as good as it was.
    async fn look_at_coupon(&self, code: &str) {
        let scene = &self.scene;
        let message = CheckCouponRequest {
            shopper_id: self.id.clone(),
            coupon_code: code.to_owned(),
        };
        let answer = scene.ask(Instant::now(), &message, None);
        if let Ok(checked) = answer.await {
            scene.ledger.coupon_left(checked.usable);
        }
    }
}

/// Why an order is not made, as refusals name it.
fn why(order: &Order) -> String {
    match order.state() {
        OrderState::Cancelled => "CANCELLED".to_owned(),
        OrderState::Failed => "STORE_FAILED".to_owned(),
        _ => {
            let reason = order.rejected_because().as_str_name();
            reason.strip_prefix("REASON_").unwrap_or(reason).to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::refusal::Suggestion;

    #[test]
    fn the_loyal_wait_for_their_favourite_and_others_go_where_the_answer_sends_them() {
        let favourite = Try {
            store_id: "favourite".to_owned(),
            latest: datetime!(2026-02-06 09:15 UTC).into(),
            detour: None,
        };
        let told = Alternatives {
            next_slot_at: Some(datetime!(2026-02-06 09:20 UTC)),
            stores: ["first", "second"]
                .map(|store_id| Suggestion {
                    store_id: store_id.to_owned(),
                    slot_at: datetime!(2026-02-06 09:10 UTC),
                })
                .into(),
        };
        let loyal = favourite.instead(told.clone(), true, 1).unwrap();
        let later = SystemTime::from(datetime!(2026-02-06 09:21 UTC));
        assert_eq!((&*loyal.store_id, loyal.latest), ("favourite", later));
        let mobile = favourite.instead(told.clone(), false, 1).unwrap();
        let sooner = favourite.latest;
        assert_eq!((&*mobile.store_id, mobile.latest), ("second", sooner));
        let no_store = Alternatives {
            stores: Vec::new(),
            ..told
        };
        let waits = favourite.instead(no_store, false, 1);
        assert_eq!(waits, Some(loyal));
        assert_eq!(favourite.instead(Alternatives::default(), true, 1), None);
    }
}
