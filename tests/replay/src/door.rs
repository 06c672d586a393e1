//! The gateways: few connections with many streams, and the token that opens them.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use tidegate_client::{Bearer, Caller};
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{Request, transport::Channel};

/// Calls under way at once; more wait here, and their latency counts from when they were due all the same.
const IN_FLIGHT_LIMIT: usize = 16_384;

#[derive(Debug)]
pub struct Door {
    pub caller: Caller,
    /// Connections for streams: those that last would leave the calls no room beside them.
    of_streams: Vec<Channel>,
    bearer: Bearer,
    stream_turn: AtomicUsize,
    in_flight: Semaphore,
}

impl Door {
    pub fn new(caller: Caller, of_streams: Vec<Channel>, bearer: Bearer) -> Result<Self> {
        ensure!(
            !of_streams.is_empty(),
            "There is no gateway to follow claims at."
        );
        Ok(Self {
            caller,
            of_streams,
            bearer,
            stream_turn: AtomicUsize::new(0),
            in_flight: Semaphore::new(IN_FLIGHT_LIMIT),
        })
    }

    /// A connection for a stream, each in its turn.
    pub fn next_of_streams(&self) -> Channel {
        let turn = self.stream_turn.fetch_add(1, Ordering::Relaxed);
        self.of_streams[turn % self.of_streams.len()].clone()
    }

    /// A request without a deadline, for answers that come over a long time.
    pub fn stream_request<T>(&self, message: T, traceparent: Option<&str>) -> Request<T> {
        let mut request = self.bearer.request(message);
        if let Some(value) = traceparent.and_then(|traceparent| traceparent.parse().ok()) {
            request.metadata_mut().insert("traceparent", value);
        }
        request
    }

    /// Waits until there is room for one call more. The room is never taken away.
    pub(crate) async fn room(&self) -> Option<SemaphorePermit<'_>> {
        self.in_flight.acquire().await.ok()
    }
}
