//! Streams that go on, and answers that nobody takes.

use futures_util::stream;
use tidegate_auth::Identity;
use tidegate_rpc::refusal::reason_of;
use tidegate_test_kit::until;
use tidegate_types::Reason;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionResponse, server_reflection_client::ServerReflectionClient,
};

use crate::suite::{MAX_STREAMS, Suite};

/// What strangers may have open on one connection, and streams of them in all.
const OF_CONNECTION: usize = 16;
const IN_ALL: usize = 200;

async fn watch(channel: &Channel) -> Result<Streaming<HealthCheckResponse>, Status> {
    let mut client = HealthClient::new(channel.clone());
    let answer = client.watch(HealthCheckRequest::default()).await?;
    Ok(answer.into_inner())
}

async fn reflect(channel: &Channel) -> Result<Streaming<ServerReflectionResponse>, Status> {
    let mut client = ServerReflectionClient::new(channel.clone());
    let answer = client.server_reflection_info(stream::pending()).await?;
    Ok(answer.into_inner())
}

async fn check(channel: &Channel) -> Result<(), Status> {
    let mut client = HealthClient::new(channel.clone());
    client.check(HealthCheckRequest::default()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_strangers_keep_their_places_and_checks_and_the_streams_of_peers_get_in() {
    let suite = Suite::start().await;
    let mut open = Vec::new();
    let mut channels = Vec::new();
    while open.len() < IN_ALL {
        let channel = suite.stranger();
        let wanted = OF_CONNECTION.min(IN_ALL - open.len());
        for _ in 0..wanted {
            open.push(watch(&channel).await.unwrap());
        }
        channels.push(channel);
    }
    let crowded = watch(&channels[0]).await.unwrap_err();
    // Clients that check health by gRFC A17 take a server that answers anything else for ill.
    assert_eq!(crowded.code(), Code::Unimplemented, "of a connection");
    let refused = check(&channels[0]).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::QueueFull), "all its own");
    let newcomer = suite.stranger();
    let refused = watch(&newcomer).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "in all");
    let refused = reflect(&newcomer).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::QueueFull));
    for _ in 0..3 * OF_CONNECTION {
        check(&newcomer).await.unwrap();
    }
    suite.caller().call("").await.unwrap();
    for identity in [Identity::Gateway, Identity::Chatbot] {
        let peer = suite.peer(identity);
        watch(&peer).await.unwrap();
        reflect(&peer).await.unwrap();
    }
    open.truncate(IN_ALL - 1);
    let is_watched = async || watch(&newcomer).await.is_ok();
    until("a place is given back", is_watched).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_callers_keep_their_places_while_they_go_on_and_leave_calls_theirs() {
    let suite = Suite::start().await;
    let caller = suite.caller();
    let mut open = Vec::new();
    for _ in 0..MAX_STREAMS {
        open.push(caller.open_stream().await.unwrap());
    }
    let refused = caller.open_stream().await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(Reason::QueueFull));
    caller.call("").await.unwrap();
    open.truncate(MAX_STREAMS - 1);
    let is_open = async || caller.open_stream().await.is_ok();
    until("a place is given back", is_open).await;
}
