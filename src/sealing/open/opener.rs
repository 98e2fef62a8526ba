//! Opens a message layer by layer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::cms::entity::{BodyDecoder, DetachedSignature, Entity, EntityFault, EntityKind, SignedMultipart};
use crate::cms::{Certificate, Digested, RecipientId, SignedData, SignerReport, Strictness, Unsealer};
use crate::directory::{Candidate, Directory, OwnKey, OwnKeys, Scope};
use crate::mail::{Address, Header};
use crate::sealing::open::head::Head;
use crate::sealing::open::protected::{Author, Protected, agree, author, restore};
use crate::sealing::open::reader::{Layer, LayerReader, Step};
use crate::sealing::open::signers::{STRICTNESS, Signed};
use crate::sealing::open::spooled::{Canonical, Room, SpoolFault, SpoolReader, Spooled, Spools};
use crate::sealing::verdict::{Provenance, SealReport, SignatureReport, SignatureWord};
use crate::store::{Bodies, BodyRef, PreparedBody, StoreError};
use crate::vault::{Vault, VaultError};

/// Layers within each other. Three are the most that anybody makes (RFC 2634 §1.1), and a gateway may add two.
const LAYERS: usize = 8;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Keys of ours that are tried for one seal.
const TRIED: usize = 8;
/// Recipients of a seal that are told where none is ours.
const TOLD: usize = 8;

/// Opens messages. Cheap to clone.
#[derive(Clone)]
pub struct Opener {
    spools: Spools,
    directory: Directory,
}

/// Why nothing is known yet: the store, the lock or the time. It can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum OpeningFault {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What came of a message whose root is S/MIME.
pub enum Opening {
    /// It was not sealed, and stays as it came: signed beside its content, or nothing that is opened.
    Stays(Box<Unwrapped>),
    /// Its content was taken out.
    Opened(Box<Unwrapped>),
    /// It is sealed, and none of the keys is ours.
    NoKey(Vec<RecipientId>),
    /// It cannot be read, and nothing in it was found that is sealed to us: it stays as it came.
    Malformed,
    /// It cannot be opened. There is one such answer.
    CannotBeOpened,
}

/// A message out of its layers.
pub struct Unwrapped {
    /// The content, its header at its front; none where the message stays as it came.
    pub content: Option<PreparedBody>,
    /// Octets at the front of the content that its reader's header takes the place of.
    pub skip: u64,
    /// An octet over 127 stands in the content.
    pub has_eight_bit: bool,
    /// How it came.
    pub provenance: Provenance,
    /// Octets of the header as it came, with its empty line.
    pub outer_length: u64,
    /// That header.
    outer: Header,
    /// What describes the content.
    describing: Header,
    /// The content was taken out of its layers.
    is_taken_out: bool,
    /// What was protected with it.
    pub protected: Option<Protected>,
    /// Which author is shown.
    shown: Author,
    /// Another author is named within than outside.
    pub authors_differ: bool,
    /// Of each seal, our keys that it names.
    openers: Vec<Vec<Arc<OwnKey>>>,
}

/// A layer that cannot be opened, or a fault of ours.
enum Stop {
    Fault(OpeningFault),
    NoKey(Vec<RecipientId>),
    CannotBeOpened,
}

/// What is being opened, and what was found so far.
struct Work<'o> {
    opener: &'o Opener,
    own: OwnKeys,
    limit: u64,
    /// Certificates of the author that are at hand.
    known: Vec<Certificate>,
    seals: Vec<SealReport>,
    signed: Vec<Signed>,
    openers: Vec<Vec<Arc<OwnKey>>>,
}

impl Unwrapped {
    /// Whether every seal was meant for this recipient, too: by his own certificate or by his domain's. Whoever gets hold of
    /// what was sealed to somebody else must not have it opened by sending it to himself.
    #[must_use]
    pub fn is_for(&self, recipient: &Address) -> bool {
        self.openers.iter().all(|keys| keys.iter().any(|own| own.is_for(recipient)))
    }

    /// The header its reader is to see, made of the outer one as it goes on, without the empty line.
    #[must_use]
    pub fn restored(&self, outer: &Header) -> Header {
        match (self.is_taken_out, &self.protected) {
            (true, protected) => restore(outer, &self.describing, protected.as_ref(), self.shown, true),
            (false, Some(protected)) => restore(outer, outer, Some(protected), self.shown, false),
            (false, None) => outer.clone(),
        }
    }

    /// The author who is named within, where somebody else is shown: nobody vouches for him.
    #[must_use]
    pub fn claimed_author(&self) -> Option<String> {
        let is_hidden = self.authors_differ && self.shown == Author::Outside;
        self.protected.as_ref().filter(|_| is_hidden)?.header().first("From").map(|from| from.unfolded())
    }

    /// The author who is shown, if he is one.
    #[must_use]
    pub fn author(&self) -> Option<Address> {
        match self.shown {
            Author::Within => author(self.header()),
            Author::Outside => author(&self.outer),
        }
    }

    /// The header as it came.
    #[must_use]
    pub fn outer(&self) -> &Header {
        &self.outer
    }

    /// The header that programs go by: the protected one, else the outer.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.protected.as_ref().map_or(&self.outer, Protected::header)
    }
}

impl Opener {
    /// An opener with these keys.
    #[must_use]
    pub fn new(bodies: Arc<Bodies>, vault: Vault, directory: Directory) -> Self {
        Self { spools: Spools { bodies, vault }, directory }
    }

    /// Whether there is anything to open with, or to judge by.
    #[must_use]
    pub fn is_furnished(&self) -> bool {
        let has_roots = !self.directory.settings().trust.roots.is_empty();
        has_roots || !self.directory.settings().tunnels.is_empty() || self.has_keys()
    }

    /// Whether any key is ours.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.directory.own().iter().next().is_some()
    }

    /// Opens a kept message whose content may have `limit` octets.
    ///
    /// # Errors
    /// [`OpeningFault`]: nothing is known yet.
    pub async fn open(&self, body: &BodyRef, limit: u64) -> Result<Opening, OpeningFault> {
        let mut work = Work {
            opener: self,
            own: self.directory.own(),
            limit,
            known: Vec::new(),
            seals: Vec::new(),
            signed: Vec::new(),
            openers: Vec::new(),
        };
        match timeout(PATIENCE, work.open(body)).await {
            Ok(Ok(unwrapped)) if unwrapped.content.is_some() => Ok(Opening::Opened(Box::new(unwrapped))),
            Ok(Ok(unwrapped)) => Ok(Opening::Stays(Box::new(unwrapped))),
            Ok(Err(Stop::Fault(fault))) => Err(fault),
            Ok(Err(Stop::NoKey(ids))) => Ok(Opening::NoKey(ids)),
            // Nothing of it was sealed to us, as far as it could be read: its reader may make more of it.
            Ok(Err(Stop::CannotBeOpened)) if work.openers.is_empty() => Ok(Opening::Malformed),
            Ok(Err(Stop::CannotBeOpened)) | Err(_) => Ok(Opening::CannotBeOpened),
        }
    }
}

impl Work<'_> {
    async fn open(&mut self, body: &BodyRef) -> Result<Unwrapped, Stop> {
        let spools = self.opener.spools.clone();
        let (outer, outer_length) = header_of(&mut spools.read(body, 0).await?).await?.ok_or(Stop::CannotBeOpened)?;
        self.known = self.known_of(&outer)?;
        let mut content: Option<Spooled> = None;
        let mut signed_part: Option<Header> = None;
        for layer in 0.. {
            let header = content.as_ref().map_or(&outer, |content| &content.header);
            let entity = match Entity::of(header) {
                Ok(Some(entity)) => entity,
                Ok(None) => break,
                Err(_) => return Err(Stop::CannotBeOpened),
            };
            if layer == LAYERS {
                return Err(Stop::CannotBeOpened);
            }
            let mut from = match &content {
                Some(content) => spools.read_prepared(&content.body, content.header_length).await?,
                None => spools.read(body, outer_length).await?,
            };
            let next = match &entity.kind {
                EntityKind::LoneSignature => None,
                EntityKind::Cms(_) => self.cms(&entity, &mut from).await?,
                EntityKind::MultipartSigned { boundary, micalg } => {
                    let part = self.multipart(boundary, micalg, &mut from).await?;
                    let is_sealed_within =
                        matches!(Entity::of(&part.header), Ok(Some(Entity { kind: EntityKind::Cms(_), .. })));
                    if is_sealed_within {
                        Some(part)
                    } else {
                        signed_part = Some(part.header);
                        None
                    }
                }
            };
            match next {
                Some(next) => content = Some(next),
                None => break,
            }
        }
        self.finish((outer, outer_length), content, signed_part).await
    }

    /// Reads one layer of CMS; none if it has no content to take out: certificates alone.
    async fn cms(&mut self, entity: &Entity, from: &mut SpoolReader) -> Result<Option<Spooled>, Stop> {
        let mut into = self.opener.spools.begin(self.limit)?;
        let mut reader = LayerReader::new(self.limit);
        let mut decoder = BodyDecoder::new(entity.encoding);
        let mut decoded = Zeroizing::new(Vec::new());
        let mut plain = Zeroizing::new(Vec::new());
        while let Some(octets) = from.next().await? {
            decoded.clear();
            decoder.push(&octets, &mut |octets| decoded.extend_from_slice(octets));
            self.feed(&mut reader, &decoded, &mut plain).await?;
            if into.write(&plain).await? == Room::None {
                return Err(Stop::CannotBeOpened);
            }
            plain.clear();
        }
        decoded.clear();
        decoder.finish(&mut |octets| decoded.extend_from_slice(octets)).map_err(malformed)?;
        self.feed(&mut reader, &decoded, &mut plain).await?;
        let layer = reader.finish(&mut plain).map_err(|_| Stop::CannotBeOpened)?;
        if into.write(&plain).await? == Room::None {
            return Err(Stop::CannotBeOpened);
        }
        match layer {
            Layer::Sealed(opened) if !is_data(opened.content_type) => return Err(Stop::CannotBeOpened),
            Layer::Sealed(_) => {
                // A signature around a seal is over what anybody may have sealed, or taken from somebody else.
                self.signed.iter_mut().for_each(|signed| signed.is_over_content = false);
            }
            Layer::Compressed => {}
            Layer::Signed(data) => {
                if data.is_certificates_only() && !data.has_content() {
                    return Ok(None);
                }
                if !data.has_content() || !is_data(data.content_type()) {
                    return Err(Stop::CannotBeOpened);
                }
                self.check(*data, None).await?;
            }
        }
        into.finish().await?.ok_or(Stop::CannotBeOpened).map(Some)
    }

    async fn feed(&mut self, reader: &mut LayerReader, octets: &[u8], plain: &mut Vec<u8>) -> Result<(), Stop> {
        let mut step = reader.push(octets, plain).map_err(|_| Stop::CannotBeOpened)?;
        while let Step::Recipients(unsealer) = step {
            let unsealer = self.unlock(unsealer).await?;
            step = reader.resume(unsealer, plain).map_err(|_| Stop::CannotBeOpened)?;
        }
        Ok(())
    }

    /// Gives the unsealer a key of ours, on a thread that may be kept busy.
    async fn unlock(&mut self, mut unsealer: Box<Unsealer>) -> Result<Box<Unsealer>, Stop> {
        let envelope = unsealer.envelope().ok_or(Stop::CannotBeOpened)?;
        let cipher = envelope.cipher();
        let found: Vec<(usize, Arc<OwnKey>)> = envelope
            .keys()
            .iter()
            .enumerate()
            .flat_map(|(place, key)| self.own.opens(key.id()).map(move |own| (place, Arc::clone(own))))
            .collect();
        if found.is_empty() {
            return Err(Stop::NoKey(envelope.keys().iter().map(|key| key.id().clone()).take(TOLD).collect()));
        }
        let tried = found.clone();
        let unlocking = tokio::task::spawn_blocking(move || {
            for (place, own) in tried.into_iter().take(TRIED) {
                if unsealer.unlock(place, &*own.key, Strictness::AllowWeak).is_ok() {
                    return Some((unsealer, own));
                }
            }
            None
        });
        let Ok(Some((unsealer, own))) = unlocking.await else { return Err(Stop::CannotBeOpened) };
        self.seals.push(SealReport {
            cipher,
            is_to_domain: own.scope.is_domain(),
            opened_by: own.certificate().map(Certificate::fingerprint).unwrap_or_default(),
        });
        self.openers.push(found.into_iter().map(|(_, own)| own).collect());
        Ok(unsealer)
    }

    /// Reads the body of a `multipart/signed`, and gives the part that is signed.
    async fn multipart(&mut self, boundary: &[u8], micalg: &str, from: &mut SpoolReader) -> Result<Spooled, Stop> {
        let mut into = self.opener.spools.begin(self.limit)?;
        let mut multipart = SignedMultipart::new(boundary, micalg);
        let mut content = Zeroizing::new(Vec::new());
        while let Some(octets) = from.next().await? {
            multipart.push(&octets, &mut |octets| content.extend_from_slice(octets)).map_err(malformed)?;
            if into.write(&content).await? == Room::None {
                return Err(Stop::CannotBeOpened);
            }
            content.clear();
        }
        let signature = multipart.finish(&mut |octets| content.extend_from_slice(octets)).map_err(malformed)?;
        into.write(&content).await?;
        let DetachedSignature { content, data } = signature;
        self.check(data, Some(content)).await?;
        into.finish().await?.ok_or(Stop::CannotBeOpened)
    }

    /// Checks signatures, on a thread that may be kept busy.
    async fn check(&mut self, data: SignedData, detached: Option<Digested>) -> Result<(), Stop> {
        let known = self.known.clone();
        let checking = tokio::task::spawn_blocking(move || {
            let found = match &detached {
                Some(content) => data.verify_detached(content, &known, STRICTNESS),
                None => data.verify(&known, STRICTNESS),
            };
            Signed::check(&data, found)
        });
        self.signed.push(checking.await.map_err(|_| Stop::CannotBeOpened)?);
        Ok(())
    }

    /// Certificates of the author, and of his domain, that are at hand: some sign without sending theirs along.
    fn known_of(&self, outer: &Header) -> Result<Vec<Certificate>, Stop> {
        let Some(author) = author(outer) else { return Ok(Vec::new()) };
        let mut known = self.opener.directory.candidates(&Scope::Domain(author.domain().clone()))?;
        known.extend(self.opener.directory.candidates(&Scope::Mailbox(author))?);
        Ok(known.into_iter().map(|Candidate { certificate, .. }| certificate).collect())
    }

    /// What is to be said of all signers, for this author.
    fn judged(&self, signed: &[Signed], author: Option<Address>) -> Result<Vec<SignatureReport>, StoreError> {
        let judge = |signed: &Signed| signed.judge(&self.opener.directory, author.as_ref());
        Ok(signed.iter().map(judge).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Out of all layers: the header is put together, and who signed is judged.
    async fn finish(
        &mut self,
        (outer, outer_length): (Header, u64),
        content: Option<Spooled>,
        signed_part: Option<Header>,
    ) -> Result<Unwrapped, Stop> {
        let mut describing = content.as_ref().map_or_else(|| outer.clone(), |content| content.header.clone());
        let mut skip = content.as_ref().map_or(0, |content| content.header_length);
        // The payload: what stands within all layers.
        let within = content.as_ref().map(|content| &content.header);
        let mut protected = signed_part.as_ref().and_then(Protected::of).or_else(|| within.and_then(Protected::of));
        if let (Some(kept), None) = (&content, &signed_part)
            && Protected::may_be_wrapped(&kept.header)
        {
            let mut from = self.opener.spools.read_prepared(&kept.body, kept.header_length).await?;
            if let Some((wrapped, length)) = header_of(&mut from).await?
                && let Some(found) = Protected::of_wrapped(&kept.header, &outer, &wrapped)
            {
                protected = Some(found);
                describing = wrapped;
                skip = skip.saturating_add(length);
            }
        }
        let spools = &self.opener.spools;
        let content = match content {
            Some(content) if content.has_bare_ends => {
                // What is in front is counted anew.
                let mut from = spools.read_prepared(&content.body, skip).await?;
                let mut into = spools.begin(self.limit.saturating_mul(2))?;
                skip = 0;
                let (mut canonical, mut out) = (Canonical::default(), Zeroizing::new(Vec::new()));
                while let Some(octets) = from.next().await? {
                    canonical.push(&octets, &mut out);
                    if into.write(&out).await? == Room::None {
                        return Err(Stop::CannotBeOpened);
                    }
                    out.clear();
                }
                Some((into.finish_text().await?, content.has_eight_bit))
            }
            other => other.map(|content| (content.body, content.has_eight_bit)),
        };
        let signed = std::mem::take(&mut self.signed);
        // What is neither sealed nor signed is protected by nothing.
        if self.openers.is_empty() && !signed.iter().flat_map(|signed| &signed.reports).any(SignerReport::holds) {
            protected = None;
        }
        let within = protected.as_ref().map_or(&outer, Protected::header);
        let authors_differ = !agree(&outer, within);
        let mut provenance =
            Provenance { seals: std::mem::take(&mut self.seals), signatures: self.judged(&signed, author(within))? };
        let shown = match provenance.word() {
            Some(SignatureWord::Valid) => Author::Within,
            _ if authors_differ => Author::Outside,
            _ => Author::Within,
        };
        if shown == Author::Outside {
            provenance.signatures = self.judged(&signed, author(&outer))?;
        }
        let (content, has_eight_bit) = content.map_or((None, false), |(body, eight)| (Some(body), eight));
        Ok(Unwrapped {
            is_taken_out: content.is_some(),
            content,
            skip,
            has_eight_bit,
            provenance,
            outer_length,
            outer,
            describing,
            protected,
            shown,
            authors_differ,
            openers: std::mem::take(&mut self.openers),
        })
    }
}

fn is_data(content_type: der::oid::ObjectIdentifier) -> bool {
    const DATA: der::oid::ObjectIdentifier = der::oid::ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
    content_type == DATA
}

fn malformed(_: EntityFault) -> Stop {
    Stop::CannotBeOpened
}

/// The header at the front; none if it is longer than anybody's.
async fn header_of(from: &mut SpoolReader) -> Result<Option<(Header, u64)>, SpoolFault> {
    let mut head = Head::default();
    while !head.is_whole()
        && let Some(octets) = from.next().await?
    {
        head.push(&octets);
    }
    Ok(head.finish())
}

impl From<SpoolFault> for Stop {
    fn from(fault: SpoolFault) -> Self {
        Self::Fault(match fault {
            SpoolFault::Store(fault) => OpeningFault::Store(fault),
            SpoolFault::Vault(fault) => OpeningFault::Vault(fault),
        })
    }
}

impl From<StoreError> for Stop {
    fn from(fault: StoreError) -> Self {
        Self::Fault(OpeningFault::Store(fault))
    }
}
