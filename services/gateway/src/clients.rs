//! The clients that the services behind the gateway are called with.

use tidegate_proto::{
    issuance::v1::issuance_service_client::IssuanceServiceClient,
    order_intake::v1::order_intake_service_client::OrderIntakeServiceClient,
};
use tidegate_rpc::MAX_MESSAGE_BYTES;
use tonic::transport::Channel;

pub fn issuance(channel: Channel) -> IssuanceServiceClient<Channel> {
    IssuanceServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

pub fn order_intake(channel: Channel) -> OrderIntakeServiceClient<Channel> {
    OrderIntakeServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}
