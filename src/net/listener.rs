//! A listening socket that takes in no more than it has places for.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::net::limit::{Place, SessionLimits};

/// The first pause after the system refused to accept (out of file descriptors, say); doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections, a place taken for each before it is let in.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    limits: SessionLimits,
}

/// Somebody who came.
#[derive(Debug)]
pub struct Arrival {
    /// The connection.
    pub socket: TcpStream,
    /// Where it comes from; IPv4 in IPv6 is told as IPv4.
    pub ip: IpAddr,
    /// Its place; whether there is room for whoever it speaks for, [`SessionLimits::admit`] says.
    pub place: Place,
}

impl Listener {
    /// Listens at `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn bind(address: SocketAddr, limits: SessionLimits) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, limits })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The counts of this listener's sessions.
    #[must_use]
    pub fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// Waits for the next who comes. A failure of one connection, or of the system for a while, ends nothing.
    pub async fn accept(&self) -> Arrival {
        let place = self.limits.place().await;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.socket.accept().await {
                Ok((socket, from)) => {
                    let ip = from.ip().to_canonical();
                    return Arrival { socket, ip, place };
                }
                Err(fault) if is_of_one_connection(&fault) => {}
                Err(fault) => {
                    tracing::warn!(reason = %fault, pause_ms = pause.as_millis(), "cannot accept connections");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }
}

fn is_of_one_connection(fault: &io::Error) -> bool {
    matches!(
        fault.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
