//! An SMTP or LMTP server that does what a test tells it, word for word.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// One thing the peer does.
#[derive(Clone)]
pub enum Act {
    /// Says this, as it stands.
    Say(String),
    /// Says this an octet at a time, with so long before each.
    Drip(String, Duration),
    /// Reads a line, which must begin so.
    Hear(&'static str),
    /// Reads whatever comes next, once.
    HearAny,
    /// Reads a message up to and with its final dot.
    HearMessage,
    /// Shakes hands.
    Tls(TlsAcceptor),
    /// Says yes to every command and takes every message, until the client has gone.
    TakeAll,
    /// Does nothing until the client has gone.
    Stall,
    /// Does nothing, and reads nothing, until the test ends.
    Freeze,
}

/// A peer that plays to every connection what it was given last.
pub struct Stage {
    script: Arc<Mutex<Vec<Act>>>,
    told: Arc<watch::Sender<Vec<String>>>,
}

impl Stage {
    /// Listens there.
    pub async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let stage = Self { script: Arc::default(), told: Arc::new(watch::channel(Vec::new()).0) };
        let (script, told) = (Arc::clone(&stage.script), Arc::clone(&stage.told));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tell(&told, "connection".to_owned());
                let script = script.lock().unwrap().clone();
                tokio::spawn(play(Box::new(stream), script, Arc::clone(&told)));
            }
        });
        stage
    }

    /// Plays this from now on, and forgets what was heard.
    pub fn play(&self, script: Vec<Act>) {
        *self.script.lock().unwrap() = script;
        self.told.send_replace(Vec::new());
    }

    /// What was heard, as soon as all who called have gone again.
    pub async fn heard(&self) -> Vec<String> {
        const ENDS: [&str; 3] = ["gone", "no tls", "end of script"];
        let count =
            |lines: &Vec<String>, words: &[&str]| lines.iter().filter(|it| words.contains(&it.as_str())).count();
        let mut heard = self.told.subscribe();
        let all = heard.wait_for(|lines| count(lines, &["connection"]) == count(lines, &ENDS));
        let all = tokio::time::timeout(Duration::from_secs(20), all).await;
        all.expect("somebody stays").unwrap().clone()
    }
}

/// The peer, listening.
pub struct Peer {
    pub address: SocketAddr,
    heard: watch::Receiver<Vec<String>>,
}

pub fn say(text: &str) -> Act {
    Act::Say(format!("{text}\r\n"))
}

/// Greeting and EHLO with these extensions.
pub fn hello(extensions: &[&str]) -> Vec<Act> {
    let mut lines: Vec<String> = vec!["peer.example".to_owned()];
    lines.extend(extensions.iter().map(ToString::to_string));
    let last = lines.pop().unwrap();
    let text: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
    vec![say("220 peer.example"), Act::Hear("EHLO gw.sundby.example"), say(&format!("{text}250 {last}"))]
}

/// A whole transaction for so many recipients, all well.
pub fn takes_message(recipients: usize) -> Vec<Act> {
    let mut acts = vec![Act::Hear("MAIL"), say("250 2.1.0 ok")];
    for _ in 0..recipients {
        acts.extend([Act::Hear("RCPT"), say("250 2.1.5 ok")]);
    }
    acts.extend([Act::Hear("DATA"), say("354 go"), Act::HearMessage, say("250 2.0.0 queued as 1")]);
    acts
}

impl Peer {
    /// Plays one script per connection, in order; further connections find nobody.
    pub async fn plays(scripts: Vec<Vec<Act>>) -> Self {
        Self::plays_at(IpAddr::V4(Ipv4Addr::LOCALHOST), scripts).await
    }

    pub async fn plays_at(ip: IpAddr, scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, heard) = watch::channel(Vec::new());
        let told = Arc::new(told);
        tokio::spawn(async move {
            for (number, script) in scripts.into_iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                tell(&told, format!("connection {}", number + 1));
                tokio::spawn(play(Box::new(stream), script, Arc::clone(&told)));
            }
        });
        Self { address, heard }
    }

    /// Every line heard so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.borrow().clone()
    }

    /// How many lines that begin so were heard.
    pub fn count(&self, beginning: &str) -> usize {
        self.heard.borrow().iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// Waits until a line that begins so was heard.
    pub async fn hears(&self, beginning: &str) {
        let mut heard = self.heard.clone();
        heard.wait_for(|lines| lines.iter().any(|line| line.starts_with(beginning))).await.unwrap();
    }
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

fn tell(told: &watch::Sender<Vec<String>>, line: String) {
    told.send_modify(|lines| lines.push(line));
}

async fn play(stream: Box<dyn Socket>, script: Vec<Act>, told: Arc<watch::Sender<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    for act in script {
        match act {
            Act::Say(text) => {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return tell(&told, "gone".to_owned());
                }
                stream.flush().await.unwrap_or_default();
            }
            Act::Drip(text, pause) => {
                for octet in text.bytes() {
                    tokio::time::sleep(pause).await;
                    if stream.write_all(&[octet]).await.is_err() || stream.flush().await.is_err() {
                        return tell(&told, "gone".to_owned());
                    }
                }
            }
            Act::Hear(beginning) => {
                let Some(line) = line(&mut stream).await else { return tell(&told, "gone".to_owned()) };
                let fits = line.starts_with(beginning);
                tell(&told, line.clone());
                assert!(fits, "wanted {beginning}, heard {line}");
            }
            Act::HearAny => {
                let count = stream.fill_buf().await.map_or(0, <[u8]>::len);
                stream.consume(count);
            }
            Act::HearMessage => loop {
                let Some(line) = line(&mut stream).await else { return tell(&told, "gone".to_owned()) };
                let is_end = line == ".";
                tell(&told, line);
                if is_end {
                    break;
                }
            },
            Act::Tls(acceptor) => match acceptor.accept(stream.into_inner()).await {
                Ok(tls) => {
                    let (_, agreed) = tls.get_ref();
                    let (version, group) = (agreed.protocol_version(), agreed.negotiated_key_exchange_group());
                    let words = version.zip(group).map(|(version, group)| format!("{version:?} {:?}", group.name()));
                    tell(&told, format!("tls {}", words.unwrap_or_default()));
                    stream = BufReader::new(Box::new(tls) as Box<dyn Socket>);
                }
                Err(_) => return tell(&told, "no tls".to_owned()),
            },
            Act::TakeAll => {
                let mut in_message = false;
                while let Some(line) = line(&mut stream).await {
                    in_message = if in_message { line != "." } else { line.starts_with("DATA") };
                    let reply = match line.get(..4) {
                        Some("DATA") => "354 go\r\n",
                        _ if in_message => "",
                        _ => "250 2.0.0 ok\r\n",
                    };
                    tell(&told, line);
                    if stream.write_all(reply.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                        break;
                    }
                }
                return tell(&told, "gone".to_owned());
            }
            Act::Stall => {
                while let Some(line) = line(&mut stream).await {
                    tell(&told, line);
                }
                return tell(&told, "gone".to_owned());
            }
            Act::Freeze => std::future::pending().await,
        }
    }
    tell(&told, "end of script".to_owned());
}

async fn line(stream: &mut BufReader<Box<dyn Socket>>) -> Option<String> {
    let mut line = Vec::new();
    let count = stream.read_until(b'\n', &mut line).await.unwrap_or(0);
    let line = line.strip_suffix(b"\r\n").map(|line| String::from_utf8_lossy(line).into_owned());
    (count > 0).then_some(line?)
}

/// A certificate with its key, and the chain above it.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: rcgen::KeyPair,
}

impl Certificate {
    /// One for these names that vouches for itself.
    pub fn for_names(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Self { chain: vec![made.cert.der().clone()], key: made.signing_key }
    }

    /// An issuer, and one of its certificates for these names.
    pub fn issued_for_names(names: &[&str]) -> (Self, Self) {
        Self::issued(names, |_| ())
    }

    /// An issuer, and one of its certificates for these names whose time is over.
    pub fn expired_for_names(names: &[&str]) -> (Self, Self) {
        Self::issued(names, |below| {
            below.not_before = rcgen::date_time_ymd(2020, 1, 1);
            below.not_after = rcgen::date_time_ymd(2021, 1, 1);
        })
    }

    fn issued(names: &[&str], change: impl FnOnce(&mut rcgen::CertificateParams)) -> (Self, Self) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut above = rcgen::CertificateParams::new(Vec::new()).unwrap();
        above.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = above.self_signed(&key).unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let below_key = rcgen::KeyPair::generate().unwrap();
        let mut below = rcgen::CertificateParams::new(names).unwrap();
        change(&mut below);
        let issued = below.signed_by(&below_key, &rcgen::Issuer::from_params(&above, &key)).unwrap();
        let chain = vec![issued.der().clone(), issuer.der().clone()];
        (Self { chain: vec![issuer.der().clone()], key }, Self { chain, key: below_key })
    }

    /// Its octets (DER).
    pub fn der(&self) -> &[u8] {
        &self.chain[0]
    }

    /// In PEM.
    pub fn pem(&self) -> String {
        let lines = STANDARD.encode(self.der()).into_bytes();
        let lines: Vec<_> = lines.chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// Its SubjectPublicKeyInfo (DER).
    pub fn public_key(&self) -> Vec<u8> {
        rcgen::PublicKeyData::subject_public_key_info(&self.key)
    }

    /// As a server shows it.
    pub fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// As a client trusts it.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain[0].clone()).unwrap();
        roots
    }
}

/// A certificate for these names, as a server shows it and as a client trusts it.
pub fn certificate(names: &[&str]) -> (TlsAcceptor, RootCertStore) {
    let certificate = Certificate::for_names(names);
    (certificate.acceptor(), certificate.roots())
}

/// An address of this machine that is not loopback, so that the rules for off loopback can be seen at work.
pub fn outer_ip() -> Option<IpAddr> {
    let probe = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Connecting a datagram socket sends nothing; it only picks a source address.
    probe.connect("198.51.100.1:9").ok()?;
    let ip = probe.local_addr().ok()?.ip();
    if ip.is_loopback() || ip.is_unspecified() {
        return None;
    }
    std::net::TcpListener::bind((ip, 0)).ok().map(|_| ip)
}
