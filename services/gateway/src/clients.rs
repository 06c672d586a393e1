//! The clients that the services behind the gateway are called with.

use tidegate_proto::{
    issuance::v1::issuance_service_client::IssuanceServiceClient,
    order_intake::v1::order_intake_service_client::OrderIntakeServiceClient,
};
use tidegate_rpc::{MAX_MESSAGE_BYTES, client::TracedChannel};

pub fn issuance(channel: TracedChannel) -> IssuanceServiceClient<TracedChannel> {
    IssuanceServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

pub fn order_intake(channel: TracedChannel) -> OrderIntakeServiceClient<TracedChannel> {
    OrderIntakeServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}
