//! The one look-up: which certificates can be sealed to for a recipient, now.
//!
//! Rows are read when somebody asks, so that a hundred thousand partners cost nothing at the start. What was judged is
//! remembered for some minutes, for a path costs signatures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cms::{Certificate, PATH_CERTIFICATES, PathFault, Pool, Purpose};
use crate::directory::certificates::{Certificates, Decision, Entry, EntryRow, Source};
use crate::directory::evidence::{Evidences, Told};
use crate::directory::made_keys::MadeKeys;
use crate::directory::own_keys::{OwnKey, OwnKeys};
use crate::directory::recipient_keys::{Candidate, RecipientKeys, WhyNot};
use crate::directory::scope::Scope;
use crate::directory::trust::{Judged, Question, TrustSettings, Trusted};
use crate::mail::{Address, Domain};
use crate::net::{Clock, Time};
use crate::store::StoreError;

/// How long what was judged is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How many of them.
const JUDGEMENTS: usize = 20_000;
/// Certificates that came with a signature and are looked at for its path.
const CARRIED: usize = 50;
/// Places that are noted to be asked.
const WANTED: usize = 1_000;

/// A partner's certificate that the configuration names.
#[derive(Debug, Clone)]
pub struct ConfiguredTunnel {
    /// The partner's domain.
    pub domain: Domain,
    /// Its certificates, several generations maybe.
    pub certificates: Vec<Certificate>,
    /// They are trusted for being named.
    pub is_pinned: bool,
    /// The file's name.
    pub told_by: String,
}

/// What the configuration says.
#[derive(Clone, Default)]
pub struct DirectorySettings {
    /// Whom we believe.
    pub trust: TrustSettings,
    /// Partners that are named.
    pub tunnels: Vec<ConfiguredTunnel>,
    /// Certificates of authorities that came with those files.
    pub issuers: Vec<Certificate>,
    /// Our keys.
    pub own: OwnKeys,
    /// The domains that are ours.
    pub ours: Vec<Domain>,
}

/// Who is out there, and who we are to them. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Directory(Arc<Inside>);

struct Inside {
    certificates: Certificates,
    evidences: Evidences,
    made: MadeKeys,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    settings: Arc<DirectorySettings>,
    judged: HashMap<([u8; 32], bool), Remembered>,
    wanted: Vec<Told>,
}

/// A partner of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partner {
    /// The configuration trusts this very certificate for being named.
    pub is_pinned: bool,
}

struct Remembered {
    at: Time,
    outcome: Result<Trusted, WhyNot>,
}

impl Directory {
    /// A directory of these rows.
    #[must_use]
    pub fn new(
        certificates: Certificates,
        evidences: Evidences,
        made: MadeKeys,
        clock: Clock,
        settings: DirectorySettings,
    ) -> Self {
        let state = Mutex::new(State { settings: Arc::new(settings), ..State::default() });
        Self(Arc::new(Inside { certificates, evidences, made, clock, state }))
    }

    /// All our keys that have a certificate: those of the configuration, and those that lie here.
    #[must_use]
    pub fn own(&self) -> OwnKeys {
        let settings = self.settings();
        settings.own.iter().map(|own| OwnKey::clone(own)).chain(self.0.made.own()).collect()
    }

    /// Keys of ours that lie here.
    #[must_use]
    pub fn made(&self) -> &MadeKeys {
        &self.0.made
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes another configuration into use.
    pub fn configure(&self, settings: DirectorySettings) {
        let mut state = self.state();
        state.settings = Arc::new(settings);
        state.judged.clear();
        self.0.made.ring();
    }

    /// Forgets what was judged: something new is known.
    pub fn judge_anew(&self) {
        self.state().judged.clear();
    }

    /// Certificates that are kept.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.0.certificates
    }

    /// What is known about revocation.
    #[must_use]
    pub fn evidences(&self) -> &Evidences {
        &self.0.evidences
    }

    /// What the configuration says now.
    #[must_use]
    pub fn settings(&self) -> Arc<DirectorySettings> {
        Arc::clone(&self.state().settings)
    }

    /// Whether a domain or mailbox is ours.
    #[must_use]
    pub fn is_ours(&self, scope: &Scope) -> bool {
        self.settings().ours.contains(scope.domain())
    }

    /// Places that judging would have needed since this was last asked.
    #[must_use]
    pub fn take_wanted(&self) -> Vec<Told> {
        std::mem::take(&mut self.state().wanted)
    }

    /// What can be sealed to for a recipient, now, and of everything else that is known why not.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn recipient_keys(&self, recipient: &Address) -> Result<RecipientKeys, StoreError> {
        Ok(RecipientKeys {
            tunnel: self.candidates(&Scope::Domain(recipient.domain().clone()))?,
            personal: self.candidates(&Scope::Mailbox(recipient.clone()))?,
        })
    }

    /// What is known for a domain or a mailbox: of the configuration first, then what is kept.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn candidates(&self, scope: &Scope) -> Result<Vec<Candidate>, StoreError> {
        let mut candidates = self.configured(scope)?;
        for entry in self.0.certificates.of(scope)? {
            candidates.push(self.candidate(entry)?);
        }
        Ok(candidates)
    }

    /// What the configuration names for it.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn configured(&self, scope: &Scope) -> Result<Vec<Candidate>, StoreError> {
        let Scope::Domain(domain) = scope else { return Ok(Vec::new()) };
        let settings = self.settings();
        let mut candidates = Vec::new();
        for tunnel in settings.tunnels.iter().filter(|tunnel| tunnel.domain == *domain) {
            for certificate in &tunnel.certificates {
                candidates.push(Candidate {
                    certificate: certificate.clone(),
                    scope: scope.clone(),
                    source: Source::Configuration,
                    told_by: tunnel.told_by.clone(),
                    is_pinned: tunnel.is_pinned,
                    verdict: self.judge(certificate, tunnel.is_pinned)?,
                });
            }
        }
        Ok(candidates)
    }

    /// An entry, judged.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn candidate(&self, entry: Entry) -> Result<Candidate, StoreError> {
        let Entry { certificate, row } = entry;
        let verdict = match decided(&row) {
            Some(why) => Err(why),
            None => self.judge(&certificate, false)?,
        };
        Ok(Candidate {
            certificate,
            scope: row.scope,
            source: row.source,
            told_by: row.told_by,
            is_pinned: false,
            verdict,
        })
    }

    /// Whether a certificate can be sealed to now, whoever brought it.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn judge(&self, certificate: &Certificate, is_pinned: bool) -> Result<Result<Trusted, WhyNot>, StoreError> {
        let now = self.0.clock.now();
        let key = (certificate.fingerprint(), is_pinned);
        if let Some(known) = self.state().judged.get(&key)
            && now < known.at.after(REMEMBERED)
            && known.outcome.as_ref().is_ok_and(|trusted| trusted.until >= now.unix_seconds())
        {
            return Ok(known.outcome.clone());
        }
        let settings = self.settings();
        let issuers = self.issuers(certificate, &settings)?;
        let question = Question {
            settings: &settings.trust,
            evidences: &self.0.evidences,
            issuers: &issuers,
            purpose: Purpose::Seal,
            at: now.unix_seconds(),
        };
        let judged = if is_pinned { question.judge_pinned(certificate) } else { question.judge(certificate) };
        Ok(self.remember(key, judged, now))
    }

    /// Whether a signer's certificate is to be believed now; `carried` are those that came with the signature. Where more
    /// could have been learnt about revocation is noted, to be asked.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn judge_signer(
        &self,
        certificate: &Certificate,
        carried: &[Certificate],
        is_pinned: bool,
    ) -> Result<Result<Trusted, PathFault>, StoreError> {
        let settings = self.settings();
        let mut issuers = self.issuers(certificate, &settings)?;
        carried.iter().take(CARRIED).for_each(|other| issuers.add(other.clone()));
        let question = Question {
            settings: &settings.trust,
            evidences: &self.0.evidences,
            issuers: &issuers,
            purpose: Purpose::Sign,
            at: self.0.clock.now().unix_seconds(),
        };
        let judged = if is_pinned { question.judge_pinned(certificate) } else { question.judge(certificate) };
        self.want(judged.wanted);
        Ok(judged.outcome)
    }

    /// Who signed for a domain is a partner of it by this certificate: the very one, its key, or the same organisation of
    /// OCES as in one that is in use for the domain; and whether it is trusted for being named.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn partner(&self, domain: &Domain, certificate: &Certificate) -> Result<Option<Partner>, StoreError> {
        let key = certificate.public_key().map(|key| key.info().to_vec()).ok();
        let identity = certificate.subject().oces().filter(|identity| identity.key.is_some());
        let candidates = self.candidates(&Scope::Domain(domain.clone()))?;
        let in_use = candidates
            .iter()
            .filter(|it| !matches!(it.verdict, Err(WhyNot::NotAccepted | WhyNot::Conflict | WhyNot::Refused)));
        let mut found = None;
        for candidate in in_use {
            let is_it = candidate.certificate.fingerprint() == certificate.fingerprint();
            let has_its_key =
                key.is_some() && candidate.certificate.public_key().map(|key| key.info().to_vec()).ok() == key;
            let is_same = identity.is_some() && candidate.certificate.subject().oces() == identity;
            if is_it || has_its_key || is_same {
                let is_pinned = is_it && candidate.is_pinned;
                found = Some(Partner { is_pinned: is_pinned || found.is_some_and(|it: Partner| it.is_pinned) });
            }
        }
        Ok(found)
    }

    fn want(&self, places: Vec<Told>) {
        let mut state = self.state();
        let room = WANTED.saturating_sub(state.wanted.len());
        state.wanted.extend(places.into_iter().take(room));
    }

    fn remember(&self, key: ([u8; 32], bool), judged: Judged, now: Time) -> Result<Trusted, WhyNot> {
        let outcome = judged.outcome.map_err(WhyNot::Distrusted);
        let mut state = self.state();
        let room = WANTED.saturating_sub(state.wanted.len());
        state.wanted.extend(judged.wanted.into_iter().take(room));
        if state.judged.len() >= JUDGEMENTS {
            state.judged.clear();
        }
        state.judged.insert(key, Remembered { at: now, outcome: outcome.clone() });
        outcome
    }

    /// Certificates of authorities above this one that are at hand.
    fn issuers(&self, certificate: &Certificate, settings: &DirectorySettings) -> Result<Pool, StoreError> {
        // Itself too: one that signs itself is told as such.
        let mut pool: Pool = settings.issuers.iter().chain([certificate]).cloned().collect();
        let mut below = vec![certificate.clone()];
        for _ in 0..PATH_CERTIFICATES {
            let mut above = Vec::new();
            for certificate in below {
                for issuer in self.0.certificates.issuers_of(&certificate)? {
                    if !pool.contains(&issuer) {
                        pool.add(issuer.clone());
                        above.push(issuer);
                    }
                }
            }
            if above.is_empty() {
                break;
            }
            below = above;
        }
        Ok(pool)
    }
}

/// Why nobody may use it, if so.
fn decided(row: &EntryRow) -> Option<WhyNot> {
    match row.decision {
        Decision::Accepted => None,
        Decision::Asked if row.is_conflict => Some(WhyNot::Conflict),
        Decision::Asked => Some(WhyNot::NotAccepted),
        Decision::Refused => Some(WhyNot::Refused),
    }
}
