//! Who a message from the internet is from, as far as it can be known when it has come.

use crate::flow::house::House;
use crate::flow::seal::Seal;
use crate::flow::settings::Settings;
use crate::mail::{Domain, Envelope, Header};
use crate::policy::Facts;
use crate::queue::{Origin, Peer, ReceptionError};
use crate::sender_auth::{BodyHashes, Chain, Hand, Ruling, authentication_results, told, with_results};

/// What was found out about who a message is from.
#[derive(Default)]
pub(crate) struct Checked {
    /// The field that tells of it, with its CRLF.
    pub(crate) field: String,
    /// Its envelope sender is who it says: only then may it be told what became of the message.
    pub(crate) sender_is_proven: bool,
    /// It is in the name of an author of ours, and nothing proves that.
    pub(crate) author_is_unproven: bool,
    /// What a seal would say.
    pub(crate) seal: Option<Seal>,
}

impl Checked {
    /// The same, and that sealed parts stand in it beside others: these are not opened.
    pub(crate) fn with_closed_parts(self, host: &Domain, origin: Origin, facts: &Facts) -> Self {
        let is_sealed =
            |media: &String| matches!(media.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime");
        if origin != Origin::Inbound || !facts.media_types.iter().any(is_sealed) {
            return self;
        }
        let value = self.field.split_once(':').map(|(_, value)| value).unwrap_or_default();
        let told = ["smime=neutral (a part beside others is not opened)".to_owned()];
        Self { field: format!("Authentication-Results: {}\r\n", with_results(value.as_bytes(), host, &told)), ..self }
    }
}

impl House {
    /// Finds out who mail from the internet is from, and refuses what its author's domain wants refused.
    pub(crate) async fn results_of_checks(
        &self,
        settings: &Settings,
        peer: &Peer,
        envelope: &Envelope,
        header: &Header,
        hashes: BodyHashes,
    ) -> Result<Checked, ReceptionError> {
        let host = &settings.hostname;
        // What is our own has been looked at before, and its address says nothing of the author's.
        let checks = self.checks.as_ref().filter(|_| !settings.is_own_peer(peer.ip));
        let Some(checks) = checks else {
            return Ok(Checked { field: authentication_results(host, &[]), ..Checked::default() });
        };
        let body = hashes.finish();
        let hand = Hand { ip: peer.ip, helo: &peer.helo, sender: &envelope.sender, header, body: &body };
        let proof = checks.prove(host, hand).await;
        let ruling = if settings.dmarc_refuses { proof.ruling(&settings.trusted_sealers) } else { Ruling::Take };
        match ruling {
            Ruling::Take => Ok(Checked {
                field: proof.field(host),
                sender_is_proven: proof.is_of_sender(),
                author_is_unproven: proof.lacks_author_of(&self.signers.now().ours),
                seal: Chain::to_go_on(proof.arc.status).map(|chain| Seal {
                    results: told(host, &proof.results()),
                    chain,
                    body: body.relaxed(),
                }),
            }),
            Ruling::Refuse(status, text) | Ruling::Defer(status, text) => {
                tracing::info!(status, "a message was refused because of who it says it is from");
                Err(ReceptionError::Refused { status, text })
            }
        }
    }
}
