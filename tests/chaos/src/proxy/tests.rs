use tokio::time::{Instant, timeout};

use super::*;

const SOON: Duration = Duration::from_millis(300);

/// A server that sends back what it gets, and a connection to it through a proxy.
async fn echo() -> (Proxy, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    let proxy = Proxy::start(Target::Tcp(target)).await.unwrap();
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, stream)
}

async fn say(stream: &mut TcpStream, words: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(words).await?;
    let mut answer = vec![0; words.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn what_is_sent_arrives_and_comes_back() {
    let (_proxy, mut stream) = echo().await;
    assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_refusing_proxy_ends_connections_old_and_new() {
    let (proxy, mut stream) = echo().await;
    say(&mut stream, b"hello").await.unwrap();
    proxy.set(Weather {
        refuses: true,
        ..Weather::FAIR
    });
    assert!(say(&mut stream, b"hello").await.is_err());
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(say(&mut stream, b"hello").await.is_err());
    proxy.set(Weather::FAIR);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_stalled_connection_neither_moves_nor_ends_and_goes_on_with_every_byte() {
    let (proxy, mut stream) = echo().await;
    proxy.set(Weather {
        stalls: true,
        ..Weather::FAIR
    });
    let mut answer = [0; 5];
    stream.write_all(b"hello").await.unwrap();
    assert!(timeout(SOON, stream.read(&mut answer)).await.is_err());
    proxy.set(Weather::FAIR);
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
}

#[tokio::test]
async fn each_direction_waits_for_its_own_delay() {
    let (proxy, mut stream) = echo().await;
    proxy.set(Weather {
        delays: (SOON, SOON / 3),
        ..Weather::FAIR
    });
    let began = Instant::now();
    say(&mut stream, b"hello").await.unwrap();
    assert!(began.elapsed() >= SOON + SOON / 3);
}

#[tokio::test]
async fn a_cut_comes_after_a_number_of_bytes_below_the_limit() {
    let (proxy, mut stream) = echo().await;
    proxy.set(Weather {
        cuts_within_bytes: Some(100),
        ..Weather::FAIR
    });
    // The weather reaches the connection while it waits for bytes.
    sleep(SOON / 3).await;
    let mut passed = 0;
    while say(&mut stream, b"x").await.is_ok() {
        passed += 1;
        assert!(passed < 100);
    }
}
