//! A path to PostgreSQL that can lose an answer, as a network does.

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
};

use crate::database::{APPLICATION, TestDatabase};

/// Forwards connections to the server, each answer as late as it is told, until it is told to lose one.
pub struct FlakyPath {
    faults: Arc<Faults>,
    port: u16,
}

#[derive(Default)]
struct Faults {
    losing: AtomicBool,
    late_by_ms: AtomicU64,
}

impl FlakyPath {
    /// A path to the test's server.
    pub async fn to(database: &TestDatabase) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (faults, port) = (Arc::<Faults>::default(), listener.local_addr()?.port());
        let (server, shared) = (database.options(), Arc::clone(&faults));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server.clone(), Arc::clone(&shared)));
            }
        });
        Ok(Self { faults, port })
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
        self.faults.losing.store(true, Ordering::SeqCst);
    }

    /// Answers come so much later from now on.
    pub fn be_late_by(&self, late_by_ms: u64) {
        self.faults.late_by_ms.store(late_by_ms, Ordering::SeqCst);
    }

    /// Whether an answer is still to be lost.
    pub fn is_losing(&self) -> bool {
        self.faults.losing.load(Ordering::SeqCst)
    }
}

async fn connect(client: TcpStream, server: PgConnectOptions, faults: Arc<Faults>) {
    let socket: Option<PathBuf> = server
        .get_socket()
        .map(|folder| folder.join(format!(".s.PGSQL.{}", server.get_port())));
    // A connection that breaks is what this is for.
    let _ = match socket {
        Some(path) => match UnixStream::connect(path).await {
            Ok(server) => forward(client, server, &faults).await,
            Err(error) => Err(error),
        },
        None => match TcpStream::connect((server.get_host(), server.get_port())).await {
            Ok(server) => forward(client, server, &faults).await,
            Err(error) => Err(error),
        },
    };
}

async fn forward(
    mut client: TcpStream,
    server: impl AsyncRead + AsyncWrite,
    faults: &Faults,
) -> std::io::Result<()> {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = client.split();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from_server.read(&mut buffer).await?;
            if length == 0 || faults.losing.swap(false, Ordering::SeqCst) {
                return Ok(());
            }
            let late_by_ms = faults.late_by_ms.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(late_by_ms)).await;
            to_client.write_all(&buffer[..length]).await?;
        }
    };
    tokio::select! {
        ended = answers => ended,
        ended = tokio::io::copy(&mut from_client, &mut to_server) => ended.map(|_| ()),
    }
}
