//! A connection whose writer waits a moment for more where it writes often: each write costs both
//! ends a call of their kernels and a wake-up, whatever is in it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// Between two writes where many small calls come. What is written after a longer pause goes out at
/// once.
pub const WRITE_INTERVAL: Duration = Duration::from_millis(1);
/// So much is sent without waiting for more: one record of TLS.
const BUFFER_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub struct Coalesced<Stream> {
    stream: BufWriter<Stream>,
    interval: Duration,
    next_write: Instant,
    wake_up: Pin<Box<Sleep>>,
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> Coalesced<Stream> {
    pub fn new(stream: Stream, interval: Duration) -> Self {
        Self {
            stream: BufWriter::with_capacity(BUFFER_BYTES, stream),
            interval,
            next_write: Instant::now(),
            wake_up: Box::pin(sleep(Duration::ZERO)),
        }
    }
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> AsyncRead for Coalesced<Stream> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_read(cx, buf)
    }
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Coalesced<Stream> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        if now < self.next_write && !self.stream.buffer().is_empty() {
            let next_write = self.next_write;
            if self.wake_up.deadline() != next_write {
                self.wake_up.as_mut().reset(next_write);
            }
            ready!(self.wake_up.as_mut().poll(cx));
        }
        let has_more = !self.stream.buffer().is_empty();
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if has_more {
            self.next_write = now + self.interval;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::advance,
    };

    use super::*;

    /// What has arrived by now.
    async fn arrived(peer: &mut DuplexStream) -> String {
        let mut bytes = [0; 64];
        let read = tokio::select! {
            biased;
            read = peer.read(&mut bytes) => read.unwrap(),
            () = std::future::ready(()) => 0,
        };
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    async fn write(stream: &mut Coalesced<DuplexStream>, words: &str) -> bool {
        stream.write_all(words.as_bytes()).await.unwrap();
        tokio::select! {
            biased;
            flushed = stream.flush() => flushed.is_ok(),
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_within_a_millisecond_of_the_last_write_goes_out_together() {
        let (stream, mut peer) = duplex(1024);
        let mut stream = Coalesced::new(stream, WRITE_INTERVAL);
        assert!(write(&mut stream, "first").await, "at once");
        assert_eq!(arrived(&mut peer).await, "first");
        assert!(!write(&mut stream, "second, ").await);
        assert!(!write(&mut stream, "third").await);
        assert_eq!(arrived(&mut peer).await, "");
        // Nobody writes any more, and it goes out all the same.
        stream.flush().await.unwrap();
        assert_eq!(arrived(&mut peer).await, "second, third");
        advance(WRITE_INTERVAL).await;
        assert!(write(&mut stream, "fourth").await, "at once after a pause");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_goes_out_before_the_end_and_a_full_buffer_at_once() {
        let (stream, mut peer) = duplex(4 * BUFFER_BYTES);
        let mut stream = Coalesced::new(stream, WRITE_INTERVAL);
        assert!(write(&mut stream, "first").await);
        write(&mut stream, &"x".repeat(2 * BUFFER_BYTES)).await;
        assert_eq!(arrived(&mut peer).await.len(), 64);
        write(&mut stream, "last").await;
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        peer.read_to_string(&mut rest).await.unwrap();
        assert!(rest.ends_with("xlast"));
    }
}
