//! What an operator's request about certificates and tunnels does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cms::{Certificate, Flaw, ImportedKey, Seconds, to_pem};
use crate::control::protocol::{Refusal, Request, SecretText};
use crate::directory::{
    Brought, Candidate, Decision, Directory, DirectoryError, Offer, OwnKey, Scope, Source, Taken, Waiting, WhyNot,
    id_of,
};
use crate::mail::{Address, Domain};
use crate::net::{Clock, Time};
use crate::policy::Sealables;

const DAY: Seconds = 86_400;
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
            Request::CertificateTake { by_operator, replaces, told_by, rows, issuers } => {
                let source = if by_operator { Source::Operator } else { Source::Table };
                self.take(source, by_operator && replaces, &told_by, &rows, &issuers).await
            }
            Request::CertificateOwn { scope, key, chain } => self.take_own(scope, key, &chain).await,
            Request::CertificateList { after } => self.certificates(after.as_deref()),
            Request::CertificateShow { id } => self.certificate(&id),
            Request::CertificateDecide { id, scope, accepted } => {
                let decision = if accepted { Decision::Accepted } else { Decision::Refused };
                let now = self.clock.now();
                let entries = self.directory.certificates().decide(&id, scope.as_ref(), decision, now).await?;
                self.directory.judge_anew();
                self.entries(entries)
            }
            Request::CertificateRemove { id, scope } => self.remove(&id, scope.as_ref()).await,
            Request::CertificateRequest { scope, algorithm } => {
                self.refuse_if_not_ours(&scope)?;
                let request = self.directory.made().request(scope.clone(), algorithm).await?;
                Ok(json!({ "for": scope, "request": request }))
            }
            Request::CertificateAuthority { name } => self.authority(name).await,
            Request::CertificateIssue { scope, algorithm } => {
                self.refuse_if_not_ours(&scope)?;
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

    fn refuse_if_not_ours(&self, scope: &Scope) -> Result<(), Refusal> {
        match self.directory.is_ours(scope) {
            true => Ok(()),
            false => Err(Refusal::bad_input(format!(
                "{} is no domain of the organisation: organisation.domains names ours",
                scope.domain()
            ))),
        }
    }

    /// Keys that wait are withdrawn, certificates of others forgotten. Ours stay.
    async fn remove(&self, id: &str, scope: Option<&Scope>) -> Result<Value, Refusal> {
        if is_waiting(id) {
            let whom = self.directory.made().withdraw(id).await?;
            return Ok(json!({ "removed": [whom] }));
        }
        let own = self.own_called(id).map(|own| own.scope.clone());
        match self.directory.certificates().remove(id, scope).await {
            Ok(entries) => {
                let whom: Vec<String> = entries.iter().map(|entry| entry.row.scope.to_string()).collect();
                Ok(json!({ "removed": whom, "own": own }))
            }
            Err(DirectoryError::Asked(why)) => Err(Refusal::bad_input(match own {
                Some(whom) => format!(
                    "{id} is a certificate of ours, for {whom}, and stays with its key: what was sealed to it is opened by \
                     nothing else. The newest that is valid signs; where [[own_certificate]] names it, it goes with its entry"
                ),
                None if self.authority_called(id).is_some() => {
                    format!("{id} is the certificate of our own authority, and stays: partners believe ours by it")
                }
                None if self.configured_called(id)?.is_some() => {
                    format!("the configuration names {id}: take its [[tunnel]] entry out")
                }
                None => why,
            })),
            Err(fault) => Err(fault.into()),
        }
    }

    async fn take(
        &self,
        source: Source,
        replaces: bool,
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
        let own = self.directory.own();
        let is_own = |offer: &Offer| own.iter().any(|own| own.certificate() == Some(&offer.certificate));
        let (ours, offers): (Vec<_>, Vec<_>) =
            offers.into_iter().partition(|offer| self.directory.is_ours(&offer.scope) || is_own(offer));
        let (certificates, now) = (self.directory.certificates(), self.clock.now());
        let taken = match (offers.is_empty(), replaces) {
            (true, _) => Vec::new(),
            (false, true) => certificates.take_in_place(offers.clone(), told_by, now).await?,
            (false, false) => certificates.take(offers.clone(), source, told_by, now).await?,
        };
        self.directory.judge_anew();
        let mut rows: Vec<Value> = ours.iter().map(|offer| ours_refused(offer, is_own(offer))).collect();
        for (offer, taken) in offers.iter().zip(&taken) {
            rows.push(self.became(offer, *taken)?);
        }
        Ok(json!({ "taken": rows }))
    }

    /// What became of an offer; why it is not sealed to now, and what to do.
    fn became(&self, offer: &Offer, taken: Taken) -> Result<Value, Refusal> {
        let id = id_of(&offer.certificate);
        let mut value = json!({ "for": offer.scope, "fingerprint": id, "outcome": taken });
        let kept_here = kept(self.directory.certificates().of(&offer.scope))?;
        if let Some(entry) = kept_here.into_iter().find(|entry| entry.certificate == offer.certificate) {
            let candidate = kept(self.directory.candidate(entry))?;
            put(&mut value, "why", json!(candidate.why()));
            put(&mut value, "hint", json!(candidate.verdict.as_ref().err().and_then(hint_of)));
            put(&mut value, "names", json!(offer.scope.others_named_by(&offer.certificate)));
        }
        Ok(value)
    }

    async fn take_own(
        &self,
        scope: Option<Scope>,
        key: Option<SecretText>,
        chain: &[String],
    ) -> Result<Value, Refusal> {
        let chain = chain.iter().map(|text| decoded(text)).collect::<Result<Vec<_>, _>>()?;
        let Some(key) = key else {
            let leaf = chain.first();
            if let Some(own) = self.directory.own().iter().find(|own| own.certificate() == leaf) {
                return Ok(json!({ "own": own.scope, "outcome": "known" }));
            }
            let attached = self.directory.made().attach(&chain).await?;
            return Ok(attached.map_or_else(|| json!({ "own": null }), |attached| own_taken(&attached)));
        };
        let der = STANDARD.decode(key.0.as_bytes()).map(Zeroizing::new);
        let der = der.map_err(|_| Refusal::bad_input("the key is no base64"))?;
        let key = ImportedKey::read(&der).map_err(|fault| Refusal::bad_input(fault.to_string()))?;
        let scope = scope.ok_or_else(|| Refusal::bad_input("for whom is the key? Say it by --for ADDRESS"))?;
        self.refuse_if_not_ours(&scope)?;
        Ok(own_taken(&self.directory.made().bring(scope, key, chain).await?))
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
        if is_waiting(id) {
            let waiting = self.directory.made().waiting().into_iter().find(|waiting| waiting.id == id);
            let none = || Refusal::bad_input(format!("no key that waits for a certificate is called {id}"));
            return waiting.map(|waiting| json!([waiting_shown(&waiting)])).ok_or_else(none);
        }
        let mut found = Vec::new();
        if let Some(own) = self.own_called(id) {
            let mut value = own_shown(&own, self.clock.now().unix_seconds()).unwrap_or_default();
            let leaf = own.certificate().map(|leaf| to_pem("CERTIFICATE", leaf.as_der()));
            put(&mut value, "pem", json!(leaf.map(|pem| pem.to_string())));
            found.push(value);
        }
        if let Some(root) = self.authority_called(id) {
            let mut value = described(&root);
            put(&mut value, "pem", json!(*to_pem("CERTIFICATE", root.as_der())));
            found.push(value);
        }
        found.extend(self.configured_called(id)?.iter().map(whole));
        // The same may be kept for others besides.
        match self.directory.certificates().by_id(id) {
            Ok(entries) => {
                if let Value::Array(entries) = self.entries(entries)? {
                    found.extend(entries);
                }
            }
            Err(DirectoryError::Asked(_)) if !found.is_empty() => {}
            Err(fault) => return Err(fault.into()),
        }
        Ok(Value::Array(found))
    }

    fn own_called(&self, id: &str) -> Option<OwnKey> {
        let own = self.directory.own();
        own.iter().find(|own| own.certificate().is_some_and(|it| is_called(it, id))).map(|own| OwnKey::clone(own))
    }

    fn authority_called(&self, id: &str) -> Option<Certificate> {
        self.directory.made().authority().filter(|root| is_called(root, id))
    }

    fn configured_called(&self, id: &str) -> Result<Option<Candidate>, Refusal> {
        for tunnel in &self.directory.settings().tunnels {
            let all = kept(self.directory.configured(&Scope::Domain(tunnel.domain.clone())))?;
            if let Some(found) = all.into_iter().find(|candidate| is_called(&candidate.certificate, id)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
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

/// Whether this is the name of a key that waits for its certificate, and no fingerprint.
fn is_waiting(id: &str) -> bool {
    id.starts_with("key-")
}

fn is_called(certificate: &Certificate, id: &str) -> bool {
    let digits: String = id.chars().filter(|letter| *letter != ':').collect::<String>().to_lowercase();
    digits.len() >= 8 && id_of(certificate).starts_with(&digits)
}

fn own_taken(brought: &Brought) -> Value {
    json!({ "own": brought.scope, "outcome": if brought.is_new { "new" } else { "known" } })
}

/// Nothing is sealed to ourselves: a certificate of ours is of use with its key alone.
fn ours_refused(offer: &Offer, is_own: bool) -> Value {
    let why = match is_own {
        true => "this is a certificate of ours, and no partner's".to_owned(),
        false => format!(
            "{} is ours, and no key that is kept here belongs to this certificate: bring the key in one file with it",
            offer.scope.domain()
        ),
    };
    json!({ "for": offer.scope, "fingerprint": id_of(&offer.certificate), "outcome": "ours", "why": why })
}

/// What to do about a certificate that is not believed.
fn hint_of(why: &WhyNot) -> Option<&'static str> {
    let WhyNot::Distrusted(fault) = why else { return None };
    if matches!(fault.flaw, Flaw::IssuerIsMissing | Flaw::IsNotTrusted | Flaw::IsNoAuthority | Flaw::Signature(_)) {
        Some(
            "put the root of its authority into trust.roots, and those between behind it in the file; one without an authority \
             goes to [[tunnel]] with `trust = \"pinned\"`",
        )
    } else if matches!(fault.flaw, Flaw::RevocationIsUnknown) {
        Some("a running daemon asks its authority within minutes; `sealgate tunnel show` tells what came of it")
    } else if matches!(fault.flaw, Flaw::HasExpired(_) | Flaw::IsRevoked(..)) {
        Some("ask the partner for the certificate that is in use")
    } else {
        None
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
    put(&mut value, "why", json!(candidate.why()));
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
    put(&mut value, "days_left", json!(until.saturating_sub(now).div_euclid(DAY)));
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
        "id": waiting.id,
        "for": waiting.scope,
        "usable": false,
        "why": waiting.why.clone().unwrap_or_else(|| "its key waits for a certificate".to_owned()),
        "source": "own",
        "trust": "own",
        "own": true,
        "first_seen": waiting.since.rfc3339(),
    })
}
