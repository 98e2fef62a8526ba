//! A live door: whatever a client sends, it hears nothing but replies, and the session ends when the client has gone.
#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown as Half, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use sealgate::mail::{Address, Envelope, QueueId, ReversePath};
use sealgate::net::Shutdown;
use sealgate::queue::{Origin, Peer, Receiving, Reception, ReceptionError};
use sealgate::smtpd::{DoorSettings, Server};
use sealgate::telemetry::Metrics;

/// A house that takes everything, and looks at what it takes.
struct House;

struct Message(Vec<u8>);

#[async_trait]
impl Reception for House {
    async fn admit_sender(&self, _: Origin, _: &ReversePath) -> Result<(), ReceptionError> {
        Ok(())
    }

    async fn admit_recipient(&self, _: Origin, _: &ReversePath, _: &Address) -> Result<(), ReceptionError> {
        Ok(())
    }

    async fn receive(
        &self,
        _: Origin,
        _: &Peer,
        envelope: Envelope,
        _: Option<u64>,
    ) -> Result<Box<dyn Receiving>, ReceptionError> {
        assert!(!envelope.recipients.is_empty());
        Ok(Box::new(Message(Vec::new())))
    }
}

#[async_trait]
impl Receiving for Message {
    async fn write(&mut self, octets: &[u8]) -> Result<(), ReceptionError> {
        self.0.extend_from_slice(octets);
        Ok(())
    }

    async fn promise(self: Box<Self>) -> Result<QueueId, ReceptionError> {
        let text = String::from_utf8_lossy(&self.0);
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']) && (text.is_empty() || text.ends_with("\r\n")));
        Ok(QueueId::from_parts(1, [0; 10]))
    }
}

fn door() -> SocketAddr {
    static DOOR: OnceLock<SocketAddr> = OnceLock::new();
    *DOOR.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let name = "gw.sundby.example".parse().unwrap();
                let settings = DoorSettings::outbound(name, "127.0.0.1:0".parse().unwrap(), Vec::new());
                let server = Server::bind(settings, Arc::new(House), None, Metrics::default()).await.unwrap();
                tell.send(server.local_address().unwrap()).unwrap();
                server.run(Shutdown::new()).await;
            });
        });
        told.recv().unwrap()
    })
}

fuzz_target!(|sent: &[u8]| {
    let mut client = TcpStream::connect(door()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The door may close while we still speak.
    _ = client.write_all(sent);
    _ = client.shutdown(Half::Write);
    let mut heard = Vec::new();
    if client.read_to_end(&mut heard).is_err_and(|fault| fault.kind() == std::io::ErrorKind::WouldBlock) {
        panic!("the session does not end");
    }
    for line in String::from_utf8(heard).unwrap().lines() {
        let (code, rest) = line.split_at(3);
        assert!(code.parse::<u16>().is_ok_and(|code| (200..600).contains(&code)), "{line}");
        assert!(rest.is_empty() || rest.starts_with([' ', '-']), "{line}");
    }
});
