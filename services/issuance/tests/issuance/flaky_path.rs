//! A path to PostgreSQL that can lose an answer, or be slow, as a network is.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tidegate_pg::Database;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    time::sleep,
};

use crate::database::{APPLICATION, TestDatabase};

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
    pub async fn to(database: &TestDatabase) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (trouble, port) = (Arc::<Trouble>::default(), listener.local_addr()?.port());
        let (server, shared) = (database.options(), Arc::clone(&trouble));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server.clone(), Arc::clone(&shared)));
            }
        });
        Ok(Self { trouble, port })
    }

    /// The database as it is seen over this path.
    pub fn open(&self, database: &TestDatabase) -> Result<Database> {
        let mut url = database.options().to_url_lossy();
        let moved =
            url.set_host(Some("127.0.0.1")).is_ok() && url.set_port(Some(self.port)).is_ok();
        ensure!(moved, "the database's URL takes no other host");
        Ok(Database::parse(url.as_str(), APPLICATION)?)
    }

    /// Breaks the connection that the next answer comes over, in place of that answer.
    pub fn lose_the_next_answer(&self) {
        self.trouble.losing.store(true, Ordering::SeqCst);
    }

    /// Holds every answer up for so long.
    pub fn delay(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.trouble.delay_ms.store(milliseconds, Ordering::SeqCst);
    }

    /// Whether an answer is still to be lost.
    pub fn is_losing(&self) -> bool {
        self.trouble.losing.load(Ordering::SeqCst)
    }
}

async fn connect(client: TcpStream, server: PgConnectOptions, trouble: Arc<Trouble>) {
    let socket: Option<PathBuf> = server
        .get_socket()
        .map(|folder| folder.join(format!(".s.PGSQL.{}", server.get_port())));
    // A connection that breaks is what this is for.
    let _ = match socket {
        Some(path) => match UnixStream::connect(path).await {
            Ok(server) => forward(client, server, &trouble).await,
            Err(error) => Err(error),
        },
        None => match TcpStream::connect((server.get_host(), server.get_port())).await {
            Ok(server) => forward(client, server, &trouble).await,
            Err(error) => Err(error),
        },
    };
}

async fn forward(
    mut client: TcpStream,
    server: impl AsyncRead + AsyncWrite,
    trouble: &Trouble,
) -> std::io::Result<()> {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = client.split();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from_server.read(&mut buffer).await?;
            if length == 0 || trouble.losing.swap(false, Ordering::SeqCst) {
                return Ok(());
            }
            sleep(Duration::from_millis(
                trouble.delay_ms.load(Ordering::SeqCst),
            ))
            .await;
            to_client.write_all(&buffer[..length]).await?;
        }
    };
    tokio::select! {
        ended = answers => ended,
        ended = tokio::io::copy(&mut from_client, &mut to_server) => ended.map(|_| ()),
    }
}
