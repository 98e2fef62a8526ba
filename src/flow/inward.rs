//! S/MIME that came in, opened between lease and serve: nothing of it is promised anew, so a crash leaves it incoming, and it
//! is opened again.

use crate::cms::{Name, RecipientId};
use crate::directory::{Directory, Offer, Scope, Source, Strangers};
use crate::flow::addresses::{Bearing, ServiceAddress, Tokens};
use crate::flow::fault::of_mailbox;
use crate::flow::provenance::{origin, results, told};
use crate::flow::returns::Returns;
use crate::flow::scanning::Scanning;
use crate::flow::settings::Settings;
use crate::mail::{Address, BodyType, Envelope, Header, HeaderEdit, ReversePath};
use crate::mailboxes::PostBox;
use crate::net::Clock;
use crate::policy::{FixedKind, Means, Place, Reason, Treatment};
use crate::queue::{Backoff, Exchange, Origin, QueueError, RecipientState, Smime, Spool};
use crate::records::{Event, EventKind, Journal};
use crate::sealing::{
    Belonging, Content, Opener, Opening, OpeningFault, Outgoing, SignatureReport, SignatureWord, Unwrapped,
};
use crate::store::PreparedBody;
use crate::telemetry::{Labels, Metrics};
use crate::vault::Vault;

/// Ids of an answer that are looked up, the newest ones.
const IDS: usize = 50;
/// Certificates of one message that are offered to the address book.
const OFFERED: usize = 8;

/// Opens what came in. Cheap to clone.
#[derive(Clone)]
pub struct Inward {
    /// Who opens.
    pub opener: Opener,
    /// Whom certificates belong to.
    pub directory: Directory,
    /// Who looks for malware, if anybody does.
    pub scanning: Option<Scanning>,
    /// Kept octets.
    pub spool: Spool,
    /// The lock.
    pub vault: Vault,
    /// What stands in which thread.
    pub post_box: PostBox,
    /// Where answers go.
    pub returns: Returns,
    /// What service addresses stand for.
    pub tokens: Tokens,
    /// What happened.
    pub journal: Journal,
    /// When to try again.
    pub backoff: Backoff,
    /// What time it is.
    pub clock: Clock,
    /// What operations watch.
    pub metrics: Metrics,
}

/// What is left to serve once a message was looked at.
pub(crate) struct Left {
    /// For whom, and how.
    pub treatments: Vec<Treatment>,
    /// What passes to them.
    pub content: Content,
}

/// What was opened, as it is handed on.
struct Opened {
    unwrapped: Box<Unwrapped>,
    body: PreparedBody,
    head: Vec<u8>,
}

impl Inward {
    /// Opens a message if it is S/MIME, and sends what was opened on its way; what is left is served as it came.
    ///
    /// # Errors
    /// [`QueueError`]: the item is incoming as before.
    pub(crate) async fn open(
        &self,
        exchange: &mut Exchange,
        settings: &Settings,
        left: Left,
    ) -> Result<Left, QueueError> {
        let lease = exchange.lease();
        let is_inside =
            |it: &Treatment| lease.item.verdict.recipients().get(it.recipient).map(|r| r.place) == Some(Place::Inside);
        let passes = |it: &&Treatment| is_inside(it) && matches!(it.means, Means::Pass { .. });
        let is_wanted = lease.item.origin == Origin::Inbound && lease.item.smime != Smime::None;
        if !is_wanted || !left.treatments.iter().any(|it| passes(&it)) || !self.opener.is_furnished() {
            return Ok(left);
        }
        let opening = self.opener.open(&lease.body().clone(), settings.max_message_size).await;
        match opening.map_err(of_opening)? {
            Opening::Stays(unwrapped) => self.stays(exchange, settings, left, *unwrapped).await,
            Opening::Malformed => Ok(left),
            Opening::NoKey(ids) if self.opener.has_keys() => Ok(held(exchange, left, &Reason::NoKey(named(&ids)))),
            Opening::NoKey(_) => Ok(left),
            Opening::CannotBeOpened => Ok(held(exchange, left, &Reason::CannotBeOpened)),
            Opening::Opened(mut unwrapped) => match unwrapped.content.take() {
                Some(body) => self.opened(exchange, settings, left, unwrapped, body).await,
                None => Ok(left),
            },
        }
    }

    /// It was not sealed and stays as it came; what was found of its signatures is told.
    async fn stays(
        &self,
        exchange: &mut Exchange,
        settings: &Settings,
        left: Left,
        unwrapped: Unwrapped,
    ) -> Result<Left, QueueError> {
        let head = head_of(exchange, settings, &left.content, &unwrapped);
        self.note(exchange, &unwrapped)?;
        self.harvest(&unwrapped).await?;
        let content = Content { has_utf8_header: !head.is_ascii(), skip: unwrapped.outer_length, head, ..left.content };
        Ok(Left { content, ..left })
    }

    async fn opened(
        &self,
        exchange: &mut Exchange,
        settings: &Settings,
        left: Left,
        unwrapped: Box<Unwrapped>,
        body: PreparedBody,
    ) -> Result<Left, QueueError> {
        let head = head_of(exchange, settings, &left.content, &unwrapped);
        let opened = Opened { unwrapped, body, head };
        let item = &exchange.lease().item;
        let smime = item.smime;
        let recipients = item.verdict.recipients().to_vec();
        let is_for = |it: &Treatment| {
            recipients.get(it.recipient).is_some_and(|recipient| {
                recipient.place == Place::Inside
                    && matches!(it.means, Means::Pass { .. })
                    && opened.unwrapped.is_for(&recipient.address)
            })
        };
        let (meant, others): (Vec<Treatment>, Vec<Treatment>) = left.treatments.into_iter().partition(is_for);
        let mut left = held(exchange, Left { treatments: others, content: left.content }, &Reason::SealedToOthers);
        if meant.is_empty() {
            return Ok(left);
        }
        if let Some(scanning) = self.scanning.as_ref().filter(|_| smime != Smime::Found) {
            let shown = (&opened.body, opened.unwrapped.skip);
            match scanning.look_inside(&opened.head, shown, &self.spool, &self.vault).await {
                Ok(None) => {}
                Ok(Some(rule)) => {
                    let hold = |it: Treatment| Treatment { means: Means::Hold(Reason::RuleHolds(rule.clone())), ..it };
                    left.treatments.extend(meant.into_iter().map(hold));
                    exchange.lease().item.smime = Smime::Found;
                    return Ok(left);
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the scanner cannot tell of what was opened; it waits");
                    self.wait(exchange, &meant)?;
                    return Ok(left);
                }
            }
        }
        self.note(exchange, &opened.unwrapped)?;
        self.harvest(&opened.unwrapped).await?;
        self.hand_on(exchange, settings, &meant, opened)?;
        Ok(left)
    }

    /// Sends what was opened to our mail server.
    fn hand_on(
        &self,
        exchange: &mut Exchange,
        settings: &Settings,
        meant: &[Treatment],
        opened: Opened,
    ) -> Result<(), QueueError> {
        let Opened { unwrapped, body, head } = opened;
        let has_utf8_header = !head.is_ascii();
        let has_eight_bit = unwrapped.has_eight_bit || has_utf8_header;
        let content =
            Content { head, skip: unwrapped.skip, body: body.body_ref().clone(), has_eight_bit, has_utf8_header };
        let lease = exchange.lease();
        let (id, whole) = (lease.id, lease.item.envelope.clone());
        let ids = answered(unwrapped.header());
        let mut recipients = Vec::new();
        for treatment in meant {
            let Some(mut recipient) = whole.recipients.get(treatment.recipient).cloned() else { continue };
            if let Some(mailbox) = self.return_mailbox(settings, &ids, &recipient.address)? {
                recipient.original.get_or_insert(format!("rfc822;{}", recipient.address));
                recipient.address = mailbox;
            }
            recipients.push(recipient);
        }
        // No bounce and no automatic answer carries what was opened outside.
        let (token, row) = self.tokens.mint(&Bearing::OpenedBounce { about: id })?;
        let sender = ServiceAddress::Bounce(token).to_address(&settings.hostname);
        let envelope = Envelope {
            sender: sender.map_or(ReversePath::Null, ReversePath::Mailbox),
            recipients,
            body: if has_eight_bit { BodyType::EightBitMime } else { BodyType::SevenBit },
            smtputf8: whole.smtputf8 || has_utf8_header,
            ..whole
        };
        exchange.also(Box::new(move |tx| row.write(tx)));
        exchange.keep(body);
        let places: Vec<usize> = meant.iter().map(|treatment| treatment.recipient).collect();
        exchange.send(Outgoing::written(FixedKind::Opened, envelope, content), &places);
        self.metrics.treated.get_or_create(&Labels::of("opened")).inc_by(places.len() as u64);
        Ok(())
    }

    /// The department that gets an answer in the place of whom it is addressed to, if that was chosen when he wrote.
    fn return_mailbox(
        &self,
        settings: &Settings,
        ids: &[String],
        addressed: &Address,
    ) -> Result<Option<Address>, QueueError> {
        if let Some(id) = self.returns.of_thread(ids, addressed)? {
            return Ok(settings.departments.get(&id).map(|department| department.address.clone()));
        }
        for id in ids {
            let Some(stored) = self.post_box.thread(id).map_err(of_mailbox)? else { continue };
            let found = self.post_box.find(stored).map_err(of_mailbox)?.and_then(|found| found.stored);
            let is_his = |sender: &Address| sender.untagged().folded() == addressed.folded();
            if let Some(stored) = found.filter(|stored| stored.sender.as_ref().is_some_and(is_his)) {
                return Ok(Some(stored.return_mailbox));
            }
        }
        Ok(None)
    }

    fn wait(&self, exchange: &mut Exchange, meant: &[Treatment]) -> Result<(), QueueError> {
        let lease = exchange.lease();
        let (id, attempts) = (lease.id, lease.term.attempts);
        let reason = "the malware scanner cannot tell of what was opened".to_owned();
        exchange.record(self.journal.entry(Event::new(EventKind::Deferred).about(id).detail(reason.clone()))?);
        let places: Vec<usize> = meant.iter().map(|treatment| treatment.recipient).collect();
        exchange.mark(&places, &RecipientState::Delayed { reason });
        exchange.again(self.backoff.for_a_turn().next(self.clock.now(), attempts + 1, 128));
        Ok(())
    }

    /// What was found stands in the events.
    fn note(&self, exchange: &mut Exchange, unwrapped: &Unwrapped) -> Result<(), QueueError> {
        let provenance = &unwrapped.provenance;
        let seals = provenance.seals.iter().map(|seal| {
            let key: String = seal.opened_by.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
            format!("sealed={} key={key}", seal.cipher.name())
        });
        let signatures = provenance.signatures.iter().map(|report| format!("signature={}", report.word()));
        let mut words: Vec<String> = seals.chain(signatures).collect();
        if unwrapped.authors_differ {
            words.push("author=differs".to_owned());
        }
        let signers: Vec<String> = provenance.signatures.iter().map(SignatureReport::signer).collect();
        let event = Event::new(EventKind::Unsealed).about(exchange.lease().id).detail(words.join(" "));
        exchange.record(self.journal.entry(event.note(signers.join("; ")))?);
        Ok(())
    }

    /// Offers certificates of those who signed validly to the address book. None is used for that: somebody must accept it,
    /// or the policy does, and another than the one in use is never put in its place in silence.
    async fn harvest(&self, unwrapped: &Unwrapped) -> Result<(), QueueError> {
        let is_policy = self.directory.settings().trust.strangers == Strangers::Trusted;
        let valid = unwrapped.provenance.signatures.iter().filter(|report| report.word() == SignatureWord::Valid);
        for report in valid.take(OFFERED) {
            let (scope, certificate) = match (&report.belonging, &report.seal_to, &report.certificate) {
                (Belonging::Author, Some(seal_to), _) => {
                    let Some(author) = unwrapped.author() else { continue };
                    (Scope::Mailbox(author), seal_to.clone())
                }
                (Belonging::Domain(domain), _, Some(certificate)) => {
                    (Scope::Domain(domain.clone()), certificate.clone())
                }
                _ => continue,
            };
            let known = self.directory.candidates(&scope)?;
            if known.iter().any(|it| it.certificate.fingerprint() == certificate.fingerprint()) {
                continue;
            }
            let is_trusted = is_policy && self.directory.judge(&certificate, false)?.is_ok();
            let offer = Offer { scope, certificate, is_trusted };
            let taken =
                self.directory.certificates().take(vec![offer], Source::Mail, "signed mail", self.clock.now()).await;
            if let Err(fault) = taken {
                tracing::warn!(%fault, "a certificate that came with mail could not be kept");
            }
        }
        Ok(())
    }
}

/// Who would get it as it came is held for this reason, unless somebody let it go on closed before.
fn held(exchange: &mut Exchange, left: Left, reason: &Reason) -> Left {
    let item = &mut exchange.lease().item;
    let was_asked = item.smime == Smime::Closed;
    let recipients = item.verdict.recipients();
    let is_closed = |it: &Treatment| {
        matches!(it.means, Means::Pass { .. })
            && recipients.get(it.recipient).is_some_and(|recipient| recipient.place == Place::Inside)
    };
    if was_asked || !left.treatments.iter().any(is_closed) {
        return left;
    }
    let hold = |it: Treatment| if is_closed(&it) { Treatment { means: Means::Hold(reason.clone()), ..it } } else { it };
    let treatments = left.treatments.into_iter().map(hold).collect();
    item.smime = Smime::Closed;
    Left { treatments, ..left }
}

/// The whole header as it is handed on, its empty line with it.
fn head_of(exchange: &mut Exchange, settings: &Settings, content: &Content, unwrapped: &Unwrapped) -> Vec<u8> {
    let on = match content.skip {
        0 => Header::new([&content.head, unwrapped.outer().as_bytes()].concat()),
        _ => Header::new(content.head.strip_suffix(b"\r\n").unwrap_or(&content.head)),
    };
    let restored = unwrapped.restored(&on);
    // What was taken off outside is not to come from within.
    let mut edit = HeaderEdit::of(&restored);
    edit.remove_from_subject(&settings.subject_marks);
    if let Some(secret) = &settings.secret_header {
        edit.remove(secret);
    }
    let restored = Header::new(edit.to_bytes());
    let is_smime = !unwrapped.provenance.seals.is_empty() || !unwrapped.provenance.signatures.is_empty();
    let origin = is_smime.then(|| origin(unwrapped));
    let found = results(&unwrapped.provenance);
    let told = told(&restored, &settings.hostname, &found, origin, exchange.lease().id);
    [told.as_bytes(), b"\r\n"].concat()
}

/// The messages that this one answers, the newest first.
fn answered(header: &Header) -> Vec<String> {
    let mut ids = header.message_ids("In-Reply-To");
    ids.extend(header.message_ids("References").into_iter().rev());
    ids.dedup();
    ids.truncate(IDS);
    ids
}

/// For whom a seal is, as an operator finds the certificate.
fn named(ids: &[RecipientId]) -> String {
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let one = |id: &RecipientId| match id {
        RecipientId::IssuerAndSerial { issuer, serial } => {
            format!("serial number {} of \"{}\"", hex(serial), Name::new(issuer))
        }
        RecipientId::KeyId(id) => format!("key identifier {}", hex(id)),
    };
    if ids.is_empty() {
        "nobody in a way we know".to_owned()
    } else {
        ids.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

fn of_opening(fault: OpeningFault) -> QueueError {
    match fault {
        OpeningFault::Store(fault) => QueueError::Store(fault),
        OpeningFault::Vault(fault) => QueueError::Vault(fault),
    }
}
