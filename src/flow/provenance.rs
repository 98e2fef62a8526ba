//! What is told of mail that was opened: whose it is and how it came, in fields that programs and people read.

use crate::mail::{Domain, Header, HeaderEdit, QueueId, parameter, structured};
use crate::sealing::{Provenance, SignatureReport, SignatureWord, Unwrapped};
use crate::sender_auth::{claims, property, with_results};

/// The results of `smime`, one for each signer (RFC 7281).
#[must_use]
pub(crate) fn results(provenance: &Provenance) -> Vec<String> {
    if provenance.signatures.is_empty() {
        return vec!["smime=none".to_owned()];
    }
    provenance.signatures.iter().map(result).collect()
}

fn result(report: &SignatureReport) -> String {
    let word = report.word();
    let mut told = vec![format!("smime={} ({})", word.result(), comment(word))];
    if let Some(certificate) = &report.certificate {
        told.extend(report.address().map(|address| property("body.smime-identifier", &address.to_string())));
        told.push(property("body.smime-serial", &hex(certificate.serial())));
        told.push(property("body.smime-issuer", &certificate.issuer().to_string()));
    }
    told.join("\r\n\t ")
}

fn comment(word: SignatureWord) -> &'static str {
    match word {
        SignatureWord::Valid => "the author's or his domain's",
        SignatureWord::Weak => "made by weak means",
        SignatureWord::Invalid => "it does not hold",
        SignatureWord::Expired => "the certificate is out of its time",
        SignatureWord::Revoked => "the certificate is revoked",
        SignatureWord::Unchecked => "whether the certificate is revoked is not known",
        SignatureWord::Untrusted => "nobody we believe vouches for the certificate",
        SignatureWord::Mismatch => "not the author's",
        SignatureWord::Outside => "around a seal, not over the content",
    }
}

/// `X-Sealgate-Origin` of what came by S/MIME.
#[must_use]
pub(crate) fn origin(unwrapped: &Unwrapped) -> Vec<u8> {
    let provenance = &unwrapped.provenance;
    let mut words = vec![if provenance.is_tunnel() { "tunnel" } else { "smime" }.to_owned()];
    words.extend(provenance.domain().map(|domain| parameter("domain", domain.as_str())));
    words.push(parameter("signature", provenance.word().map_or("none", SignatureWord::as_str)));
    if let Some(report) = provenance.signature().filter(|report| report.certificate.is_some()) {
        words.push(parameter("signer", &report.signer()));
        let identity = report.certificate.as_ref().and_then(|certificate| certificate.subject().oces());
        words.extend(identity.map(|identity| parameter("cvr", &identity.cvr)));
    }
    words.extend(provenance.cipher().map(|cipher| parameter("encrypted", cipher.name())));
    words.extend(unwrapped.claimed_author().map(|author| parameter("claimed-author", &author)));
    structured("X-Sealgate-Origin", &words.join("; "))
}

/// The header with what was found told on top: results beside those of the door, origin, and the message's id.
#[must_use]
pub(crate) fn told(header: &Header, host: &Domain, results: &[String], origin: Option<Vec<u8>>, id: QueueId) -> Header {
    let field = header.fields().find(|field| field.is("Authentication-Results") && claims(field.value, host));
    let value = with_results(field.map(|field| field.value).unwrap_or_default(), host, results);
    let mut edit = HeaderEdit::of(header);
    edit.remove_if(|field| field.is("Authentication-Results") && claims(field.value, host));
    if let Some(origin) = origin {
        edit.prepend(structured("X-Sealgate-Message", &id.to_string()));
        edit.prepend(origin);
    }
    edit.prepend(format!("Authentication-Results: {value}\r\n").into_bytes());
    Header::new(edit.to_bytes())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
