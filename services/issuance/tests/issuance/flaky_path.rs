//! A path to PostgreSQL that can lose an answer, or be slow, as a network is.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tidegate_pg::Database;
use tidegate_test_kit::{APPLICATION, TestDatabase};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    time::sleep,
};

/// Forwards connections to the server until it is told to lose an answer.
pub struct FlakyPath {
    trouble: Arc<Trouble>,
    port: u16,
}

#[derive(Default)]
struct Trouble {
    losing: AtomicBool,
    delay_ms: AtomicU64,
}

impl FlakyPath {
    /// A path to the test's server.
    pub async fn to(database: &TestDatabase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let trouble = Arc::<Trouble>::default();
        let (server, shared) = (database.options(), Arc::clone(&trouble));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server.clone(), Arc::clone(&shared)));
            }
        });
        Self { trouble, port }
    }

    /// The database as it is seen over this path.
    pub fn open(&self, database: &TestDatabase) -> Database {
        let mut url = database.options().to_url_lossy();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        Database::parse(url.as_str(), APPLICATION).unwrap()
    }

    /// Breaks the connection that the next answer comes over, in place of that answer.
    pub fn lose_the_next_answer(&self) {
        self.trouble.losing.store(true, Ordering::SeqCst);
    }

    /// Holds every answer up for so long.
    pub fn delay(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap();
        self.trouble.delay_ms.store(milliseconds, Ordering::SeqCst);
    }

    /// Whether an answer is still to be lost.
    pub fn is_losing(&self) -> bool {
        self.trouble.losing.load(Ordering::SeqCst)
    }
}

/// A connection that breaks is what this is for, so nobody reads the outcome.
async fn connect(
    client: TcpStream,
    server: PgConnectOptions,
    trouble: Arc<Trouble>,
) -> io::Result<()> {
    match server.get_socket() {
        Some(folder) => {
            let path = folder.join(format!(".s.PGSQL.{}", server.get_port()));
            forward(client, UnixStream::connect(path).await?, &trouble).await
        }
        None => {
            let address = (server.get_host(), server.get_port());
            forward(client, TcpStream::connect(address).await?, &trouble).await
        }
    }
}

async fn forward(
    mut client: TcpStream,
    server: impl AsyncRead + AsyncWrite,
    trouble: &Trouble,
) -> io::Result<()> {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = client.split();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from_server.read(&mut buffer).await?;
            if length == 0 || trouble.losing.swap(false, Ordering::SeqCst) {
                return Ok(());
            }
            let delay_ms = trouble.delay_ms.load(Ordering::SeqCst);
            sleep(Duration::from_millis(delay_ms)).await;
            to_client.write_all(&buffer[..length]).await?;
        }
    };
    tokio::select! {
        ended = answers => ended,
        ended = tokio::io::copy(&mut from_client, &mut to_server) => ended.map(|_| ()),
    }
}
