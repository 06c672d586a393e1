//! How a suite is called: by the backend of a chatbot for its shoppers, by staff, and by whoever
//! makes the orders. All harnesses share it, and each decides for itself what an answer means.

/// Methods that each send one request, made of what they are given and of what is fixed, and hand
/// back the answer or the one part of it that matters.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($field:ident: $type:ty),+ $(; $fixed:ident = $value:expr)?)
        = $client:ident.$rpc:ident($request:ident) $(.$part:ident)? -> $answer:ty;)+) => {
        $($(#[$doc])*
        #[allow(clippy::needless_update, clippy::useless_conversion)]
        pub async fn $name(&self, $($field: $type),+) -> Result<$answer, tonic::Status> {
            let message = $request {
                $($field: $field.into(),)+
                $($fixed: $value.into(),)?
                ..$request::default()
            };
            let answer = self.$client().$rpc(self.request(message)).await?.into_inner();
            $(let answer = crate::part(answer.$part, stringify!($rpc))?;)?
            Ok(answer)
        })+
    };
}

/// What the answer of a method has to hold.
fn part<T>(part: Option<T>, method: &str) -> Result<T, tonic::Status> {
    let missing = || tonic::Status::internal(format!("the answer of {method} lacks its part"));
    part.ok_or_else(missing)
}

mod bearer;
mod caller;
mod fulfilment;
mod gateway;
pub mod metrics;
mod queueing;
mod refusal;
mod replicas;
mod requests;
mod staff;
mod told;
mod waiting;

pub use bearer::Bearer;
pub use caller::{Asks, CALL_LIMIT, Caller, Framed, Sending, framed};
pub use fulfilment::Fulfilment;
pub use gateway::Gateway;
pub use queueing::{QueuedShopper, poll_after};
pub use refusal::{Refusal, refused};
pub use replicas::{heal, replicas};
pub use requests::{claim_of, order_at, order_of};
pub use staff::{CampaignTerms, HOUR, Staff, store_of};
pub use told::{Told, later, never};
pub use waiting::{SOON, becomes, eventually, soon};
