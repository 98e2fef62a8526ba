//! Fetches what authorities tell about revocation, ahead of the time when it is due, and watches when ours end.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::directory::evidence::{EVIDENCE_OCTETS, Told};
use crate::directory::lookup::Directory;
use crate::directory::scope::Scope;
use crate::mail::Domain;
use crate::net::{Clock, Dns, Outside, Shutdown};
use crate::store::StoreError;
use crate::telemetry::{Labels, Metrics};

/// How often it is looked what is wanted and due.
const ROUND: Duration = Duration::from_secs(60);
/// How long a connection and a whole answer may take.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);
/// Addresses of a host that are tried.
const ADDRESSES: usize = 4;
/// Places that are asked in a round.
const PER_ROUND: usize = 200;
const DAY: i64 = 86_400;

/// Who looks after what is known about revocation.
pub struct Refresher {
    /// What it is about.
    pub directory: Directory,
    /// Who knows where authorities are.
    pub dns: Dns,
    /// Where they may be: their addresses stand in strangers' certificates.
    pub outside: Outside,
    /// What time it is.
    pub clock: Clock,
    /// What operations watch.
    pub metrics: Metrics,
}

impl Refresher {
    /// Asks what is due, minute by minute, until the end begins.
    pub async fn run(self, shutdown: Shutdown) {
        tokio::select! {
            () = self.watch() => {}
            () = self.rounds() => {}
            () = shutdown.begun() => {}
        }
    }

    async fn rounds(&self) {
        loop {
            if let Err(fault) = self.round().await {
                tracing::warn!(%fault, "what is known about revocation cannot be looked after");
            }
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Counts whose end is near, minute by minute and whenever ours change: a round may take longer, where nobody answers.
    async fn watch(&self) {
        loop {
            self.count();
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = self.directory.made().changed() => {}
            }
        }
    }

    async fn round(&self) -> Result<(), StoreError> {
        let configured = self.directory.settings().trust.list_urls.clone();
        let mut wanted = self.directory.take_wanted();
        wanted.extend(configured.into_iter().map(|url| Told { url, question: None }));
        self.directory.evidences().want(wanted).await?;
        let due = self.directory.evidences().due(self.clock.now())?;
        for place in due.into_iter().take(PER_ROUND) {
            let told = timeout(PATIENCE, self.ask(&place)).await;
            let told = told.unwrap_or_else(|_| Err("it took too long".to_owned()));
            if let Err(why) = &told {
                tracing::warn!(url = place.url, why, "nothing is told about revocation there");
            }
            let is_there = told.is_ok();
            let url = place.url.clone();
            if self.directory.evidences().keep(place, told.ok(), self.clock.now()).await? {
                self.directory.judge_anew();
            } else if is_there {
                tracing::warn!(url, "what is told about revocation there cannot be read");
            }
        }
        Ok(())
    }

    async fn ask(&self, place: &Told) -> Result<Vec<u8>, String> {
        let uri: Uri = place.url.parse().map_err(|_| "no address".to_owned())?;
        let host = uri.host().ok_or_else(|| "no host".to_owned())?.trim_matches(['[', ']']);
        let addresses = match (host.parse::<IpAddr>(), host.parse::<Domain>()) {
            (Ok(address), _) => vec![address],
            (Err(_), Ok(domain)) => {
                self.dns.addresses(&domain).await.map_err(|fault| fault.to_string())?.records.into_iter().collect()
            }
            (Err(_), Err(_)) => return Err("no host".to_owned()),
        };
        let callable: Vec<IpAddr> = addresses.into_iter().filter(|address| self.outside.has(*address)).collect();
        let question = place.question.as_ref().map(|text| STANDARD.decode(text)).transpose();
        fetch(&uri, &callable, question.map_err(|fault| fault.to_string())?).await
    }

    /// Of how many domains and mailboxes of ours the last certificate ends soon.
    fn count(&self) {
        let now = self.clock.now().unix_seconds();
        let own = self.directory.own();
        let mut scopes: Vec<&Scope> = own.iter().map(|key| &key.scope).collect();
        scopes.sort();
        scopes.dedup();
        let end = |scope: &&Scope| {
            let of_scope = own.iter().filter(|key| key.scope == **scope);
            of_scope.filter_map(|key| key.certificate()?.validity().ok()).map(|(_, until)| until).max()
        };
        let ends: Vec<i64> = scopes.iter().filter_map(end).map(|until| until.saturating_sub(now)).collect();
        for (kind, days) in [("ended", 0), ("7d", 7), ("30d", 30), ("90d", 90)] {
            let count = ends.iter().filter(|left| **left < days * DAY).count();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.metrics.own_certificates_ending.get_or_create(&Labels::of(kind)).set(count);
        }
    }
}

/// Asks a host at these addresses over http, as certificates name it: what is told is signed (RFC 5280 §8).
async fn fetch(uri: &Uri, addresses: &[IpAddr], question: Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    if uri.scheme_str() != Some("http") {
        return Err("not an http address".to_owned());
    }
    let mut last = "it has no address in the open internet".to_owned();
    let mut stream = None;
    for address in addresses.iter().take(ADDRESSES) {
        let place = SocketAddr::new(*address, uri.port_u16().unwrap_or(80));
        match timeout(CONNECTION_PATIENCE, TcpStream::connect(place)).await {
            Ok(Ok(open)) => {
                stream = Some(open);
                break;
            }
            Ok(Err(fault)) => last = fault.to_string(),
            Err(_) => last = "it took too long".to_owned(),
        }
    }
    let Some(stream) = stream else { return Err(last) };
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|fault| fault.to_string())?;
    // It carries the exchange, and ends with it.
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().uri(path).header(header::HOST, uri.authority().map_or("", |it| it.as_str()));
    // RFC 6960 Appendix A.1.
    if question.is_some() {
        request = request.method(Method::POST).header(header::CONTENT_TYPE, "application/ocsp-request");
    }
    let request = request.body(Full::new(Bytes::from(question.unwrap_or_default())));
    let answer = sender.send_request(request.map_err(|fault| fault.to_string())?).await;
    let answer = answer.map_err(|fault| fault.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("it answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), EVIDENCE_OCTETS).collect().await;
    Ok(body.map_err(|fault| fault.to_string())?.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    use crate::directory::refresh::fetch;

    /// What one connection was asked, and the answer it got.
    async fn asked(answer: &'static str, question: Option<Vec<u8>>) -> (String, Result<Vec<u8>, String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        });
        let uri = format!("http://ca.example:{port}/list.crl?x").parse().unwrap();
        let told = fetch(&uri, &[Ipv4Addr::LOCALHOST.into()], question).await;
        (serving.join().unwrap(), told)
    }

    #[tokio::test]
    async fn a_list_is_fetched_and_a_question_is_put() {
        let (heard, told) = asked("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlist", None).await;
        assert!(heard.starts_with("GET /list.crl?x HTTP/1.1\r\n") && heard.contains("host: ca.example:"), "{heard}");
        assert_eq!(told.as_deref(), Ok(&b"list"[..]));
        let (heard, _) = asked("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some(b"question".to_vec())).await;
        assert!(heard.starts_with("POST ") && heard.contains("application/ocsp-request"), "{heard}");
    }

    #[tokio::test]
    async fn what_is_no_list_is_not_taken() {
        let (_, told) =
            asked("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", None).await;
        assert_eq!(told, Err("it answers 302 Found".to_owned()));
        let nowhere = "http://ca.example/".parse().unwrap();
        assert!(fetch(&nowhere, &[], None).await.is_err());
        assert!(fetch(&"https://ca.example/".parse().unwrap(), &[], None).await.is_err());
    }
}
