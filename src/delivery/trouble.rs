//! The failure policy, all of it, by scope: session, site, message, recipient.
//!
//! | scope | what happened | what becomes of the recipients |
//! |---|---|---|
//! | session | connection lost, silence, garbage, TLS | all not yet settled: deferred |
//! | site | refused at greeting, EHLO or STARTTLS, `421`, or sign-on asked for; whatever the class | all not yet settled: deferred |
//! | message | refused at MAIL, DATA or the final dot | all of this message: by class |
//! | recipient | refused at RCPT, or behind the dot over LMTP | this one: by class |
//!
//! The next hop is one the operator named. A `5yz` that is not about a message says that the two are set up wrong, so mail
//! waits for somebody to set it right, and expires if nobody does.

use crate::delivery::error::{SessionError, Step};
use crate::delivery::outcome::{Blame, Diagnosis, bounded};
use crate::smtp::{Answer, EnhancedStatus};

/// Congestion (RFC 3463 §3.5). With ourselves to blame: the destination was not even asked.
const CROWDED: EnhancedStatus = EnhancedStatus::new(4, 4, 5);

/// No TLS, or none that proves what it has to (RFC 3463 §3.8). With the peer to blame: found by us, not said by it.
const UNPROVEN: EnhancedStatus = EnhancedStatus::new(4, 7, 5);

/// REQUIRETLS is not offered (RFC 8689 §4.1), with the peer to blame: found by us, not said by it.
const PROMISES_NO_TLS: EnhancedStatus = EnhancedStatus::new(5, 7, 30);

/// What the next hop cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incapable {
    /// The sender's wish for TLS all the way (RFC 8689 §4.1).
    OfRequireTls,
    /// The message is over its SIZE (RFC 1870 §6.1).
    OfSize,
    /// Eight-bit octets (RFC 6152 §3).
    OfEightBit,
    /// Header fields or sender in UTF-8 (RFC 6531 §3.5).
    OfUtf8,
    /// This recipient's address in UTF-8.
    OfUtf8Recipient,
}

/// Why there was no way to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoWay {
    /// Verified TLS or nothing, and the smarthost is not known to enforce it.
    SmarthostVerifiesNothing,
    /// Verified TLS or nothing, and the next hop configured for the domain need not prove itself.
    RouteVerifiesNothing,
    /// Verified TLS or nothing, and nothing proves who takes the mail.
    VerifiedTls,
    /// Too many messages are on their way to the domain already.
    Crowded,
    /// The domain's hosts were not there of late, and are left alone for a while.
    Resting,
    /// The domain does not exist.
    NoSuchDomain,
    /// The domain says that it takes no mail (RFC 7505).
    TakesNoMail,
    /// No host of the domain has an address.
    NoAddress,
    /// The domain's mail would come back to us.
    Ourselves,
    /// The addresses of the domain's hosts are not in the open internet.
    Inside,
    /// The domain's MTA-STS policy does not name this host.
    NotInPolicy,
    /// What is remembered of the domain's MTA-STS policy cannot be read.
    PolicyIsUnknown(String),
    /// The name servers do not answer, or somebody changed what they said.
    NameServers(String),
}

impl NoWay {
    /// Whether another attempt will do no better.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NoSuchDomain | Self::TakesNoMail | Self::NoAddress | Self::Ourselves | Self::Inside => true,
            Self::Crowded
            | Self::Resting
            | Self::SmarthostVerifiesNothing
            | Self::RouteVerifiesNothing
            | Self::VerifiedTls
            | Self::NotInPolicy
            | Self::PolicyIsUnknown(_)
            | Self::NameServers(_) => false,
        }
    }
}

/// Scope session, and site where the error says so: all recipients not yet settled.
#[must_use]
pub fn session(error: &SessionError, remote: &str) -> Diagnosis {
    let (blame, status) = match error {
        SessionError::HostUnreachable(_) => (Blame::Peer, EnhancedStatus::new(4, 4, 1)),
        SessionError::PeerSilent(_)
        | SessionError::AttemptTooLong(_)
        | SessionError::PeerClosed(_)
        | SessionError::ConnectionBroke(..) => (Blame::Peer, EnhancedStatus::new(4, 4, 2)),
        SessionError::NoConnectionFree => (Blame::Ourselves, CROWDED),
        SessionError::PeerSpeaksNoSmtp(..) | SessionError::PeerIsOutOfStep => {
            (Blame::Peer, EnhancedStatus::new(4, 5, 0))
        }
        SessionError::PeerRefusedSession(_, answer) => {
            (Blame::Peer, answer.status().unwrap_or(EnhancedStatus::new(4, 3, 0)).with_class(4))
        }
        SessionError::PeerOffersNoTls | SessionError::TlsFailed(_) | SessionError::PeerInjectedBehindStartTls => {
            (Blame::Peer, UNPROVEN)
        }
        SessionError::PeerOffersNoLogin => (Blame::Peer, EnhancedStatus::new(4, 7, 4)),
        SessionError::PeerIsOurselves => (Blame::Recipient, EnhancedStatus::new(5, 4, 6)),
        SessionError::MessageUnreadable(_) => (Blame::Ourselves, EnhancedStatus::new(4, 3, 0)),
        SessionError::MessageHasBareLineEnd(_) => (Blame::Message, EnhancedStatus::new(5, 6, 0)),
    };
    Diagnosis {
        blame,
        status,
        reason: error.to_string(),
        reply: error.answer().map(bounded),
        remote: Some(remote.to_owned()),
    }
}

/// Whether a refusal at MAIL, RCPT, DATA or the dot is about the whole session: `421` (RFC 5321 §3.8), or
/// sign-on and encryption asked for (RFC 4954 §6, RFC 3207 §4), which no other message will fare better with.
#[must_use]
pub fn is_about_session(answer: &Answer) -> bool {
    matches!(answer.code(), 421 | 530 | 534 | 535 | 538)
}

/// Scope message: a refusal of MAIL, DATA or the final dot.
#[must_use]
pub fn message(step: Step, answer: &Answer, remote: &str) -> Diagnosis {
    refused(Blame::Message, format!("the peer refused the message at {step}"), answer, remote)
}

/// Scope recipient: a refusal of RCPT, or behind the dot over LMTP (RFC 2033 §4.2).
#[must_use]
pub fn recipient(step: Step, answer: &Answer, remote: &str) -> Diagnosis {
    let mut diagnosis = refused(Blame::Recipient, format!("the peer refused the recipient at {step}"), answer, remote);
    if step == Step::Rcpt && is_too_many(answer) {
        diagnosis.status = EnhancedStatus::new(4, 5, 3);
    }
    diagnosis
}

/// `452` at RCPT, or `552` from an old server, means that this transaction has recipients enough; the rest
/// goes in a further one (RFC 5321 §4.5.3.1.10).
#[must_use]
pub fn is_too_many(answer: &Answer) -> bool {
    let status = answer.status().map(|status| status.with_class(4));
    let agrees = status.is_none() || status == Some(EnhancedStatus::new(4, 5, 3));
    matches!(answer.code(), 452 | 552) && agrees
}

/// Whether a recipient only has to wait for the next transaction: see [`is_too_many`].
#[must_use]
pub fn is_crowded_out(diagnosis: &Diagnosis) -> bool {
    diagnosis.blame == Blame::Recipient && diagnosis.status == EnhancedStatus::new(4, 5, 3)
}

/// Found before a word about the message was said: the peer lacks what it needs.
#[must_use]
pub fn incapable(what: Incapable, remote: &str) -> Diagnosis {
    let (blame, status, reason) = match what {
        Incapable::OfRequireTls => {
            (Blame::Peer, PROMISES_NO_TLS, "the sender requires TLS all the way and the peer does not promise it")
        }
        Incapable::OfSize => {
            (Blame::Message, EnhancedStatus::new(5, 3, 4), "the message is larger than the peer takes")
        }
        Incapable::OfEightBit => {
            (Blame::Message, EnhancedStatus::new(5, 6, 3), "the message has eight-bit text and the peer takes seven")
        }
        Incapable::OfUtf8 => {
            (Blame::Message, EnhancedStatus::new(5, 6, 7), "the message needs SMTPUTF8 and the peer has it not")
        }
        Incapable::OfUtf8Recipient => {
            (Blame::Recipient, EnhancedStatus::new(5, 6, 7), "the address needs SMTPUTF8 and the peer has it not")
        }
    };
    Diagnosis { blame, status, reason: reason.to_owned(), reply: None, remote: Some(remote.to_owned()) }
}

/// Whether another host of the domain may promise TLS all the way, which this one did not (RFC 8689 §4.1).
#[must_use]
pub fn may_be_promised_elsewhere(diagnosis: &Diagnosis) -> bool {
    diagnosis.blame == Blame::Peer && diagnosis.status == PROMISES_NO_TLS
}

/// Whether the peer was there and did not prove what this message asks for.
#[must_use]
pub fn lacks_proof(diagnosis: &Diagnosis) -> bool {
    diagnosis.blame == Blame::Peer && diagnosis.status == UNPROVEN && diagnosis.reply.is_none()
}

/// Whether a recipient only has to wait for its turn: see [`NoWay::Crowded`].
#[must_use]
pub fn is_turn_to_come(diagnosis: &Diagnosis) -> bool {
    diagnosis.blame == Blame::Ourselves && diagnosis.status == CROWDED
}

/// Found before anybody was called.
#[must_use]
pub fn no_way(why: &NoWay) -> Diagnosis {
    let (blame, status, reason) = match why {
        NoWay::SmarthostVerifiesNothing => (
            Blame::Ourselves,
            EnhancedStatus::new(4, 7, 10),
            "verified TLS is required and the smarthost is not known to enforce it".to_owned(),
        ),
        NoWay::RouteVerifiesNothing => (
            Blame::Ourselves,
            EnhancedStatus::new(4, 7, 10),
            "verified TLS is required and the domain's route does not ask for it".to_owned(),
        ),
        NoWay::VerifiedTls => (
            Blame::Peer,
            EnhancedStatus::new(4, 7, 10),
            "verified TLS is required, and nothing proves who takes the mail".to_owned(),
        ),
        NoWay::Crowded => {
            (Blame::Ourselves, CROWDED, "too many messages are on their way to the domain already".to_owned())
        }
        NoWay::Resting => (
            Blame::Ourselves,
            CROWDED,
            "the domain's mail hosts did not answer of late, and are called again in a while".to_owned(),
        ),
        NoWay::NoSuchDomain => (Blame::Recipient, EnhancedStatus::new(5, 1, 2), "the domain does not exist".to_owned()),
        NoWay::TakesNoMail => (Blame::Recipient, EnhancedStatus::new(5, 1, 10), "the domain takes no mail".to_owned()),
        NoWay::NoAddress => {
            (Blame::Recipient, EnhancedStatus::new(5, 4, 4), "no mail host of the domain has an address".to_owned())
        }
        NoWay::Ourselves => {
            (Blame::Recipient, EnhancedStatus::new(5, 4, 6), "mail for the domain would come back to us".to_owned())
        }
        NoWay::Inside => (
            Blame::Recipient,
            EnhancedStatus::new(5, 4, 4),
            "no mail host of the domain has an address in the open internet".to_owned(),
        ),
        NoWay::NotInPolicy => (
            Blame::Peer,
            EnhancedStatus::new(4, 7, 5),
            "the domain's MTA-STS policy names none of its mail hosts".to_owned(),
        ),
        NoWay::PolicyIsUnknown(fault) => (Blame::Ourselves, EnhancedStatus::new(4, 3, 0), fault.clone()),
        NoWay::NameServers(fault) => (Blame::Peer, EnhancedStatus::new(4, 4, 3), fault.clone()),
    };
    Diagnosis { blame, status, reason, reply: None, remote: None }
}

fn refused(blame: Blame, reason: String, answer: &Answer, remote: &str) -> Diagnosis {
    let class = if answer.is_permanent() { 5 } else { 4 };
    Diagnosis {
        blame,
        status: answer.status().unwrap_or(EnhancedStatus::new(class, 0, 0)).with_class(class),
        reason,
        reply: Some(bounded(answer)),
        remote: Some(remote.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use crate::delivery::trouble::*;

    fn answer(text: &str) -> Answer {
        Answer::take(&mut BytesMut::from(format!("{text}\r\n").as_str())).unwrap().unwrap()
    }

    #[test]
    fn each_scope_has_its_class() {
        let status = |diagnosis: Diagnosis| diagnosis.status.to_string();
        assert_eq!(status(message(Step::Mail, &answer("550 5.7.1 no"), "x")), "5.7.1");
        assert_eq!(status(message(Step::FinalDot, &answer("451 later"), "x")), "4.0.0");
        assert_eq!(status(recipient(Step::Rcpt, &answer("550 5.1.1 who?"), "x")), "5.1.1");
        assert_eq!(status(recipient(Step::Rcpt, &answer("552 too many"), "x")), "4.5.3");
        assert_eq!(status(recipient(Step::Rcpt, &answer("552 5.2.2 mailbox full"), "x")), "5.2.2");
        assert_eq!(status(recipient(Step::FinalDot, &answer("552 full"), "x")), "5.0.0");
        // Something that is neither yes nor no is not yet a no.
        assert_eq!(status(message(Step::Data, &answer("354 go"), "x")), "4.0.0");
    }

    #[test]
    fn a_site_that_refuses_us_for_ever_is_tried_again() {
        let error = SessionError::PeerRefusedSession(Step::Greeting, answer("554 5.7.1 go away"));
        let diagnosis = session(&error, "mx.example");
        assert!(diagnosis.is_temporary());
        assert_eq!(diagnosis.to_string(), "4.7.1 the peer refused the session at the greeting: 554 5.7.1 go away");
        assert!(is_about_session(&answer("421 4.3.2 bye")) && is_about_session(&answer("530 5.7.0 STARTTLS first")));
    }

    #[test]
    fn a_giant_reply_is_cut() {
        let answer = answer(&format!("550 {}", "å".repeat(900)));
        assert!(message(Step::Data, &answer, "x").reply.unwrap().len() <= 1_000);
    }
}
