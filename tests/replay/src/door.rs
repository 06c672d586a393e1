//! The gateways: few connections with many streams, and the token that opens them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};
use tokio::sync::Semaphore;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

/// How long one send waits for its answer; sent along as the deadline.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// Calls under way at once; more wait here, and their latency counts from when they were due all the same.
const IN_FLIGHT_LIMIT: usize = 16_384;

#[derive(Debug)]
pub struct Door {
    gateways: Vec<Channel>,
    /// Connections for streams: those that last would leave the calls no room beside them.
    of_streams: Vec<Channel>,
    authorization: MetadataValue<Ascii>,
    turn: AtomicUsize,
    in_flight: Semaphore,
}

impl Door {
    pub fn new(gateways: Vec<Channel>, of_streams: Vec<Channel>, token: &str) -> Result<Self> {
        ensure!(
            !gateways.is_empty() && !of_streams.is_empty(),
            "There is no gateway to send claims to."
        );
        let authorization = format!("Bearer {token}").parse()?;
        Ok(Self {
            gateways,
            of_streams,
            authorization,
            turn: AtomicUsize::new(0),
            in_flight: Semaphore::new(IN_FLIGHT_LIMIT),
        })
    }

    pub fn gateways(&self) -> &[Channel] {
        &self.gateways
    }

    /// One of the gateways, each in its turn.
    pub fn next_gateway(&self) -> Channel {
        self.gateways[self.next_turn()].clone()
    }

    /// A connection for a stream, each in its turn.
    pub fn next_of_streams(&self) -> Channel {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.of_streams[turn % self.of_streams.len()].clone()
    }

    pub(crate) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) % self.gateways.len()
    }

    /// A request with token, deadline and trace context.
    pub fn request<T>(&self, message: T, traceparent: Option<&str>) -> Request<T> {
        let mut request = self.stream_request(message, traceparent);
        request.set_timeout(CALL_LIMIT);
        request
    }

    /// A request without a deadline, for answers that come over a long time.
    pub fn stream_request<T>(&self, message: T, traceparent: Option<&str>) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        if let Some(value) = traceparent.and_then(|traceparent| traceparent.parse().ok()) {
            request.metadata_mut().insert("traceparent", value);
        }
        request
    }

    /// Sends once, to the gateway of a turn, when there is room for one call more.
    pub(crate) async fn send<T, Sent>(
        &self,
        turn: usize,
        send: impl Fn(Channel) -> Sent,
    ) -> Result<T, Status>
    where
        Sent: Future<Output = Result<T, Status>>,
    {
        let _permit = self.in_flight.acquire().await;
        send(self.gateways[turn % self.gateways.len()].clone()).await
    }
}
