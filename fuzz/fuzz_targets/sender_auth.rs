//! Signatures, chains and records of strangers: whatever they are, the checks end, and what is told of them is one field.
#![no_main]

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use sealgate::mail::{Header, ReversePath};
use sealgate::net::Clock;
use sealgate::sender_auth::{BodyHashes, Checks, Hand, Names, Unanswered};

/// The same is told of every name.
struct Same(String);

#[async_trait]
impl Names for Same {
    async fn texts(&self, _: &str) -> Result<Vec<String>, Unanswered> {
        Ok(self.0.split('\n').map(str::to_owned).take(100).collect())
    }

    async fn addresses(&self, _: &str, ipv6: bool) -> Result<Vec<IpAddr>, Unanswered> {
        Ok(if ipv6 { Vec::new() } else { vec![IpAddr::from([192, 0, 2, 9])] })
    }

    async fn exchangers(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        Ok(vec![name.to_owned()])
    }

    async fn pointers(&self, _: IpAddr) -> Result<Vec<String>, Unanswered> {
        Ok(vec!["mx.live.example".to_owned()])
    }

    async fn exists(&self, _: &str) -> Result<bool, Unanswered> {
        Ok(false)
    }
}

fuzz_target!(|octets: &[u8]| {
    let text = String::from_utf8_lossy(octets);
    let (records, message) = text.split_once("\n\n").unwrap_or(("", &text));
    let message = message.replace('\n', "\r\n");
    let mut hashes = BodyHashes::new();
    hashes.write(message.as_bytes());
    let (body, header) = (hashes.finish(), Header::new(message.split("\r\n\r\n").next().unwrap_or_default()));
    let sender = ReversePath::Mailbox("eva@live.example".parse().expect("an address"));
    let helo = message.lines().next().unwrap_or_default();
    let hand = Hand { ip: IpAddr::from([192, 0, 2, 1]), helo, sender: &sender, header: &header, body: &body };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let checks = Checks::new(Arc::new(Same(records.to_owned())), Clock::System);
    let host = "gw.sundby.example".parse().expect("a domain");
    let proof = runtime.block_on(checks.prove(&host, hand));
    let field = Header::new(proof.field(&host));
    assert_eq!(field.fields().count(), 1);
});
