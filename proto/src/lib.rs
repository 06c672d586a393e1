//! The wire contract of Tidegate: generated messages, clients and servers, and the descriptors that reflection serves. No logic lives here.
//!
//! The documentation is in the `.proto` files; `README.md` holds the rules they follow.
// Generated: the contract decides how large the variants of a result are.
#![allow(clippy::large_enum_variant, clippy::too_many_lines)]

/// Types that several services share.
pub mod r#type {
    pub mod v1 {
        tonic::include_proto!("tidegate.r#type.v1");
    }
}

/// The public door.
pub mod gateway {
    pub mod v1 {
        tonic::include_proto!("tidegate.gateway.v1");
    }
}

/// Campaigns, stock and leases.
pub mod quota {
    pub mod v1 {
        tonic::include_proto!("tidegate.quota.v1");
    }
}

/// Coupons.
pub mod issuance {
    pub mod v1 {
        tonic::include_proto!("tidegate.issuance.v1");
    }
}

/// Orders and stores.
pub mod order_intake {
    pub mod v1 {
        tonic::include_proto!("tidegate.order_intake.v1");
    }
}

/// How a replica is.
pub mod status {
    pub mod v1 {
        tonic::include_proto!("tidegate.status.v1");
    }
}

/// The encoded `FileDescriptorSet` of the whole contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("tidegate_descriptor");

/// The paths of every method of these services, such as `/tidegate.quota.v1.LeaseService/AcquireLease`; for tests that every method has a rule.
pub fn methods(services: &[&str]) -> Vec<String> {
    paths(|service, _| services.contains(&service))
}

/// The paths of the methods whose answers are streams.
pub fn streaming_methods() -> Vec<String> {
    paths(|_, method| method.server_streaming())
}

fn paths(wanted: impl Fn(&str, &prost_types::MethodDescriptorProto) -> bool) -> Vec<String> {
    use prost::Message as _;

    let Ok(set) = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET) else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            let methods = service.method.iter();
            let wanted = methods.filter(|method| wanted(&name, method));
            paths.extend(wanted.map(|method| format!("/{name}/{}", method.name())));
        }
    }
    paths
}
