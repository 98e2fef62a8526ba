//! Logging in: what a provider must get right, and every way in which one can lie.

use std::net::SocketAddr;
use std::sync::Arc;

use sealgate::demo::{LEVEL, Misdeed, NUMBER_CLAIM, Op, Person};
use sealgate::directory::NumberType;
use sealgate::identity::{ClaimNames, ElectronicId, LoginFault, Oidc, Provider, WayBack};
use sealgate::net::{Clock, Shutdown, Time};

struct Scene {
    op: Op,
    oidc: Arc<Oidc>,
    clock: Clock,
    shutdown: Shutdown,
}

const ADAM: Person = Person { id: "adam", name: "Adam Ny", number: "197010632391", level: LEVEL };
const EVA: Person = Person { id: "eva", name: "Eva Rätt", number: "198501012382", level: LEVEL };
const LOW: Person = Person { id: "low", name: "Låg", number: "198501012390", level: "urn:low" };

fn provider(id: &str, issuer: &str) -> Provider {
    Provider {
        id: id.into(),
        issuer: issuer.into(),
        client_id: "sealgate".into(),
        client_secret: "hemligt +&=".to_owned().into(),
        scopes: vec!["openid".into()],
        acr_values: vec![LEVEL.into()],
        accept_acr: vec![LEVEL.into()],
        claims: ClaimNames { number: Some(NUMBER_CLAIM.into()), name: "name".into(), level: "acr".into() },
        number_type: Some(NumberType::SePersonnummer),
    }
}

async fn scene() -> Scene {
    let shutdown = Shutdown::new();
    let clock = Clock::set_to(Time::from_unix_ms(1_800_000_000_000));
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    // The stand-in compares the header as it would be sent for a secret without reserved characters.
    let op = Op::start(any, ("sealgate", "hemligt%20%2B%26%3D"), vec![EVA, ADAM, LOW], clock.clone(), &shutdown)
        .await
        .unwrap();
    let providers = vec![provider("one", op.issuer()), provider("two", op.issuer())];
    let oidc = Arc::new(Oidc::new(providers, "https://sakra.example", clock.clone()).unwrap());
    Scene { op, oidc, clock, shutdown }
}

impl Scene {
    /// Follows the browser to the provider and back.
    async fn way(&self, provider: &str, person: &str) -> (WayBack, String) {
        let begun = self.oidc.begin(provider, "/inbox".into()).await.unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let page = http.get(&begun.location).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Stand-in e-ID"));
        let answer = http.get(format!("{}&person={person}", begun.location)).send().await.unwrap();
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        assert!(location.starts_with(&format!("https://sakra.example/callback/{provider}?")));
        let value = |name: &str| {
            let pairs = location.split_once('?').unwrap().1.split('&');
            pairs
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        };
        (WayBack { code: value("code"), state: value("state"), iss: value("iss"), error: None }, begun.binding)
    }

    fn end(self) {
        self.shutdown.begin();
    }
}

fn reason(outcome: Result<sealgate::identity::Finished, LoginFault>) -> String {
    outcome.expect_err("refused").to_string()
}

#[tokio::test]
async fn a_person_is_told_by_name_number_and_level() {
    let scene = scene().await;
    let (back, binding) = scene.way("one", "eva").await;
    let finished = scene.oidc.finish("one", back, &binding).await.unwrap();
    assert_eq!(finished.return_to, "/inbox");
    assert_eq!(finished.who.name, "Eva Rätt");
    assert_eq!(finished.who.number.as_deref(), Some("se-personnummer 198501012382"));
    assert_eq!(finished.who.level, LEVEL);

    // Who has no personal number yet logs in with a coordination number, told in the same claim.
    let (back, binding) = scene.way("one", "adam").await;
    let finished = scene.oidc.finish("one", back, &binding).await.unwrap();
    assert_eq!(finished.who.number.as_deref(), Some("se-samordningsnummer 197010632391"));
    scene.end();
}

#[tokio::test]
async fn no_lie_of_a_provider_is_believed() {
    for (misdeed, says) in [
        (Misdeed::WrongNonce, "nonce"),
        (Misdeed::WrongAudience, "another client"),
        (Misdeed::WrongIssuer, "another issuer"),
        (Misdeed::Unsigned, "header"),
        (Misdeed::OtherKey, "signature"),
        (Misdeed::Expired, "expired"),
        (Misdeed::OtherSubject, "another subject"),
        (Misdeed::LevelUnsigned, "is not accepted"),
    ] {
        let scene = scene().await;
        let (back, binding) = scene.way("one", "eva").await;
        scene.op.misbehave(misdeed);
        let told = reason(scene.oidc.finish("one", back, &binding).await);
        assert!(told.contains(says), "{misdeed:?}: {told}");
        scene.end();
    }
}

#[tokio::test]
async fn a_login_counts_once_for_its_own_provider_browser_time_and_level() {
    let scene = scene().await;
    let (back, binding) = scene.way("one", "eva").await;
    assert!(scene.oidc.finish("one", back.clone(), &binding).await.is_ok());
    assert!(reason(scene.oidc.finish("one", back, &binding).await).contains("no such login"));

    let (back, binding) = scene.way("one", "eva").await;
    assert!(reason(scene.oidc.finish("two", back, &binding).await).contains("another provider"));

    let (back, _) = scene.way("one", "eva").await;
    let (_, another_browsers) = scene.way("one", "eva").await;
    assert!(reason(scene.oidc.finish("one", back, &another_browsers).await).contains("no such login"));

    let (mut back, binding) = scene.way("one", "eva").await;
    back.iss = Some("https://other.example".into());
    assert!(reason(scene.oidc.finish("one", back, &binding).await).contains("another issuer"));

    let (mut back, binding) = scene.way("one", "eva").await;
    back.iss = None;
    assert!(reason(scene.oidc.finish("one", back, &binding).await).contains("did not name itself"));

    let (mut back, binding) = scene.way("one", "eva").await;
    (back.code, back.error) = (None, Some("access_denied".into()));
    assert!(reason(scene.oidc.finish("one", back, &binding).await).contains("access_denied"));

    let (back, binding) = scene.way("one", "low").await;
    assert!(reason(scene.oidc.finish("one", back, &binding).await).contains("level"));

    let (back, binding) = scene.way("one", "eva").await;
    scene.clock.advance(std::time::Duration::from_secs(601));
    assert!(reason(scene.oidc.finish("one", back, &binding).await).contains("no such login"));
    assert!(matches!(scene.oidc.begin("three", String::new()).await, Err(LoginFault::NoSuchProvider)));
    scene.end();
}

#[tokio::test]
async fn a_provider_in_the_clear_is_refused_off_this_machine() {
    for issuer in [
        "http://op.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1:80@evil.example",
        "ftp://127.0.0.1",
    ] {
        assert!(Oidc::new(vec![provider("one", issuer)], "https://x", Clock::System).is_err(), "{issuer}");
    }
}

#[tokio::test]
async fn keys_change_while_people_log_in_and_are_not_fetched_without_end() {
    let scene = scene().await;
    let (back, binding) = scene.way("one", "eva").await;
    assert!(scene.oidc.finish("one", back, &binding).await.is_ok());

    // Too soon after the last fetch: an unknown key is not worth another one.
    let (back, binding) = scene.way("one", "eva").await;
    scene.op.change_key().unwrap();
    assert!(reason(scene.oidc.finish("one", back, &binding).await).contains("signature"));

    // Midway between two logins, and long before the remembered keys are old.
    scene.clock.advance(std::time::Duration::from_secs(31));
    let (back, binding) = scene.way("one", "eva").await;
    assert!(scene.oidc.finish("one", back, &binding).await.is_ok());
    scene.end();
}

/// Answers every request with these octets, until dropped. Counts the requests.
struct Canned {
    address: SocketAddr,
    asked: Arc<std::sync::atomic::AtomicUsize>,
    serving: tokio::task::JoinHandle<()>,
}

impl Canned {
    async fn new(status: &'static str, body: String) -> Self {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 8192];
                let _ = stream.read(&mut request).await;
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                // Until the peer has read it all, lest a reset takes the answer away.
                let _ = stream.shutdown().await;
                while matches!(stream.read(&mut request).await, Ok(1..)) {}
            }
        });
        Self { address, asked, serving }
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_told_apart_and_not_asked_by_everybody() {
    let down = Canned::new("503 Service Unavailable", "maintenance".into()).await;
    let clock = Clock::set_to(Time::from_unix_ms(1_800_000_000_000));
    let providers = vec![provider("one", &format!("http://{}", down.address))];
    let oidc = Oidc::new(providers, "https://sakra.example", clock.clone()).unwrap();
    for _ in 0..5 {
        let fault = oidc.begin("one", String::new()).await.unwrap_err();
        assert!(fault.is_temporary(), "{fault}");
    }
    assert_eq!(down.asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    clock.advance(std::time::Duration::from_secs(6));
    assert!(oidc.begin("one", String::new()).await.is_err());
    assert_eq!(down.asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert!(!LoginFault::NoSuchProvider.is_temporary());
    assert!(!LoginFault::Refused("x".into()).is_temporary());
}

#[tokio::test]
async fn an_answer_without_end_and_one_of_another_issuer_are_refused() {
    let clock = Clock::set_to(Time::from_unix_ms(1_800_000_000_000));
    let described = r#"{"issuer":"https://other.example","authorization_endpoint":"https://other.example/a","token_endpoint":"https://other.example/t","jwks_uri":"https://other.example/j"}"#;
    for (body, says) in [(" ".repeat(256 * 1024 + 1), "too long"), (described.to_owned(), "another issuer")] {
        let peer = Canned::new("200 OK", body).await;
        let providers = vec![provider("one", &format!("http://{}", peer.address))];
        let oidc = Oidc::new(providers, "https://sakra.example", clock.clone()).unwrap();
        let told = oidc.begin("one", String::new()).await.unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    }
}

#[tokio::test]
async fn keys_of_kinds_we_do_not_know_do_no_harm() {
    let scene = scene().await;
    // RFC 7517 §5: what is not understood is passed over.
    scene.op.add_keys(vec![
        serde_json::json!({ "kty": "EC", "crv": "secp256k1", "kid": "k", "x": "AA", "y": "AA" }),
        serde_json::json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AA" }),
        serde_json::json!({ "kty": "OKP", "crv": "X448", "kid": "x", "x": "AA" }),
    ]);
    let (back, binding) = scene.way("one", "eva").await;
    let outcome = scene.oidc.finish("one", back, &binding).await;
    assert!(outcome.is_ok(), "{:?}", outcome.err());
    scene.end();
}

#[tokio::test]
async fn secrets_do_not_print() {
    let scene = scene().await;
    let begun = scene.oidc.begin("one", "/inbox".into()).await.unwrap();
    let state = begun.location.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let back = WayBack { code: Some("the-code".into()), state: Some(state.clone()), iss: None, error: None };
    let printed = format!("{begun:?} {back:?} {:?}", provider("one", "https://op.example"));
    for secret in [begun.binding.as_str(), &state, "the-code", "hemligt"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    scene.end();
}

/// A program that ends with the test.
struct Peer(std::process::Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The certified OpenID provider of `tests/peers`, or a loud line if it is not installed.
fn certified() -> Option<(Peer, Oidc)> {
    use std::io::BufRead;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    if !folder.join("node_modules/oidc-provider").is_dir() {
        eprintln!("PEER MISSING: oidc-provider is not installed in tests/peers: the flow through it is NOT tested");
        return None;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut node = std::process::Command::new("node")
        .args(["op.mjs", &port.to_string(), "https://sakra.example/callback/one", "hemligt +&="])
        .current_dir(folder)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(node.stdout.take().unwrap()).lines();
    let peer = Peer(node);
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("ready")), "the provider did not start");
    // What else it says must not wait on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    let providers = vec![provider("one", &format!("http://127.0.0.1:{port}"))];
    Some((peer, Oidc::new(providers, "https://sakra.example", Clock::System).unwrap()))
}

/// Walks a browser's way through the certified provider, cookies kept, until it is sent back to the portal.
async fn walk(location: &str, person: &str) -> WayBack {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let origin = location.split('/').take(3).collect::<Vec<_>>().join("/");
    let mut cookies = std::collections::BTreeMap::new();
    let mut next = location.to_owned();
    for _ in 0..10 {
        let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = http.get(&next).header("Cookie", sent.join("; ")).send().await.unwrap();
        for set in answer.headers().get_all("set-cookie") {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let Some(to) = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned()) else {
            panic!("{} {next}: {}", answer.status(), answer.text().await.unwrap());
        };
        next = if to.starts_with('/') { format!("{origin}{to}") } else { to };
        if next.contains("/pick/") {
            next = format!("{next}?person={person}");
        }
        if let Some(query) = next.strip_prefix("https://sakra.example/callback/one?") {
            let value = |name: &str| {
                query
                    .split('&')
                    .filter_map(|pair| pair.split_once('='))
                    .find(|(key, _)| *key == name)
                    .map(|(_, v)| v.replace("%3A", ":").replace("%2F", "/"))
            };
            return WayBack { code: value("code"), state: value("state"), iss: value("iss"), error: value("error") };
        }
    }
    panic!("too many redirects: {next}");
}

#[tokio::test]
async fn a_certified_provider_logs_people_in_and_its_low_level_is_refused() {
    let Some((_peer, oidc)) = certified() else { return };
    let begun = oidc.begin("one", "/inbox".into()).await.unwrap();
    let back = walk(&begun.location, "eva").await;
    let finished = oidc.finish("one", back.clone(), &begun.binding).await.unwrap();
    assert_eq!(finished.who.name, "Eva Rätt");
    assert_eq!(finished.who.subject, "eva");
    assert_eq!(finished.who.number.as_deref(), Some("se-personnummer 198501012382"));
    assert_eq!(finished.who.level, LEVEL);
    assert!(oidc.finish("one", back, &begun.binding).await.is_err());

    let begun = oidc.begin("one", "/inbox".into()).await.unwrap();
    let back = walk(&begun.location, "low").await;
    assert!(oidc.finish("one", back, &begun.binding).await.unwrap_err().to_string().contains("level"));
}
