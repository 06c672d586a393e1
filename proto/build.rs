//! Compiles the contract with protox, so that no protoc is needed on the machine.

use std::{env, fs, io, path::PathBuf};

use prost::Message as _;

const FILES: &[&str] = &[
    "tidegate/gateway/v1/call_service.proto",
    "tidegate/gateway/v1/claim_service.proto",
    "tidegate/gateway/v1/order_service.proto",
    "tidegate/gateway/v1/wallet_service.proto",
    "tidegate/issuance/v1/coupon_admin_service.proto",
    "tidegate/issuance/v1/issuance_service.proto",
    "tidegate/issuance/v1/lease_fence_service.proto",
    "tidegate/order_intake/v1/feed_service.proto",
    "tidegate/order_intake/v1/order_intake_service.proto",
    "tidegate/order_intake/v1/store_service.proto",
    "tidegate/quota/v1/campaign_service.proto",
    "tidegate/quota/v1/lease_service.proto",
    "tidegate/quota/v1/queue_service.proto",
    "tidegate/status/v1/status_service.proto",
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=tidegate");
    let out = PathBuf::from(
        env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?,
    );
    let descriptors = protox::compile(FILES, ["."]).map_err(io::Error::other)?;
    fs::write(
        out.join("tidegate_descriptor.bin"),
        descriptors.encode_to_vec(),
    )?;
    tonic_prost_build::configure()
        // Messages within messages pass as they came.
        .bytes(".tidegate.gateway.v1.StreamCallsRequest")
        .bytes(".tidegate.gateway.v1.StreamCallsResponse")
        .compile_fds(descriptors)
}
