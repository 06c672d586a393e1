//! A TCP proxy that can be told to misbehave: it stands on one edge between two processes, and
//! neither knows of it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use rand::Rng;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

const CHUNK_BYTES: usize = 16 * 1024;

/// Where a proxy's connections go.
#[derive(Debug, Clone)]
pub enum Target {
    Tcp(SocketAddr),
    /// A socket file, such as PostgreSQL's.
    Unix(PathBuf),
}

/// What a proxy does to the connections through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Connections that there are end at once, and new ones as soon as they are made.
    pub refuses: bool,
    /// Nothing moves in either direction, and nothing ends.
    pub stalls: bool,
    /// How long each piece waits on its way to the target, and on its way back.
    pub delays: (Duration, Duration),
    /// Each direction of a connection ends both after a number of further bytes, drawn below this:
    /// in the middle of a message, or between a commit and its answer.
    pub cuts_within_bytes: Option<u64>,
}

impl Weather {
    /// Everything passes.
    pub const FAIR: Self = Self {
        refuses: false,
        stalls: false,
        delays: (Duration::ZERO, Duration::ZERO),
        cuts_within_bytes: None,
    };
}

/// A proxy that listens on a port of its own until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(target: Target) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, target).await
    }

    pub async fn start_at(host: Ipv4Addr, target: Target) -> Result<Self> {
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?;
        let (weather, forecast) = watch::channel(Weather::FAIR);
        let listening = tokio::spawn(listen(listener, Arc::new(target), forecast));
        Ok(Self {
            address,
            weather,
            listening,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, target: Arc<Target>, weather: watch::Receiver<Weather>) {
    loop {
        let Ok((caller, _)) = listener.accept().await else {
            return;
        };
        let (target, weather) = (target.clone(), weather.clone());
        // A connection's task ends with its weather, which ends with the proxy.
        tokio::spawn(async move {
            // How a connection ends is the caller's business and the callee's; nobody is told here.
            let _ = join(caller, &target, weather).await;
        });
    }
}

async fn join(
    caller: TcpStream,
    target: &Target,
    weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    if weather.borrow().refuses {
        return Ok(());
    }
    caller.set_nodelay(true)?;
    match target {
        Target::Tcp(address) => {
            let callee = TcpStream::connect(address).await?;
            callee.set_nodelay(true)?;
            both_ways(caller, callee, weather).await
        }
        Target::Unix(path) => both_ways(caller, UnixStream::connect(path).await?, weather).await,
    }
}

/// The end of one direction is the end of the connection: neither HTTP/2 nor PostgreSQL leaves one
/// half open.
async fn both_ways(
    caller: TcpStream,
    callee: impl AsyncRead + AsyncWrite,
    weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let (from_caller, to_caller) = caller.into_split();
    let (from_callee, to_callee) = tokio::io::split(callee);
    let there = Way::new(weather.clone(), |weather| weather.delays.0);
    let back = Way::new(weather, |weather| weather.delays.1);
    tokio::select! {
        ended = there.carry(from_caller, to_callee) => ended,
        ended = back.carry(from_callee, to_caller) => ended,
    }
}

/// One direction of one connection.
struct Way {
    weather: watch::Receiver<Weather>,
    delay: fn(&Weather) -> Duration,
    /// What may still pass before the cut, drawn when the weather changes.
    left_bytes: Option<u64>,
}

impl Way {
    fn new(weather: watch::Receiver<Weather>, delay: fn(&Weather) -> Duration) -> Self {
        let mut way = Self {
            weather,
            delay,
            left_bytes: None,
        };
        way.draw();
        way
    }

    fn draw(&mut self) {
        let within = self.weather.borrow_and_update().cuts_within_bytes;
        self.left_bytes = within.map(|limit| rand::rng().random_range(0..limit.max(1)));
    }

    async fn carry(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = tokio::select! {
                count = from.read(&mut chunk) => count?,
                changed = self.weather.changed() => {
                    if changed.is_err() || self.weather.borrow().refuses {
                        return Ok(());
                    }
                    self.draw();
                    continue;
                }
            };
            if count == 0 {
                // What was received before the end is with the other side already.
                return to.shutdown().await;
            }
            if !self.pass(&mut to, &chunk[..count]).await? {
                return Ok(());
            }
        }
    }

    /// Passes a piece on; false if the connection ends here.
    async fn pass(&mut self, to: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> io::Result<bool> {
        let delay = (self.delay)(&self.weather.borrow());
        if !delay.is_zero() {
            sleep(delay).await;
        }
        while self.weather.borrow().stalls {
            if self.weather.changed().await.is_err() || self.weather.borrow().refuses {
                return Ok(false);
            }
            self.draw();
        }
        let size = piece.len() as u64;
        match &mut self.left_bytes {
            Some(left) if *left < size => {
                let last = *left as usize;
                to.write_all(&piece[..last]).await?;
                to.flush().await?;
                return Ok(false);
            }
            Some(left) => *left -= size,
            None => (),
        }
        to.write_all(piece).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
