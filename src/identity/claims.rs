//! What an ID token says, checked (OpenID Connect Core 1.0 §3.1.3.7).

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use crate::identity::login::LoginFault;
use crate::net::Time;

/// How far clocks may differ.
const SKEW: Duration = Duration::from_secs(60);
/// Signatures that are believed: none that shares a secret, and never none.
const BELIEVED: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

/// What an ID token must say.
pub(crate) struct Expected<'e> {
    pub issuer: &'e str,
    pub client_id: &'e str,
    pub nonce: &'e str,
    pub now: Time,
}

/// The key id in a token's header, if its algorithm is one that is believed.
pub(crate) fn key_id(token: &str) -> Result<Option<String>, LoginFault> {
    let header = decode_header(token).map_err(|fault| refused(format!("the ID token's header: {fault}")))?;
    if BELIEVED.contains(&header.alg) {
        Ok(header.kid)
    } else {
        Err(refused("the ID token's algorithm is not believed"))
    }
}

/// The claims of an ID token that one of these keys signed and that says what it must.
pub(crate) fn checked(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<Map<String, Value>, LoginFault> {
    let claims = signed(token, keys)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    if text("iss") != Some(expected.issuer) {
        return Err(refused("the ID token is of another issuer"));
    }
    let audience: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    if !audience.contains(&expected.client_id) {
        return Err(refused("the ID token is for another client"));
    }
    let authorized = text("azp");
    if (audience.len() > 1 && authorized.is_none()) || authorized.is_some_and(|azp| azp != expected.client_id) {
        return Err(refused("the ID token was issued to another client"));
    }
    let at = |seconds: f64| Time::from_unix_ms((seconds * 1000.0) as i64);
    if seconds("exp").is_none_or(|exp| expected.now >= at(exp).after(SKEW)) {
        return Err(refused("the ID token has expired"));
    }
    if seconds("iat").is_none_or(|iat| at(iat) > expected.now.after(SKEW)) {
        return Err(refused("the ID token is from the future"));
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(refused("the ID token has another nonce"));
    }
    if text("sub").is_none_or(str::is_empty) {
        return Err(refused("the ID token names no subject"));
    }
    Ok(claims)
}

fn signed(token: &str, keys: &[Jwk]) -> Result<Map<String, Value>, LoginFault> {
    let header = decode_header(token).map_err(|fault| refused(format!("the ID token's header: {fault}")))?;
    let mut validation = Validation::new(header.alg);
    // Time and audience are checked by our own clock and words.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let open = |jwk: &Jwk| decode::<Map<String, Value>>(token, &DecodingKey::from_jwk(jwk).ok()?, &validation).ok();
    keys.iter()
        .find_map(open)
        .map(|token| token.claims)
        .ok_or_else(|| refused("the ID token's signature is wrong, or no key of the provider made it"))
}

/// A claim as text: some providers write every value as a string, others numbers as numbers.
pub(crate) fn text_of(claims: &Map<String, Value>, name: &str) -> Option<String> {
    match claims.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(several) => several.first().and_then(Value::as_str).map(str::to_owned),
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

pub(crate) fn refused(text: impl Into<String>) -> LoginFault {
    LoginFault::Refused(text.into())
}
