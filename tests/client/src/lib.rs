//! How a suite is called: by the backend of a chatbot for its shoppers, by staff, and by whoever
//! makes the orders. All harnesses share it, and each decides for itself what an answer means.

mod bearer;
mod fulfilment;
mod gateway;
pub mod metrics;
mod queueing;
mod refusal;
mod requests;
mod staff;
mod waiting;

pub use bearer::Bearer;
pub use fulfilment::Fulfilment;
pub use gateway::{Gateway, QUEUED};
pub use queueing::{QueuedShopper, poll_after};
pub use refusal::{Refusal, refused};
pub use requests::{claim_of, order_of};
pub use staff::{CampaignTerms, Staff, store_of};
pub use waiting::eventually;
