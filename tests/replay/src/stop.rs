//! Signals that ask this process to end, from the first moment on.

use std::{future::poll_fn, task::Poll};

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// Hears every request to stop; the ones that came while nobody listened are not lost.
#[derive(Debug)]
pub struct StopSignals(Vec<(Signal, unix::Signal)>);

impl StopSignals {
    /// Begins to listen. From now on these signals do not end the process by themselves; what it starts
    /// listens to them, even if this process was told to be deaf.
    pub fn listen(signals: &[Signal]) -> Result<Self> {
        let listen = |signal: &Signal| {
            let heard = unix::signal(SignalKind::from_raw(signal.as_raw()));
            Ok((*signal, heard.context("signals cannot be received")?))
        };
        Ok(Self(signals.iter().map(listen).collect::<Result<_>>()?))
    }

    /// The next request.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, heard) in &mut self.0 {
                if heard.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}
