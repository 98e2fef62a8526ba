//! Seals a kept message into another kept body: nothing of it lies on the disk in the clear, and little of it in memory.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::cms::{Certificate, CmsError, Seconds};
use crate::directory::{OwnKey, id_of};
use crate::mail::Header;
use crate::sealing::content::Content;
use crate::sealing::fault::SealFault;
use crate::sealing::locked::{Reading, Writing};
use crate::sealing::protect::{Face, Protected};
use crate::sealing::wish::{SealWish, way_name};
use crate::sealing::wrap::{Plan, Wrapper};
use crate::store::{Bodies, PreparedBody};
use crate::vault::Vault;

/// Pieces that wait between those who read, seal and keep.
const PIECES: usize = 2;

/// Seals what is kept. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    bodies: Arc<Bodies>,
    vault: Vault,
}

/// What is to be sealed, for whom, and in whose name.
pub struct SealOrder<'m> {
    /// The message, directives and marks off.
    pub message: &'m Content,
    /// What its outside says.
    pub face: Face,
    /// The certificates, each of which opens it.
    pub certificates: Vec<Certificate>,
    /// How their owner wants it.
    pub wish: SealWish,
    /// Who signs; nobody in the name of strangers.
    pub signer: Option<Arc<OwnKey>>,
    /// The time.
    pub at: Seconds,
}

/// A message that is sealed, and kept as such.
pub struct Sealed {
    body: PreparedBody,
    head: Vec<u8>,
    addressees: HashSet<String>,
    told: String,
}

/// What goes to who seals.
enum Piece {
    Octets(Zeroizing<Vec<u8>>),
    End,
}

impl Sealer {
    /// Over these bodies, under this lock.
    #[must_use]
    pub fn new(bodies: Arc<Bodies>, vault: Vault) -> Self {
        Self { bodies, vault }
    }

    /// Signs and seals a message.
    ///
    /// # Errors
    /// [`SealFault`]; nothing is kept then.
    pub async fn seal(&self, order: SealOrder<'_>) -> Result<Sealed, SealFault> {
        let cipher = order.wish.cipher(&order.certificates);
        let recipients = order.wish.seal_to(&order.certificates, cipher);
        let first = recipients.first().ok_or(CmsError::Unexpected("no certificate that can be sealed to"))?;
        let told = [
            format!("certificate={}", names(recipients.iter().map(|to| &to.certificate))),
            format!("cipher={}", cipher.name()),
            format!("key={}", way_name(&first.way)),
            match order.signer.as_ref().and_then(|own| own.certificate()) {
                Some(certificate) => format!("signer={}", id_of(certificate)),
                None => "signer=none".to_owned(),
            },
        ];
        let plan = Plan { cipher, recipients, signer: order.signer, at: order.at };
        let kind = plan.kind();
        let (pieces, to_seal) = mpsc::channel(PIECES);
        let (sealed, to_keep) = mpsc::channel(PIECES);
        // Ciphers and our key take their time: not that of those who carry other mail.
        let work = tokio::task::spawn_blocking(move || wrap(&plan, to_seal, &sealed));
        let (read, kept) = tokio::join!(self.feed(order.message, &order.face, pieces), self.keep(to_keep));
        let done = work.await.map_err(|_| SealFault::BrokeOff)?;
        // Who stopped first knows why.
        let (protected, addressees) = match (read, done) {
            (Err(fault), _) if !matches!(fault, SealFault::BrokeOff) => return Err(fault),
            (_, Err(fault)) => return Err(kept.err().unwrap_or(fault)),
            (read, Ok(())) => read?,
        };
        Ok(Sealed { body: kept?, head: protected.outside(kind), addressees, told: told.join(" ") })
    }

    /// Reads the message, and gives what is to be sealed to who seals.
    async fn feed(
        &self,
        message: &Content,
        face: &Face,
        pieces: mpsc::Sender<Piece>,
    ) -> Result<(Protected, HashSet<String>), SealFault> {
        let gone = |_| SealFault::BrokeOff;
        let mut reading = Reading::of(message, &self.bodies, &self.vault).await?;
        let (header, rest) = reading.header().await?;
        let protected = Protected::of(&header, face);
        for octets in [Zeroizing::new(protected.inside.clone()), rest] {
            pieces.send(Piece::Octets(octets)).await.map_err(gone)?;
        }
        while let Some(octets) = reading.next().await? {
            pieces.send(Piece::Octets(octets)).await.map_err(gone)?;
        }
        pieces.send(Piece::End).await.map_err(gone)?;
        Ok((protected, addressees(&header)))
    }

    async fn keep(&self, mut sealed: mpsc::Receiver<Vec<u8>>) -> Result<PreparedBody, SealFault> {
        let mut writing = Writing::begin(&self.bodies, &self.vault)?;
        while let Some(octets) = sealed.recv().await {
            writing.write(&octets).await?;
        }
        writing.finish().await
    }
}

fn wrap(plan: &Plan, mut pieces: mpsc::Receiver<Piece>, sealed: &mpsc::Sender<Vec<u8>>) -> Result<(), SealFault> {
    let pass_on = |out: &mut Vec<u8>| match out.is_empty() {
        true => Ok(()),
        false => sealed.blocking_send(std::mem::take(out)).map_err(|_| SealFault::BrokeOff),
    };
    let mut out = Vec::new();
    let mut wrapper = Wrapper::begin(plan, &mut out)?;
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Octets(octets)) => wrapper.push(&octets, &mut out)?,
            Some(Piece::End) => break,
            None => return Err(SealFault::BrokeOff),
        }
        pass_on(&mut out)?;
    }
    wrapper.finish(&mut out)?;
    pass_on(&mut out)
}

impl Sealed {
    /// The message as it leaves.
    pub(crate) fn content(&self) -> Content {
        Content {
            head: self.head.clone(),
            skip: 0,
            body: self.body.body_ref().clone(),
            has_eight_bit: false,
            has_utf8_header: !self.head.is_ascii(),
        }
    }

    /// Whom the message names as its recipients, folded.
    #[must_use]
    pub fn addressees(&self) -> &HashSet<String> {
        &self.addressees
    }

    /// By which certificates and algorithms, for the records.
    #[must_use]
    pub fn told(&self) -> &str {
        &self.told
    }

    /// The kept octets, to be recorded with whatever names them.
    #[must_use]
    pub fn into_body(self) -> PreparedBody {
        self.body
    }
}

fn addressees(header: &Header) -> HashSet<String> {
    let all = ["To", "Cc", "Resent-To", "Resent-Cc"].into_iter().flat_map(|name| header.addresses(name));
    all.map(|(_, address)| address.folded()).collect()
}

fn names<'c>(certificates: impl Iterator<Item = &'c Certificate>) -> String {
    certificates.map(id_of).collect::<Vec<_>>().join(",")
}
