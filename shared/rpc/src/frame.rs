//! A message as gRPC frames it: a byte for its compression, four for its length, and its bytes.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// What stands before a message.
pub const PREFIX_BYTES: usize = 5;

/// The message alone in its frame.
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

/// What the one frame holds. `None` if these bytes are anything but one message, uncompressed.
pub fn unframed(mut frame: Bytes) -> Option<Bytes> {
    let length = frame.len().checked_sub(PREFIX_BYTES)?;
    let is_compressed = frame.get_u8() != 0;
    let is_whole = frame.get_u32() as usize == length;
    (is_whole && !is_compressed).then_some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was_framed_and_whatever_else_is_none() {
        let frame = framed(b"a message");
        assert_eq!(unframed(frame.clone()).as_deref(), Some(&b"a message"[..]));
        for cut in [0, 3, frame.len() - 1] {
            assert_eq!(unframed(frame.slice(..cut)), None);
        }
        let compressed = [&[1], &frame[1..]].concat();
        assert_eq!(unframed(compressed.into()), None);
    }
}
