//! What an operator's request about certificates and tunnels does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cms::{Certificate, ImportedKey, Seconds, to_pem};
use crate::control::protocol::{Refusal, Request, SecretText};
use crate::directory::{
    Candidate, Decision, Directory, DirectoryError, Offer, OwnKey, Scope, Source, Taken, Waiting, WhyNot, id_of,
};
use crate::mail::{Address, Domain};
use crate::net::{Clock, Time};
use crate::policy::Sealables;

/// Entries of a page.
const PAGE: usize = 500;

/// What operators may ask about certificates.
pub struct TrustDesk {
    /// Certificates of others and of ours.
    pub directory: Directory,
    /// What time it is.
    pub clock: Clock,
}

impl From<DirectoryError> for Refusal {
    fn from(fault: DirectoryError) -> Self {
        match fault {
            DirectoryError::Asked(why) => Self::bad_input(why),
            DirectoryError::Store(_) | DirectoryError::Vault(_) | DirectoryError::NotMade => {
                Self::unavailable(fault.to_string())
            }
        }
    }
}

/// The answer of what is kept, or the directory's fault.
fn kept<T>(answer: Result<T, impl Into<DirectoryError>>) -> Result<T, DirectoryError> {
    answer.map_err(Into::into)
}

impl TrustDesk {
    /// Does what is asked about certificates; anything else is none of it.
    ///
    /// # Errors
    /// The refusal: what happened and what to do.
    pub async fn answer(&self, request: Request) -> Result<Value, Refusal> {
        match request {
            Request::TunnelList { after } => self.tunnels(after.as_deref()),
            Request::TunnelShow { domain } => self.tunnel_shown(domain),
            Request::TunnelRemove { domain } => self.remove_tunnel(domain).await,
            Request::CertificateTake { by_operator, told_by, rows, issuers } => {
                self.take(by_operator, &told_by, &rows, &issuers).await
            }
            Request::CertificateOwn { scope, key, chain } => self.take_own(scope, key, &chain).await,
            Request::CertificateList { after } => self.certificates(after.as_deref()),
            Request::CertificateShow { id } => self.certificate(&id),
            Request::CertificateDecide { id, accepted } => {
                let decision = if accepted { Decision::Accepted } else { Decision::Refused };
                let now = self.clock.now();
                let entries = self.directory.certificates().decide(&id, decision, now).await?;
                self.directory.judge_anew();
                self.entries(entries)
            }
            Request::CertificateRemove { id } => {
                let entries = self.directory.certificates().remove(&id).await?;
                Ok(json!({ "removed": entries.iter().map(|entry| entry.row.scope.to_string()).collect::<Vec<_>>() }))
            }
            Request::CertificateRequest { scope, algorithm } => {
                let request = self.directory.made().request(scope.clone(), algorithm).await?;
                Ok(json!({ "for": scope, "request": request }))
            }
            Request::CertificateAuthority { name } => self.authority(name).await,
            Request::CertificateIssue { scope, algorithm } => {
                let issued = self.directory.made().issue(scope.clone(), algorithm).await?;
                let mut value = described(&issued);
                put(&mut value, "for", json!(scope));
                put(&mut value, "pem", json!(*to_pem("CERTIFICATE", issued.as_der())));
                Ok(value)
            }
            Request::CertificateKeys { recipients, author } => self.keys(&recipients, author.as_ref()),
            _ => Err(Refusal::bad_input("not a request about certificates")),
        }
    }

    /// Of each recipient what can be sealed to, if it is signed in this name.
    fn keys(&self, recipients: &[Address], author: Option<&Address>) -> Result<Value, Refusal> {
        let (own, now) = (self.directory.own(), self.clock.now().unix_seconds());
        let mut all = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            all.push(Sealables::of(&kept(self.directory.recipient_keys(recipient))?, &own, author, now));
        }
        Ok(json!(all))
    }

    /// Domains of the configuration, then those that are kept, a page of them.
    fn tunnels(&self, after: Option<&str>) -> Result<Value, Refusal> {
        let named: Vec<Domain> = self.directory.settings().tunnels.iter().map(|tunnel| tunnel.domain.clone()).collect();
        let mut items = Vec::new();
        if after.is_none() {
            let mut told: Vec<&Domain> = Vec::new();
            for domain in &named {
                if !told.contains(&domain) {
                    told.push(domain);
                    items.push(self.tunnel(domain)?);
                }
            }
        }
        let after = key_of(after)?;
        let (entries, next) = kept(self.directory.certificates().page(true, after.as_deref(), PAGE))?;
        let mut scopes: Vec<Scope> = entries.into_iter().map(|entry| entry.row.scope).collect();
        scopes.dedup();
        // Behind all entries of the last domain: they are told together.
        let next = next.and(scopes.last()).map(|scope| STANDARD.encode([scope.key().as_bytes(), &[1]].concat()));
        for scope in scopes.iter().filter(|scope| !named.contains(scope.domain())) {
            items.push(self.tunnel(scope.domain())?);
        }
        Ok(json!({ "items": items, "next": next }))
    }

    fn tunnel(&self, domain: &Domain) -> Result<Value, Refusal> {
        let scope = Scope::Domain(domain.clone());
        let candidates = kept(self.directory.candidates(&scope))?;
        let last = kept(self.directory.certificates().last_success(&scope))?;
        Ok(json!({
            "domain": domain,
            "certificates": candidates.iter().map(shown).collect::<Vec<_>>(),
            "source": candidates.first().map(|first| first.source.as_str()),
            "trust": trust_of(&candidates),
            "last_success": last.map(Time::rfc3339),
        }))
    }

    fn tunnel_shown(&self, domain: Domain) -> Result<Value, Refusal> {
        let value = self.tunnel(&domain)?;
        match value.get("certificates").and_then(Value::as_array).is_some_and(|all| !all.is_empty()) {
            true => Ok(value),
            false => Err(Refusal::bad_input(format!("no tunnel to {domain} is known"))),
        }
    }

    async fn remove_tunnel(&self, domain: Domain) -> Result<Value, Refusal> {
        let scope = Scope::Domain(domain.clone());
        if !kept(self.directory.configured(&scope))?.is_empty()
            && kept(self.directory.certificates().of(&scope))?.is_empty()
        {
            return Err(Refusal::bad_input(format!("the configuration names {domain}: take its [[tunnel]] entry out")));
        }
        let removed = self.directory.certificates().remove_all(&scope).await?;
        Ok(json!({ "domain": domain, "removed": removed.len() }))
    }

    async fn take(
        &self,
        by_operator: bool,
        told_by: &str,
        rows: &[(Scope, String)],
        issuers: &[String],
    ) -> Result<Value, Refusal> {
        let issuers = issuers.iter().map(|text| decoded(text)).collect::<Result<Vec<_>, _>>()?;
        if !issuers.is_empty() {
            kept(self.directory.certificates().keep_issuers(issuers).await)?;
        }
        let mut offers = Vec::with_capacity(rows.len());
        for (scope, text) in rows {
            offers.push(Offer { scope: scope.clone(), certificate: decoded(text)?, is_trusted: false });
        }
        let source = if by_operator { Source::Operator } else { Source::Table };
        let taken = match offers.is_empty() {
            true => Vec::new(),
            false => self.directory.certificates().take(offers.clone(), source, told_by, self.clock.now()).await?,
        };
        self.directory.judge_anew();
        let row = |(offer, taken): (&Offer, &Taken)| json!({ "for": offer.scope, "fingerprint": id_of(&offer.certificate), "outcome": taken });
        Ok(json!({ "taken": offers.iter().zip(&taken).map(row).collect::<Vec<_>>() }))
    }

    async fn take_own(
        &self,
        scope: Option<Scope>,
        key: Option<SecretText>,
        chain: &[String],
    ) -> Result<Value, Refusal> {
        let chain = chain.iter().map(|text| decoded(text)).collect::<Result<Vec<_>, _>>()?;
        let Some(key) = key else {
            let scope = self.directory.made().attach(&chain).await?;
            return Ok(json!({ "own": scope }));
        };
        let der = STANDARD.decode(key.0.as_bytes()).map(Zeroizing::new);
        let der = der.map_err(|_| Refusal::bad_input("the key is no base64"))?;
        let key = ImportedKey::read(&der).map_err(|fault| Refusal::bad_input(fault.to_string()))?;
        let scope = scope.ok_or_else(|| Refusal::bad_input("for whom is the key? Say it by --for ADDRESS"))?;
        self.directory.made().bring(scope.clone(), key, chain).await?;
        Ok(json!({ "own": scope }))
    }

    /// Ours first, then those of mailboxes, a page of them.
    fn certificates(&self, after: Option<&str>) -> Result<Value, Refusal> {
        let mut items = Vec::new();
        if after.is_none() {
            let now = self.clock.now().unix_seconds();
            items.extend(self.directory.own().iter().filter_map(|own| own_shown(own, now)));
            items.extend(self.directory.made().waiting().iter().map(waiting_shown));
            if let Some(root) = self.directory.made().authority() {
                let mut value = described(&root);
                put(&mut value, "source", json!("own"));
                put(&mut value, "trust", json!("authority"));
                items.push(value);
            }
        }
        let after = key_of(after)?;
        let (entries, next) = kept(self.directory.certificates().page(false, after.as_deref(), PAGE))?;
        for entry in entries {
            items.push(shown(&kept(self.directory.candidate(entry))?));
        }
        Ok(json!({ "items": items, "next": next.map(|key| STANDARD.encode(key)) }))
    }

    fn certificate(&self, id: &str) -> Result<Value, Refusal> {
        let digits = id.to_lowercase();
        let now = self.clock.now().unix_seconds();
        let is_it = |certificate: &Certificate| digits.len() >= 8 && id_of(certificate).starts_with(&digits);
        let ours = self.directory.own();
        if let Some((own, leaf)) =
            ours.iter().filter_map(|own| Some((own, own.certificate()?))).find(|(_, it)| is_it(it))
        {
            let mut value = own_shown(own, now).unwrap_or_default();
            put(&mut value, "pem", json!(*to_pem("CERTIFICATE", leaf.as_der())));
            return Ok(json!([value]));
        }
        if let Some(root) = self.directory.made().authority().filter(is_it) {
            let mut value = described(&root);
            put(&mut value, "pem", json!(*to_pem("CERTIFICATE", root.as_der())));
            return Ok(json!([value]));
        }
        for tunnel in &self.directory.settings().tunnels {
            let all = kept(self.directory.configured(&Scope::Domain(tunnel.domain.clone())))?;
            if let Some(found) = all.iter().find(|candidate| is_it(&candidate.certificate)) {
                return Ok(json!([whole(found)]));
            }
        }
        let entries = self.directory.certificates().by_id(id)?;
        self.entries(entries)
    }

    fn entries(&self, entries: Vec<crate::directory::Entry>) -> Result<Value, Refusal> {
        let mut values = Vec::new();
        for entry in entries {
            let first_seen = Time::from_unix_ms(entry.row.first_seen).rfc3339();
            let identity = entry.row.identity.clone();
            let mut value = whole(&kept(self.directory.candidate(entry))?);
            put(&mut value, "first_seen", json!(first_seen));
            put(&mut value, "identity", json!(identity));
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    async fn authority(&self, name: Option<String>) -> Result<Value, Refusal> {
        let root = match name {
            Some(name) => self.directory.made().found(name).await?,
            None => self.directory.made().authority().ok_or_else(|| {
                Refusal::bad_input("there is no authority of our own: give it a name by --name to found one")
            })?,
        };
        let mut value = described(&root);
        put(&mut value, "pem", json!(*to_pem("CERTIFICATE", root.as_der())));
        Ok(value)
    }
}

fn decoded(text: &str) -> Result<Certificate, Refusal> {
    let der = STANDARD.decode(text).map_err(|_| Refusal::bad_input("a certificate is no base64"))?;
    Certificate::read(&der).map_err(|fault| Refusal::bad_input(fault.to_string()))
}

fn key_of(after: Option<&str>) -> Result<Option<Vec<u8>>, Refusal> {
    let read = after.map(|text| STANDARD.decode(text)).transpose();
    read.map_err(|_| Refusal::bad_input("the place of a page is no base64"))
}

fn put(value: &mut Value, name: &str, what: Value) {
    if let Some(object) = value.as_object_mut() {
        object.insert(name.to_owned(), what);
    }
}

fn day(seconds: Seconds) -> String {
    Time::from_unix_ms(seconds.saturating_mul(1000)).rfc3339()
}

fn described(certificate: &Certificate) -> Value {
    let (from, until) = certificate.validity().unwrap_or((0, 0));
    let serial: String = certificate.serial().iter().map(|octet| format!("{octet:02x}")).collect();
    json!({
        "id": id_of(certificate),
        "fingerprint": id_of(certificate),
        "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(),
        "serial": serial,
        "not_before": day(from),
        "not_after": day(until),
    })
}

fn shown(candidate: &Candidate) -> Value {
    let mut value = described(&candidate.certificate);
    put(&mut value, "for", json!(candidate.scope));
    put(&mut value, "usable", json!(candidate.verdict.is_ok()));
    put(&mut value, "why", json!(candidate.verdict.as_ref().err().map(ToString::to_string)));
    put(&mut value, "source", json!(candidate.source.as_str()));
    put(&mut value, "told_by", json!(candidate.told_by));
    put(&mut value, "trust", json!(trust_of(std::slice::from_ref(candidate))));
    put(&mut value, "own", json!(false));
    value
}

fn whole(candidate: &Candidate) -> Value {
    let mut value = shown(candidate);
    put(&mut value, "pem", json!(*to_pem("CERTIFICATE", candidate.certificate.as_der())));
    put(&mut value, "checked", json!(candidate.verdict.as_ref().ok().map(|trusted| trusted.is_checked)));
    value
}

/// What was decided; whoever has several has one of them in use, or none yet.
fn trust_of(candidates: &[Candidate]) -> &'static str {
    let has = |why: WhyNot| candidates.iter().any(|candidate| candidate.verdict.as_ref().err() == Some(&why));
    if has(WhyNot::Conflict) {
        "conflict"
    } else if candidates.iter().any(|candidate| candidate.is_pinned) {
        "pinned"
    } else if candidates.iter().any(|it| matches!(it.verdict, Ok(_) | Err(WhyNot::Distrusted(_)))) {
        "accepted"
    } else if has(WhyNot::NotAccepted) {
        "asked"
    } else {
        "refused"
    }
}

fn own_shown(own: &OwnKey, now: Seconds) -> Option<Value> {
    let leaf = own.certificate()?;
    let (from, until) = leaf.validity().ok()?;
    let is_valid = (from..=until).contains(&now);
    let mut value = described(leaf);
    put(&mut value, "for", json!(own.scope));
    put(&mut value, "usable", json!(is_valid));
    put(
        &mut value,
        "why",
        json!((!is_valid).then_some("it opens what was sealed to it, and signs nothing: it is not valid now")),
    );
    put(&mut value, "source", json!("own"));
    put(&mut value, "told_by", json!(own.told_by));
    put(&mut value, "trust", json!("own"));
    put(&mut value, "own", json!(true));
    Some(value)
}

fn waiting_shown(waiting: &Waiting) -> Value {
    json!({
        "id": null,
        "for": waiting.scope,
        "usable": false,
        "why": waiting.why.clone().unwrap_or_else(|| "its key waits for a certificate".to_owned()),
        "source": "own",
        "trust": "own",
        "own": true,
        "first_seen": waiting.since.rfc3339(),
    })
}
