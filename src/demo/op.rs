//! A stand-in for an e-ID: a small OpenID provider that lets people pick who they are.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::net::{Clock, Shutdown};
use crate::vault::random_octets;

/// The claim in which this provider gives national numbers (OIDC Sweden).
pub const NUMBER_CLAIM: &str = "https://id.oidc.se/claim/personalIdentityNumber";
/// The level it vouches for (Swedish framework, level 3).
pub const LEVEL: &str = "http://id.elegnamnden.se/loa/1.0/loa3";

/// Somebody who can log in.
#[derive(Debug, Clone)]
pub struct Person {
    /// `sub`, and the button's name.
    pub id: &'static str,
    /// The name.
    pub name: &'static str,
    /// The national number.
    pub number: &'static str,
    /// The level of assurance.
    pub level: &'static str,
}

/// What a provider that lies does, for tests of who believes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Misdeed {
    /// None: it tells the truth.
    #[default]
    None,
    /// Another nonce than was asked with.
    WrongNonce,
    /// For another client.
    WrongAudience,
    /// Of another issuer.
    WrongIssuer,
    /// `alg: none`, no signature.
    Unsigned,
    /// Signed by a key that is not its own.
    OtherKey,
    /// Expired an hour ago.
    Expired,
    /// Another subject at the userinfo endpoint than in the token.
    OtherSubject,
    /// The level at the userinfo endpoint, which is not signed, and not in the token.
    LevelUnsigned,
}

/// The provider, running.
#[derive(Clone)]
pub struct Op {
    inside: Arc<Inside>,
}

struct Inside {
    issuer: String,
    client_id: String,
    client_secret: String,
    persons: Vec<Person>,
    other_key: EcdsaKeyPair,
    clock: Clock,
    changing: Mutex<Changing>,
}

struct Changing {
    codes: HashMap<String, Granted>,
    tokens: HashMap<String, String>,
    misdeed: Misdeed,
    key: EcdsaKeyPair,
    /// The key's id: how many there have been.
    key_id: u32,
    /// Keys it publishes beside its own.
    strange_keys: Vec<Value>,
}

struct Granted {
    person: String,
    query: Authorize,
}

/// The authorization request (OpenID Connect Core §3.1.2.1), and who was picked.
#[derive(Debug, Clone, Deserialize)]
struct Authorize {
    client_id: String,
    redirect_uri: String,
    state: String,
    nonce: String,
    code_challenge: String,
    person: Option<String>,
}

#[derive(Deserialize)]
struct TokenRequest {
    code: String,
    redirect_uri: String,
    code_verifier: String,
}

impl Op {
    /// Starts the provider on a free port of this machine.
    ///
    /// # Errors
    /// There is no free port, or no randomness.
    pub async fn start(
        listen: SocketAddr,
        client: (&str, &str),
        persons: Vec<Person>,
        clock: Clock,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen).await.context("the stand-in e-ID")?;
        let inside = Inside {
            issuer: format!("http://{}", listener.local_addr()?),
            client_id: client.0.to_owned(),
            client_secret: client.1.to_owned(),
            persons,
            other_key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
            clock,
            changing: Mutex::new(Changing {
                codes: HashMap::new(),
                tokens: HashMap::new(),
                misdeed: Misdeed::None,
                key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
                key_id: 1,
                strange_keys: Vec::new(),
            }),
        };
        let op = Self { inside: Arc::new(inside) };
        let pages = Router::new()
            .route("/.well-known/openid-configuration", get(description))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(op.clone());
        let end = shutdown.clone();
        shutdown.spawn(async move {
            let served = axum::serve(listener, pages).with_graceful_shutdown(async move { end.begun().await }).await;
            if let Err(fault) = served {
                tracing::error!(%fault, "the stand-in e-ID stopped");
            }
        });
        Ok(op)
    }

    /// Its issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inside.issuer
    }

    /// From now on it lies like this.
    pub fn misbehave(&self, misdeed: Misdeed) {
        self.changing().misdeed = misdeed;
    }

    /// From now on it signs with a new key, and publishes that one alone.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn change_key(&self) -> anyhow::Result<()> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let mut changing = self.changing();
        changing.key = key;
        changing.key_id += 1;
        Ok(())
    }

    /// From now on it publishes these keys (RFC 7517) beside its own.
    pub fn add_keys(&self, keys: Vec<Value>) {
        self.changing().strange_keys.extend(keys);
    }

    fn changing(&self) -> std::sync::MutexGuard<'_, Changing> {
        self.inside.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id_token(&self, granted: &Granted, person: &Person) -> anyhow::Result<String> {
        let changing = self.changing();
        let misdeed = changing.misdeed;
        let now = self.inside.clock.now().unix_seconds();
        let or =
            |lie: Misdeed, truth: &str, lied: &str| if misdeed == lie { lied.to_owned() } else { truth.to_owned() };
        let age = if misdeed == Misdeed::Expired { 7_200 } else { 0 };
        let mut claims = json!({
            "iss": or(Misdeed::WrongIssuer, &self.inside.issuer, "https://other.example"),
            "aud": or(Misdeed::WrongAudience, &self.inside.client_id, "somebody-else"),
            "sub": person.id,
            "nonce": or(Misdeed::WrongNonce, &granted.query.nonce, "another"),
            "iat": now - age,
            "exp": now - age + 300,
        });
        if let Some(claims) = claims.as_object_mut().filter(|_| misdeed != Misdeed::LevelUnsigned) {
            claims.insert("acr".to_owned(), json!(person.level));
        }
        let head = if misdeed == Misdeed::Unsigned {
            json!({ "alg": "none" })
        } else {
            json!({ "alg": "ES256", "kid": changing.key_id.to_string(), "typ": "JWT" })
        };
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        if misdeed == Misdeed::Unsigned {
            return Ok(format!("{signed}."));
        }
        let key = if misdeed == Misdeed::OtherKey { &self.inside.other_key } else { &changing.key };
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

async fn description(State(op): State<Op>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", op.inside.issuer);
    Json(json!({
        "issuer": op.inside.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn jwks(State(op): State<Op>) -> Json<Value> {
    let changing = op.changing();
    // An uncompressed point: 4, then both coordinates.
    let point = changing.key.public_key().as_ref();
    let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
    let own = json!({
        "kty": "EC", "crv": "P-256", "kid": changing.key_id.to_string(), "use": "sig", "alg": "ES256",
        "x": coordinate(1), "y": coordinate(33),
    });
    let keys: Vec<Value> = changing.strange_keys.iter().cloned().chain([own]).collect();
    Json(json!({ "keys": keys }))
}

/// The page on which somebody is picked, and the way back when one was.
async fn authorize(State(op): State<Op>, Query(query): Query<Authorize>) -> Response {
    if query.client_id != op.inside.client_id {
        return (StatusCode::BAD_REQUEST, "no such client").into_response();
    }
    let Some(person) = query.person.clone() else { return Html(pick(&op, &query)).into_response() };
    let Ok(code) = random_octets::<16>().map(|octets| URL_SAFE_NO_PAD.encode(octets)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let back = format!("{}?code={code}&state={}&iss={}", query.redirect_uri, query.state, op.inside.issuer);
    op.changing().codes.insert(code, Granted { person, query });
    Redirect::to(&back).into_response()
}

fn pick(op: &Op, query: &Authorize) -> String {
    let hidden =
        |name: &str, value: &str| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
    let fields = [
        ("client_id", &query.client_id),
        ("redirect_uri", &query.redirect_uri),
        ("state", &query.state),
        ("nonce", &query.nonce),
        ("code_challenge", &query.code_challenge),
    ];
    let fields: String = fields.into_iter().map(|(name, value)| hidden(name, value)).collect();
    let button = |p: &Person| {
        format!(
            "<p><button name=\"person\" value=\"{}\">{}<br><small>{}</small></button></p>",
            p.id,
            escape(p.name),
            p.number
        )
    };
    let buttons: String = op.inside.persons.iter().map(button).collect();
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Stand-in e-ID</title>\
         <style>body{{font:18px/1.5 sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem}}button{{font:inherit;width:100%;padding:.8rem;text-align:left}}</style></head>\
         <body><main><h1>Stand-in e-ID</h1><p>This page stands in for an e-ID such as BankID or MitID. Pick who you are.</p>\
         <form method=\"get\" action=\"/authorize\">{fields}{buttons}</form></main></body></html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

async fn token(State(op): State<Op>, headers: HeaderMap, Form(request): Form<TokenRequest>) -> Response {
    let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", op.inside.client_id, op.inside.client_secret)));
    if headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) != Some(&expected) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    let invalid = || (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    let Some(granted) = op.changing().codes.remove(&request.code) else { return invalid() };
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, request.code_verifier.as_bytes()));
    if granted.query.redirect_uri != request.redirect_uri || granted.query.code_challenge != challenge {
        return invalid();
    }
    let Some(person) = op.inside.persons.iter().find(|person| person.id == granted.person) else { return invalid() };
    let (Ok(id_token), Ok(access)) = (op.id_token(&granted, person), random_octets::<16>()) else { return invalid() };
    let access = URL_SAFE_NO_PAD.encode(access);
    op.changing().tokens.insert(access.clone(), person.id.to_owned());
    Json(json!({ "access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": id_token }))
        .into_response()
}

async fn userinfo(State(op): State<Op>, headers: HeaderMap) -> Response {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let changing = op.changing();
    let person = bearer
        .and_then(|token| changing.tokens.get(token))
        .and_then(|id| op.inside.persons.iter().find(|person| person.id == *id));
    let Some(person) = person else { return StatusCode::UNAUTHORIZED.into_response() };
    let subject = if changing.misdeed == Misdeed::OtherSubject { "another" } else { person.id };
    let mut told = Map::new();
    told.insert("sub".to_owned(), json!(subject));
    told.insert("name".to_owned(), json!(person.name));
    told.insert(NUMBER_CLAIM.to_owned(), json!(person.number));
    if changing.misdeed == Misdeed::LevelUnsigned {
        told.insert("acr".to_owned(), json!(person.level));
    }
    Json(Value::Object(told)).into_response()
}
