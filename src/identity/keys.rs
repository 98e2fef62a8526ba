//! A provider's own description and keys, fetched and remembered (OpenID Connect Discovery 1.0, RFC 7517).

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::fault::Url;
use crate::identity::login::LoginFault;
use crate::net::{Clock, Time};

/// How long a description is believed.
const LASTS: Duration = Duration::from_secs(3_600);
/// How soon keys may be fetched again because one is not known.
const AGAIN: Duration = Duration::from_secs(30);
/// How long a provider that failed is left alone: whoever comes meanwhile is told at once, not after waiting in line.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// Octets of any answer.
const ANSWER_OCTETS: usize = 256 * 1024;
/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a provider says of itself.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Description {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub jwks_uri: String,
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// One provider's description and keys, as fetched last.
#[derive(Default)]
pub(crate) struct Remembered {
    description: Mutex<Option<(Time, Result<Description, LoginFault>)>>,
    keys: Mutex<Option<(Time, Result<JwkSet, LoginFault>)>>,
}

/// The way to providers: no redirects, no waiting for ever, no endless answers.
#[derive(Clone)]
pub(crate) struct BackChannel {
    http: reqwest::Client,
    clock: Clock,
}

impl BackChannel {
    pub(crate) fn new(clock: Clock) -> Result<Self, LoginFault> {
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).no_proxy().build();
        Ok(Self { http: http.map_err(|fault| LoginFault::Unavailable(fault.to_string()))?, clock })
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) async fn description(&self, issuer: &str, remembered: &Remembered) -> Result<Description, LoginFault> {
        let mut known = remembered.description.lock().await;
        let now = self.clock.now();
        if let Some((fetched, outcome)) = known.as_ref()
            && now < fetched.after(if outcome.is_ok() { LASTS } else { LEFT_ALONE })
        {
            return outcome.clone();
        }
        let outcome = self.describe(issuer).await;
        *known = Some((self.clock.now(), outcome.clone()));
        outcome
    }

    async fn describe(&self, issuer: &str) -> Result<Description, LoginFault> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let description: Description = self.read(self.http.get(url)).await?;
        // The description must be of who was asked (Discovery §4.3), or another could answer for it.
        if description.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            return Err(LoginFault::Unavailable("the provider describes another issuer".to_owned()));
        }
        for url in [&description.authorization_endpoint, &description.token_endpoint, &description.jwks_uri] {
            check_url(url)?;
        }
        Ok(description)
    }

    /// The key with this id; keys are fetched again, though not all the time, if it is not known.
    pub(crate) async fn key(
        &self,
        description: &Description,
        remembered: &Remembered,
        kid: Option<&str>,
    ) -> Result<Vec<Jwk>, LoginFault> {
        let mut known = remembered.keys.lock().await;
        let now = self.clock.now();
        let fits = |keys: &JwkSet| -> Vec<Jwk> {
            keys.keys.iter().filter(|key| kid.is_none() || key.common.key_id.as_deref() == kid).cloned().collect()
        };
        match known.as_ref() {
            Some((fetched, Ok(keys))) => {
                let found = fits(keys);
                if (!found.is_empty() && now < fetched.after(LASTS)) || now < fetched.after(AGAIN) {
                    return Ok(found);
                }
            }
            Some((fetched, Err(fault))) if now < fetched.after(LEFT_ALONE) => return Err(fault.clone()),
            Some((_, Err(_))) | None => {}
        }
        let outcome: Result<JwkSet, LoginFault> = self.read(self.http.get(&description.jwks_uri)).await;
        let found = outcome.as_ref().map(fits).map_err(Clone::clone);
        *known = Some((self.clock.now(), outcome));
        found
    }

    /// Sends a request and reads its answer, within bounds.
    pub(crate) async fn read<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, LoginFault> {
        let fault = |fault: reqwest::Error| LoginFault::Unavailable(fault.without_url().to_string());
        let mut response = request.header("Accept", "application/json").send().await.map_err(fault)?;
        let status = response.status();
        let mut octets = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if octets.len() + chunk.len() > ANSWER_OCTETS {
                return Err(LoginFault::Unavailable("the provider's answer is too long".to_owned()));
            }
            octets.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let told: String = String::from_utf8_lossy(&octets).chars().filter(|c| !c.is_control()).take(200).collect();
            let told = format!("the provider answered {status}: {told}");
            let is_theirs = status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS;
            return Err(if is_theirs { LoginFault::Unavailable(told) } else { LoginFault::Refused(told) });
        }
        serde_json::from_slice(&octets)
            .map_err(|fault| LoginFault::Unavailable(format!("the provider's answer cannot be read: {fault}")))
    }
}

/// Secrets go over TLS; in the clear only on this machine.
pub(crate) fn check_url(url: &str) -> Result<(), LoginFault> {
    let parsed: Result<Url, _> = url.parse();
    let serves =
        |url: &Url| url.login.is_none() && (url.scheme == "https" || (url.scheme == "http" && url.host.is_loopback()));
    if parsed.as_ref().is_ok_and(serves) {
        return Ok(());
    }
    Err(LoginFault::Unavailable("the provider would be spoken to in the clear".to_owned()))
}
