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
    let op =
        Op::start(any, ("sealgate", "hemligt%20%2B%26%3D"), vec![EVA, LOW], clock.clone(), &shutdown).await.unwrap();
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
    assert!(reason(scene.oidc.finish("one", back, "another browser's cookie").await).contains("another browser"));

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
    for issuer in ["http://op.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example"] {
        assert!(Oidc::new(vec![provider("one", issuer)], "https://x", Clock::System).is_err(), "{issuer}");
    }
}
