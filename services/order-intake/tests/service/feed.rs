use std::collections::BTreeSet;

use tidegate_proto::{
    order_intake::v1::{AcknowledgeOrdersRequest, StreamOrdersRequest, StreamOrdersResponse},
    r#type::v1::OrderState,
};
use tonic::{Status, Streaming};

use crate::suite::{Suite, bad_fields, code, item};

fn of(consumer: &str, cursor: &str) -> StreamOrdersRequest {
    StreamOrdersRequest {
        consumer: consumer.to_owned(),
        cursor: cursor.to_owned(),
        ..StreamOrdersRequest::default()
    }
}

async fn open(
    suite: &Suite,
    request: StreamOrdersRequest,
) -> Result<Streaming<StreamOrdersResponse>, Status> {
    let request = suite.with_token(request, "feed:read", None);
    let answer = suite.feed().stream_orders(request).await;
    Ok(answer?.into_inner())
}

async fn acknowledge(suite: &Suite, consumer: &str, cursor: &str) -> Result<(), Status> {
    let message = AcknowledgeOrdersRequest {
        consumer: consumer.to_owned(),
        cursor: cursor.to_owned(),
    };
    let request = suite.with_token(message, "feed:read", None);
    suite.feed().acknowledge_orders(request).await.map(|_| ())
}

/// Orders of several lanes, each accepted.
async fn place(suite: &Suite, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let shopper = format!("shopper-{number}");
        suite.order(item(&shopper, "r-1", &code(number))).await;
    }
}

/// Reads until so many acceptances were seen; the last page's cursor, and which orders they were
/// of.
async fn accepted(
    stream: &mut Streaming<StreamOrdersResponse>,
    count: usize,
) -> (String, BTreeSet<String>) {
    let (mut cursor, mut seen) = (String::new(), BTreeSet::new());
    while seen.len() < count {
        let page = stream.message().await.unwrap().unwrap();
        cursor = page.cursor;
        let accepted = page
            .events
            .into_iter()
            .filter(|event| event.state() == OrderState::Accepted);
        seen.extend(accepted.map(|event| {
            assert_eq!(event.lines.len(), 1);
            assert!(event.slot.is_some());
            event.order_id
        }));
    }
    (cursor, seen)
}

#[tokio::test]
async fn a_cursor_that_is_garbage_of_another_consumer_or_from_beyond_the_end_is_a_bad_field() {
    let suite = Suite::start().await;
    place(&suite, 0..3).await;
    let mut stream = open(&suite, of("kitchen", "")).await.unwrap();
    let (cursor, _) = accepted(&mut stream, 3).await;
    for (consumer, cursor) in [("kitchen", "garbage"), ("audit", &cursor)] {
        let refused = open(&suite, of(consumer, cursor)).await.unwrap_err();
        assert_eq!(bad_fields(&refused)[0], "cursor");
        let refused = acknowledge(&suite, consumer, cursor).await.unwrap_err();
        assert_eq!(bad_fields(&refused)[0], "cursor");
    }
    let lost = "UPDATE feed_heads SET last_position = 0";
    suite.database.execute(lost).await;
    let refused = acknowledge(&suite, "kitchen", &cursor).await.unwrap_err();
    assert_eq!(bad_fields(&refused)[0], "cursor");
    let refused = open(&suite, of("No Slug", "")).await.unwrap_err();
    assert_eq!(bad_fields(&refused)[0], "consumer");
}

#[tokio::test]
async fn a_consumer_beyond_the_retention_is_told_how_much_it_missed_and_a_new_one_missed_nothing() {
    let suite = Suite::start().await;
    place(&suite, 0..3).await;
    let mut stream = open(&suite, of("kitchen", "")).await.unwrap();
    let (cursor, _) = accepted(&mut stream, 3).await;
    place(&suite, 3..5).await;
    let dropped = suite.database.count("order_events").await;
    assert_eq!(dropped, 10, "each order was PENDING and then ACCEPTED");
    suite.database.execute("DELETE FROM order_events").await;
    place(&suite, 5..6).await;
    for (consumer, cursor, missed) in [("kitchen", &*cursor, 4), ("screen", "", 0)] {
        let mut stream = open(&suite, of(consumer, cursor)).await.unwrap();
        let (mut told, mut accepted) = (0, 0);
        while accepted < 1 || told < missed {
            let page = stream.message().await.unwrap().unwrap();
            told += page.missed_events;
            let of_page = page.events.iter();
            accepted += of_page
                .filter(|event| event.state() == OrderState::Accepted)
                .count();
        }
        assert_eq!((told, accepted), (missed, 1), "{consumer}");
    }
}
