//! A message fit to leave.

use serde::{Deserialize, Serialize};

use crate::mail::{Domain, Envelope};
use crate::policy::{Channel, FixedKind, Means, Treatment};
use crate::sealing::content::Content;
use crate::sealing::sealer::Sealed;

/// Where a message goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextHop {
    /// The internet: `delivery.internet`.
    Internet,
    /// Our own mailboxes: `delivery.mail_server`.
    MailServer,
}

/// A message fit to leave: where to, with which envelope, made of which octets. Rows keep it locked and read it back;
/// nothing else makes one but the constructors below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    next_hop: NextHop,
    envelope: Envelope,
    content: Content,
    verified_tls: bool,
    #[serde(default)]
    is_tls_report: bool,
    /// Strangers wrote it, whoever its author says he is.
    #[serde(default)]
    is_of_strangers: bool,
    /// The domain whose tunnel it goes through.
    #[serde(default)]
    tunnel: Option<Domain>,
}

impl Outgoing {
    /// What passes as it came. `None` unless every treatment says *pass*: nobody else's plain text can get here.
    #[must_use]
    pub fn passing(treatments: &[&Treatment], next_hop: NextHop, envelope: Envelope, content: Content) -> Option<Self> {
        let all_pass = !treatments.is_empty() && treatments.iter().all(|t| matches!(t.means, Means::Pass { .. }));
        let verified_tls = treatments.iter().any(|t| matches!(t.means, Means::Pass { verified_tls: true }));
        all_pass.then_some(Self {
            next_hop,
            envelope,
            content,
            verified_tls,
            is_tls_report: false,
            is_of_strangers: false,
            tunnel: None,
        })
    }

    /// What was sealed. `None` unless every treatment says *seal*, by a channel whose recipients hold certificates.
    #[must_use]
    pub fn sealed(treatments: &[&Treatment], envelope: Envelope, sealed: &Sealed) -> Option<Self> {
        let is_sealed = |it: &&Treatment| matches!(it.means, Means::Seal(Channel::Tunnel | Channel::Personal));
        let by_tunnel = treatments.iter().all(|it| it.means == Means::Seal(Channel::Tunnel));
        let domain = envelope.recipients.first().map(|recipient| recipient.address.domain().clone());
        (!treatments.is_empty() && treatments.iter().all(is_sealed)).then(|| Self {
            next_hop: NextHop::Internet,
            envelope,
            content: sealed.content(),
            verified_tls: false,
            is_tls_report: false,
            is_of_strangers: false,
            tunnel: domain.filter(|_| by_tunnel),
        })
    }

    /// What sealgate wrote itself: a notice, a receipt, a report, an answer on its way to its department.
    #[must_use]
    pub fn written(kind: FixedKind, envelope: Envelope, content: Content) -> Self {
        let next_hop = match kind {
            FixedKind::Notice | FixedKind::AutoReply | FixedKind::ReportOutside | FixedKind::TlsReport => {
                NextHop::Internet
            }
            FixedKind::Receipt | FixedKind::Report | FixedKind::Answer | FixedKind::Opened => NextHop::MailServer,
        };
        let is_tls_report = kind == FixedKind::TlsReport;
        Self { next_hop, envelope, content, verified_tls: false, is_tls_report, is_of_strangers: false, tunnel: None }
    }

    /// The domain whose tunnel it goes through, if any.
    #[must_use]
    pub fn tunnel(&self) -> Option<&Domain> {
        self.tunnel.as_ref()
    }

    /// Whether it is a report on TLS.
    #[must_use]
    pub fn is_tls_report(&self) -> bool {
        self.is_tls_report
    }

    /// The same, of strangers or not: nobody signs what they wrote.
    #[must_use]
    pub fn of_strangers(self, is_of_strangers: bool) -> Self {
        Self { is_of_strangers, ..self }
    }

    /// Whether strangers wrote it.
    #[must_use]
    pub fn is_of_strangers(&self) -> bool {
        self.is_of_strangers
    }

    /// Where it goes next.
    #[must_use]
    pub fn next_hop(&self) -> NextHop {
        self.next_hop
    }

    /// Its envelope.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Its octets.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Whether it may only go through a channel whose other end was verified.
    #[must_use]
    pub fn verified_tls(&self) -> bool {
        self.verified_tls
    }
}
