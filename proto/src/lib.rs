//! The wire contract of Tidegate: generated messages, clients and servers, and the descriptors that reflection serves. No logic lives here.
//!
//! The documentation is in the `.proto` files; `README.md` holds the rules they follow.
#![allow(missing_docs)]

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

/// The encoded `FileDescriptorSet` of the whole contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("tidegate_descriptor");
