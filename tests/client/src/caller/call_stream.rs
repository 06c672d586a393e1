//! Calls as messages of one stream for each connection.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{SendStream, client::ResponseFuture};
use http::HeaderMap;
use prost::Message as _;
use tidegate_proto::gateway::v1::{StreamCallsRequest, StreamCallsResponse};
use tidegate_rpc::frame::{PREFIX_BYTES, framed};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tonic::{Code, Status};

use super::{CALL_LIMIT, failed};

/// Who waits for an answer, by the number of the call; `None` once the stream has ended.
type Waiting = Mutex<Option<HashMap<u64, Told>>>;
type Told = oneshot::Sender<Result<StreamCallsResponse, Status>>;

/// A call, and until when its caller waits.
type Sending = (StreamCallsRequest, Instant);

/// One stream of calls. It may have ended: then [`CallStream::is_open`] says so.
#[derive(Debug)]
pub struct CallStream {
    outgoing: mpsc::UnboundedSender<Sending>,
    waiting: Arc<Waiting>,
    last_id: AtomicU64,
}

impl CallStream {
    /// `threads` send the calls and take in the answers.
    pub fn new(answers: ResponseFuture, calls: SendStream<Bytes>, threads: &Handle) -> Self {
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let (outgoing, asked) = mpsc::unbounded_channel();
        threads.spawn(send(asked, calls, Arc::clone(&waiting)));
        let taking = Arc::clone(&waiting);
        threads.spawn(async move {
            let why = take_in(answers, &taking).await.err().unwrap_or_else(ended);
            for told in held(&taking).take().unwrap_or_default().into_values() {
                let _ = told.send(Err(why.clone()));
            }
        });
        Self {
            outgoing,
            waiting,
            last_id: AtomicU64::new(0),
        }
    }

    pub fn is_open(&self) -> bool {
        held(&self.waiting).is_some()
    }

    /// The serialized answer.
    pub async fn call(&self, mut asked: StreamCallsRequest) -> Result<Bytes, Status> {
        let until = Instant::now() + CALL_LIMIT;
        let call_id = self.last_id.fetch_add(1, Ordering::Relaxed);
        asked.call_id = call_id;
        let (told, answer) = oneshot::channel();
        match &mut *held(&self.waiting) {
            Some(waiting) => drop(waiting.insert(call_id, told)),
            None => return Err(ended()),
        }
        let _forgets = Forgets(&self.waiting, call_id);
        self.outgoing.send((asked, until)).map_err(|_| ended())?;
        let answer = answer.await.map_err(|_| ended())??;
        match Code::from_i32(answer.code) {
            Code::Ok => Ok(answer.response),
            code => {
                let details = answer.status_details;
                Err(Status::with_details(code, answer.message, details))
            }
        }
    }
}

/// Sends calls as fast as the gateway takes them. One that had to wait for half of its time is not
/// sent: it would be answered too late, and so would all behind it.
async fn send(
    mut asked: mpsc::UnboundedReceiver<Sending>,
    mut calls: SendStream<Bytes>,
    waiting: Arc<Waiting>,
) {
    while let Some((mut call, until)) = asked.recv().await {
        let left = until.saturating_duration_since(Instant::now());
        if left < CALL_LIMIT / 2 {
            let told = held(&waiting)
                .as_mut()
                .and_then(|waiting| waiting.remove(&call.call_id));
            if let Some(told) = told {
                let _ = told.send(Err(Status::unavailable(
                    "the gateway takes no more for now",
                )));
            }
            continue;
        }
        call.timeout_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        let frame = framed(&call.encode_to_vec());
        calls.reserve_capacity(frame.len());
        while calls.capacity() < frame.len() {
            if !matches!(
                poll_fn(|context| calls.poll_capacity(context)).await,
                Some(Ok(_))
            ) {
                return;
            }
        }
        if calls.send_data(frame, false).is_err() {
            return;
        }
    }
    let _ = calls.send_data(Bytes::new(), true);
}

/// Nobody waits any more once this is dropped.
struct Forgets<'a>(&'a Waiting, u64);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &mut *held(self.0) {
            waiting.remove(&self.1);
        }
    }
}

fn held(waiting: &Waiting) -> MutexGuard<'_, Option<HashMap<u64, Told>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended() -> Status {
    Status::unavailable("the stream of calls ended")
}

/// Takes answers in until the stream ends, and tells why if it did not end well.
async fn take_in(answers: ResponseFuture, waiting: &Waiting) -> Result<(), Status> {
    let (head, mut answers) = answers.await.map_err(failed)?.into_parts();
    refused(&head.headers)?;
    let mut taken = BytesMut::new();
    while let Some(piece) = answers.data().await {
        let piece = piece.map_err(failed)?;
        let room = answers.flow_control().release_capacity(piece.len());
        room.map_err(failed)?;
        taken.extend_from_slice(&piece);
        let mut waiting = held(waiting);
        while let Some(message) = next(&mut taken) {
            // What cannot be read is an answer to nobody, and its caller's time runs out.
            let Ok(answer) = StreamCallsResponse::decode(message) else {
                continue;
            };
            let told = waiting.as_mut();
            if let Some(told) = told.and_then(|waiting| waiting.remove(&answer.call_id)) {
                // Its caller may have gone.
                let _ = told.send(Ok(answer));
            }
        }
    }
    let trailers = answers.trailers().await.map_err(failed)?;
    refused(&trailers.unwrap_or_default())
}

fn refused(headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}

/// The next message that is there as a whole.
fn next(taken: &mut BytesMut) -> Option<Bytes> {
    let mut prefix = taken.get(1..PREFIX_BYTES)?;
    let length = prefix.get_u32() as usize;
    (taken.len() >= PREFIX_BYTES + length).then(|| {
        taken.advance(PREFIX_BYTES);
        taken.split_to(length).freeze()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_whole_however_they_are_cut() {
        let sent = [framed(b"first"), framed(b""), framed(b"third")].concat();
        for piece in 1..sent.len() {
            let (mut taken, mut read) = (BytesMut::new(), Vec::new());
            for bytes in sent.chunks(piece) {
                taken.extend_from_slice(bytes);
                read.extend(std::iter::from_fn(|| next(&mut taken)));
            }
            assert_eq!(read, [&b"first"[..], b"", b"third"], "in pieces of {piece}");
        }
    }
}
