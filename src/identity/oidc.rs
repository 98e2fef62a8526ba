//! Logging in through OpenID Connect: authorization code flow with PKCE (RFC 6749 §4.1, RFC 7636), state, nonce, issuer
//! and level of assurance checked.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::directory::{NationalId, NationalIdFault, NumberType};
use crate::identity::attempts::{Attempt, Attempts, sha256};
use crate::identity::claims::{Expected, checked, key_id, refused, text_of};
use crate::identity::keys::{BackChannel, Description, Remembered, check_url};
use crate::identity::login::{Begun, ElectronicId, Finished, LoginFault, WayBack};
use crate::mailboxes::Identified;
use crate::net::Clock;
use crate::vault::random_octets;

/// An e-ID provider, as the configuration names it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its id in addresses.
    pub id: String,
    /// Its issuer identifier.
    pub issuer: String,
    /// Who we are to it.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Zeroizing<String>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The levels asked for.
    pub acr_values: Vec<String>,
    /// The levels that count.
    pub accept_acr: Vec<String>,
    /// Which claim says what.
    pub claims: ClaimNames,
    /// What kind of number it gives.
    pub number_type: Option<NumberType>,
}

/// Which claim says what.
#[derive(Debug, Clone)]
pub struct ClaimNames {
    /// The national number.
    pub number: Option<String>,
    /// The name.
    pub name: String,
    /// The level of assurance.
    pub level: String,
}

/// All providers, and the logins under way.
pub struct Oidc {
    providers: BTreeMap<String, (Provider, Remembered)>,
    portal_url: String,
    attempts: Attempts,
    channel: BackChannel,
    clock: Clock,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: String,
}

impl Oidc {
    /// These providers; people come back to `portal_url`, which has no slash at its end.
    ///
    /// # Errors
    /// [`LoginFault`] if a provider would be spoken to in the clear, or TLS cannot be had.
    pub fn new(providers: Vec<Provider>, portal_url: impl Into<String>, clock: Clock) -> Result<Self, LoginFault> {
        for provider in &providers {
            check_url(&provider.issuer)?;
        }
        let providers =
            providers.into_iter().map(|provider| (provider.id.clone(), (provider, Remembered::default()))).collect();
        let channel = BackChannel::new(clock.clone())?;
        let attempts = Attempts::new().map_err(|fault| LoginFault::Unavailable(fault.to_string()))?;
        Ok(Self { providers, portal_url: portal_url.into(), attempts, channel, clock })
    }

    fn provider(&self, id: &str) -> Result<&(Provider, Remembered), LoginFault> {
        self.providers.get(id).ok_or(LoginFault::NoSuchProvider)
    }

    fn callback(&self, provider: &Provider) -> String {
        format!("{}/callback/{}", self.portal_url, provider.id)
    }

    async fn tokens(
        &self,
        provider: &Provider,
        description: &Description,
        code: &str,
        verifier: &str,
    ) -> Result<Tokens, LoginFault> {
        let callback = self.callback(provider);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback),
            ("code_verifier", verifier),
        ];
        let supported = &description.token_endpoint_auth_methods_supported;
        let by_post = !supported.is_empty()
            && !supported.iter().any(|m| m == "client_secret_basic")
            && supported.iter().any(|m| m == "client_secret_post");
        let request = self.channel.http().post(&description.token_endpoint);
        let request = if by_post {
            form.push(("client_id", &provider.client_id));
            form.push(("client_secret", &provider.client_secret));
            request
        } else {
            // RFC 6749 §2.3.1: both are form-encoded before they are joined.
            let pair = Zeroizing::new(format!("{}:{}", encode(&provider.client_id), encode(&provider.client_secret)));
            request.header("Authorization", format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        };
        let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.channel
            .read(request.header("Content-Type", "application/x-www-form-urlencoded").body(body.join("&")))
            .await
    }

    /// Adds what the ID token does not say and the provider tells elsewhere (Core §5.3).
    async fn with_userinfo(
        &self,
        provider: &Provider,
        description: &Description,
        tokens: &Tokens,
        mut claims: Map<String, Value>,
    ) -> Result<Map<String, Value>, LoginFault> {
        // Never the level: userinfo is not signed, and tells of the person, not of this login (Core §2, `acr`).
        let wanted = provider.claims.number.iter().chain([&provider.claims.name]);
        let missing = wanted.filter(|name| !claims.contains_key(*name)).count();
        let Some(endpoint) = description.userinfo_endpoint.as_ref().filter(|_| missing > 0) else { return Ok(claims) };
        check_url(endpoint)?;
        let request =
            self.channel.http().get(endpoint).header("Authorization", format!("Bearer {}", tokens.access_token));
        let told: Map<String, Value> = self.channel.read(request).await?;
        if told.get("sub") != claims.get("sub") {
            return Err(refused("the provider tells of another subject"));
        }
        for (name, value) in told.into_iter().filter(|(name, _)| *name != provider.claims.level) {
            claims.entry(name).or_insert(value);
        }
        Ok(claims)
    }

    fn identified(&self, provider: &Provider, claims: &Map<String, Value>) -> Result<Identified, LoginFault> {
        let level = text_of(claims, &provider.claims.level).unwrap_or_default();
        if !provider.accept_acr.contains(&level) {
            return Err(refused(format!("the level {level:?} is not accepted")));
        }
        let number = match (&provider.claims.number, provider.number_type) {
            (Some(claim), Some(kind)) => match text_of(claims, claim) {
                Some(text) => Some(self.number(kind, &text)?),
                None => None,
            },
            (Some(_) | None, _) => None,
        };
        Ok(Identified {
            provider: provider.id.clone(),
            issuer: provider.issuer.clone(),
            subject: text_of(claims, "sub").unwrap_or_default(),
            name: text_of(claims, &provider.claims.name).map(|name| one_line(&name)).unwrap_or_default(),
            level,
            number,
        })
    }

    fn number(&self, kind: NumberType, text: &str) -> Result<String, LoginFault> {
        let year = self.clock.now().rfc3339().get(..4).and_then(|year| year.parse().ok()).unwrap_or(2000);
        let parsed = kind.shown_with().iter().map(|kind| NationalId::parse(*kind, text, year));
        // If it is none of them, how it fails the provider's own kind is what tells.
        let number = parsed.reduce(|found, next| found.or_else(|fault| next.map_err(|_| fault)));
        let number = number.unwrap_or(Err(NationalIdFault::FormIsAnother));
        let number = number.map_err(|fault| refused(format!("the provider's number is no {kind}: {fault}")))?;
        Ok(number.to_key())
    }
}

#[async_trait]
impl ElectronicId for Oidc {
    async fn begin(&self, provider: &str, return_to: String) -> Result<Begun, LoginFault> {
        let (provider, remembered) = self.provider(provider)?;
        let description = self.channel.description(&provider.issuer, remembered).await?;
        let (state, nonce, verifier) = (secret()?, secret()?, secret()?);
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        let scopes = if provider.scopes.iter().any(|scope| scope == "openid") {
            provider.scopes.join(" ")
        } else {
            format!("openid {}", provider.scopes.join(" "))
        };
        let callback = self.callback(provider);
        let acr = provider.acr_values.join(" ");
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", provider.client_id.as_str()),
            ("redirect_uri", &callback),
            ("scope", &scopes),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("prompt", "login"),
        ];
        if !acr.is_empty() {
            query.push(("acr_values", &acr));
        }
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let joint = if description.authorization_endpoint.contains('?') { '&' } else { '?' };
        let location = format!("{}{joint}{}", description.authorization_endpoint, query.join("&"));
        let began = self.clock.now().unix_ms();
        let attempt = Attempt { provider: provider.id.clone(), state, nonce, verifier, return_to, began };
        let seal =
            |attempt: &Attempt| self.attempts.seal(attempt).map_err(|fault| LoginFault::Unavailable(fault.to_string()));
        // Too far a way back is not worth a login that fails.
        let binding = match seal(&attempt)? {
            Some(binding) => binding,
            None => seal(&Attempt { return_to: String::new(), ..attempt })?.unwrap_or_default(),
        };
        Ok(Begun { location, binding })
    }

    async fn finish(&self, provider: &str, back: WayBack, binding: &str) -> Result<Finished, LoginFault> {
        let (provider, remembered) = self.provider(provider)?;
        let state = back.state.ok_or_else(|| refused("no state came back"))?;
        let attempt = self.attempts.take(binding, &state, self.clock.now()).ok_or(LoginFault::NotUnderWay)?;
        if attempt.provider != provider.id {
            return Err(refused("the answer came back as another provider's"));
        }
        let description = self.channel.description(&provider.issuer, remembered).await?;
        // RFC 9207: who answered must be who was asked.
        match &back.iss {
            Some(iss) if *iss != description.issuer => {
                return Err(refused("another issuer answered"));
            }
            None if description.authorization_response_iss_parameter_supported => {
                return Err(refused("the issuer did not name itself"));
            }
            Some(_) | None => {}
        }
        if let Some(error) = back.error {
            return Err(refused(format!("the provider says {}", one_line(&error))));
        }
        let code = back.code.ok_or_else(|| refused("no code came back"))?;
        let tokens = self.tokens(provider, &description, &code, &attempt.verifier).await?;
        let keys = self.channel.key(&description, remembered, key_id(&tokens.id_token)?.as_deref()).await?;
        let expected = Expected {
            issuer: &description.issuer,
            client_id: &provider.client_id,
            nonce: &attempt.nonce,
            now: self.clock.now(),
        };
        let claims = checked(&tokens.id_token, &keys, &expected)?;
        let claims = self.with_userinfo(provider, &description, &tokens, claims).await?;
        Ok(Finished { who: self.identified(provider, &claims)?, return_to: attempt.return_to })
    }
}

/// 256 random bits as text.
fn secret() -> Result<String, LoginFault> {
    let octets: [u8; 32] = random_octets().map_err(|fault| LoginFault::Unavailable(fault.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(octets))
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 §2.3).
fn encode(text: &str) -> String {
    let encoded = |b: u8| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }
    };
    text.bytes().map(encoded).collect()
}
