//! Messages of the contract as JSON: the field names of the contract, every field, whole numbers as numbers.

use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions, prost::Message};
use serde_json::Value;

pub fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(tidegate_proto::FILE_DESCRIPTOR_SET).unwrap_or_default()
    })
}

/// A message as JSON. `name` is its full name, such as `tidegate.type.v1.Campaign`.
pub fn json<M: Message>(name: &str, message: &M) -> Value {
    let descriptor = pool().get_message_by_name(name);
    let read = descriptor.and_then(|descriptor| {
        DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).ok()
    });
    let Some(read) = read else {
        return Value::Null;
    };
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    read.serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap_or(Value::Null)
}

pub fn json_each<M: Message>(name: &str, messages: &[M]) -> Vec<Value> {
    messages.iter().map(|message| json(name, message)).collect()
}
