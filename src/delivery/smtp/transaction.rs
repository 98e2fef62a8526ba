//! One mail transaction: envelope, message, and who was served.

use std::fmt::Write;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::delivery::error::{SessionError, Step};
use crate::delivery::octets::{Octets, Unreadable};
use crate::delivery::outcome::{Delivery, Diagnosis, Handover, Outcome, bounded};
use crate::delivery::route::Kind;
use crate::delivery::seven_bits::in_seven_bits;
use crate::delivery::smtp::connect::Session;
use crate::delivery::transport::Dispatch;
use crate::delivery::trouble::{self, Incapable};
use crate::mail::{DsnReturn, Recipient, ReversePath};
use crate::smtp::{Answer, Stuffer, encode_xtext};

/// Octets of the message that are sent in one go, and that one session holds in memory.
const BLOCK_OCTETS: usize = 64 * 1024;

/// What may be done with the session afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It takes another message.
    Reusable,
    /// It is out of step with us, in the middle of a message: hang up, say nothing.
    Spent,
    /// It ended.
    Ended(SessionError),
    /// It ended before the peer had accepted MAIL: had it stood idle before, another may do better at once.
    DiedUnused(SessionError),
}

/// A recipient and how far it has come.
#[derive(Debug)]
pub struct Party<'a> {
    /// Who.
    pub recipient: &'a Recipient,
    /// What became of it; `None` until that is settled.
    pub outcome: Option<Outcome>,
}

/// What the peer makes of an envelope.
enum Clearance {
    /// 354: go ahead.
    Given,
    /// Nobody to send to.
    Refused,
    /// Nobody to send to, and the peer waits for a message all the same.
    OutOfStep,
}

/// Offers the message for these recipients, once. Each of them is settled on return, unless the session died unused.
pub async fn attempt(session: &mut Session, mail: &Dispatch, parties: &mut [Party<'_>]) -> Fate {
    let (written_anew, fault) = match written_for(session, mail).await {
        Ok(written) => (written, None),
        Err(fault) => (None, Some(SessionError::MessageUnreadable(fault))),
    };
    let mail = written_anew.as_ref().unwrap_or(mail);
    let mut transaction = Transaction { session, mail, parties, is_mail_accepted: false, size: mail.size };
    let run = match fault {
        Some(fault) => Err(fault),
        None => transaction.run().await,
    };
    let error = match run {
        Ok(fate) => return fate,
        Err(error) => error,
    };
    if !transaction.is_mail_accepted && means_died_unused(&error) {
        return Fate::DiedUnused(error);
    }
    transaction.settle(&trouble::session(&error, &transaction.session.remote));
    Fate::Ended(error)
}

/// The message in seven bits, where the peer takes no more and it can be written so (RFC 6152 §3). Eight-bit text goes to
/// our own mail server whether it offers 8BITMIME or not: it is where such text comes from.
async fn written_for(session: &Session, mail: &Dispatch) -> Result<Option<Dispatch>, Unreadable> {
    let is_wanted = mail.has_eight_bit && !session.offers.eight_bit && session.kind != Kind::MailServer;
    if !is_wanted || mail.has_utf8_header {
        return Ok(None);
    }
    let seven = in_seven_bits(&mail.contents).await?;
    let signing = mail.signing.as_ref().map(|signing| Arc::new(signing.anew()));
    Ok(seven.map(|(contents, size)| Dispatch { contents, size, has_eight_bit: false, signing, ..mail.clone() }))
}

/// What a connection looks like that the peer had given up while it stood idle: gone, or a `421` and gone.
fn means_died_unused(error: &SessionError) -> bool {
    match error {
        SessionError::PeerClosed(_) | SessionError::ConnectionBroke(..) => true,
        SessionError::PeerRefusedSession(_, answer) => answer.code() == 421,
        SessionError::HostUnreachable(_)
        | SessionError::PeerSilent(_)
        | SessionError::AttemptTooLong(_)
        | SessionError::NoConnectionFree
        | SessionError::PeerSpeaksNoSmtp(..)
        | SessionError::PeerIsOutOfStep
        | SessionError::PeerIsOurselves
        | SessionError::PeerOffersNoTls
        | SessionError::TlsFailed(_)
        | SessionError::PeerInjectedBehindStartTls
        | SessionError::PeerOffersNoLogin
        | SessionError::MessageUnreadable(_)
        | SessionError::MessageHasBareLineEnd(_) => false,
    }
}

impl<'a> Party<'a> {
    /// A recipient nothing is settled about.
    pub fn new(recipient: &'a Recipient) -> Self {
        Self { recipient, outcome: None }
    }

    fn settle(&mut self, diagnosis: Diagnosis) {
        self.outcome = Some(Outcome::unserved(diagnosis));
    }
}

struct Transaction<'a, 'b> {
    session: &'a mut Session,
    mail: &'a Dispatch,
    parties: &'a mut [Party<'b>],
    is_mail_accepted: bool,
    /// Octets as they leave, for SIZE.
    size: u64,
}

impl Transaction<'_, '_> {
    async fn run(&mut self) -> Result<Fate, SessionError> {
        self.refuse_what_the_peer_cannot_carry();
        if self.parties.iter().all(|party| party.outcome.is_some()) {
            return Ok(Fate::Reusable);
        }
        // Read before MAIL is said: what cannot be read costs the peer nothing, and what is small leaves in one piece.
        let mut octets = self.open().await.map_err(SessionError::MessageUnreadable)?;
        let first = octets.next().await.map_err(SessionError::MessageUnreadable)?;
        match self.give_envelope().await? {
            Clearance::Given => self.give_message(first, octets).await,
            Clearance::Refused => Ok(Fate::Reusable),
            // A lone dot would deliver an empty message to nobody knows whom; a lost connection delivers nothing.
            Clearance::OutOfStep => Ok(Fate::Spent),
        }
    }

    /// The message as it leaves. Signed last: whatever is changed for this peer has to be changed before.
    async fn open(&mut self) -> Result<Box<dyn Octets>, Unreadable> {
        let Some(signing) = &self.mail.signing else { return self.mail.contents.open().await };
        let leaving = signing.open(self.mail.contents.as_ref()).await?;
        self.size = self.mail.size + leaving.added;
        Ok(leaving.octets)
    }

    /// A peer without 8BITMIME gets no eight-bit text, for what it would do to the eighth bit nobody knows (RFC 6152 §3).
    fn refuse_what_the_peer_cannot_carry(&mut self) {
        let (offers, mail) = (self.session.offers, self.mail);
        let is_too_large = offers.size.is_some_and(|limit| limit > 0 && mail.size > limit);
        let eight_bit_is_lost = mail.has_eight_bit && !offers.eight_bit && self.session.kind != Kind::MailServer;
        let utf8_is_lost = needs_smtputf8(mail) && !offers.smtputf8;
        // Our own mail server is where the way ends that the sender wants to be safe.
        let asks_in_vain = mail.envelope.require_tls && !offers.require_tls && self.session.kind != Kind::MailServer;
        let lacking = [
            (asks_in_vain, Incapable::OfRequireTls),
            (is_too_large, Incapable::OfSize),
            (utf8_is_lost, Incapable::OfUtf8),
            (eight_bit_is_lost, Incapable::OfEightBit),
        ];
        if let Some((_, what)) = lacking.into_iter().find(|(lacks, _)| *lacks) {
            return self.settle(&trouble::incapable(what, &self.session.remote));
        }
        let needs_utf8 = |party: &&mut Party<'_>| party.recipient.address.needs_smtputf8() && !offers.smtputf8;
        for party in self.parties.iter_mut().filter(needs_utf8) {
            party.settle(trouble::incapable(Incapable::OfUtf8Recipient, &self.session.remote));
        }
    }

    /// MAIL, RCPT and DATA, in one write where the peer allows it (RFC 2920 §3.1).
    async fn give_envelope(&mut self) -> Result<Clearance, SessionError> {
        let ahead = self.session.offers.pipelining;
        if self.session.must_reset {
            self.session.wire.unsent().extend_from_slice(b"RSET\r\n");
            answer(self.session, Step::Reset).await?;
        }
        self.session.must_reset = true;
        self.say_mail();
        if ahead {
            for party in self.parties.iter().filter(|party| party.outcome.is_none()) {
                say_rcpt(self.session, party.recipient);
            }
            self.session.wire.unsent().extend_from_slice(b"DATA\r\n");
        }
        let mail = answer(self.session, Step::Mail).await?;
        self.is_mail_accepted = mail.is_done();
        if !ahead && !self.is_mail_accepted {
            self.settle(&trouble::message(Step::Mail, &mail, &self.session.remote));
            return Ok(Clearance::Refused);
        }
        self.give_recipients(ahead).await?;
        if !self.is_mail_accepted {
            self.settle(&trouble::message(Step::Mail, &mail, &self.session.remote));
        }
        self.ask_for_data(ahead).await
    }

    async fn give_recipients(&mut self, ahead: bool) -> Result<(), SessionError> {
        for party in self.parties.iter_mut().filter(|party| party.outcome.is_none()) {
            if !ahead {
                say_rcpt(self.session, party.recipient);
            }
            let answer = answer(self.session, Step::Rcpt).await?;
            // Behind a refused MAIL the recipients are refused for its sake, and say nothing of their own.
            if self.is_mail_accepted && !answer.is_done() {
                party.settle(trouble::recipient(Step::Rcpt, &answer, &self.session.remote));
            }
        }
        Ok(())
    }

    async fn ask_for_data(&mut self, ahead: bool) -> Result<Clearance, SessionError> {
        let is_wanted = self.parties.iter().any(|party| party.outcome.is_none());
        if !ahead {
            if !is_wanted {
                return Ok(Clearance::Refused);
            }
            self.session.wire.unsent().extend_from_slice(b"DATA\r\n");
        }
        let data = answer(self.session, Step::Data).await?;
        match (data.code(), is_wanted) {
            (354, true) => Ok(Clearance::Given),
            (354, false) => Ok(Clearance::OutOfStep),
            _ => {
                self.settle(&trouble::message(Step::Data, &data, &self.session.remote));
                Ok(Clearance::Refused)
            }
        }
    }

    /// The message, block by block, and the final dot. Whatever goes wrong before the dot, the dot is not sent.
    async fn give_message(&mut self, first: Option<Bytes>, mut octets: Box<dyn Octets>) -> Result<Fate, SessionError> {
        self.session.wire.begin_message();
        let mut stuffer = Stuffer::default();
        let mut chunk = first;
        while let Some(whole) = chunk {
            for block in whole.chunks(BLOCK_OCTETS) {
                stuffer.push(block, self.session.wire.unsent())?;
                if self.session.wire.unsent().len() >= BLOCK_OCTETS
                    && let Some(early) = send_block(self.session, false).await?
                {
                    return self.give_up_on(&early);
                }
            }
            chunk = octets.next().await.map_err(SessionError::MessageUnreadable)?;
        }
        stuffer.finish(self.session.wire.unsent())?;
        match send_block(self.session, true).await? {
            Some(early) => self.give_up_on(&early),
            None => self.hear_verdicts().await,
        }
    }

    /// The peer spoke up in the middle of the message: a refusal it did not want to wait with.
    fn give_up_on(&mut self, early: &Answer) -> Result<Fate, SessionError> {
        if early.code() < 400 {
            return Err(SessionError::PeerIsOutOfStep);
        }
        if trouble::is_about_session(early) {
            return Err(SessionError::PeerRefusedSession(Step::Content, early.clone()));
        }
        self.settle(&trouble::message(Step::Content, early, &self.session.remote));
        Ok(Fate::Spent)
    }

    /// What the peer says to the dot: once, or once for each accepted recipient over LMTP (RFC 2033 §4.2). Where the
    /// connection ends first, the rest is deferred: they may get the message twice, but never not at all.
    async fn hear_verdicts(&mut self) -> Result<Fate, SessionError> {
        let handover = match (self.session.is_lmtp, self.session.offers.dsn) {
            (true, _) => Handover::Final,
            (false, true) => Handover::WishesPassedOn,
            (false, false) => Handover::Relayed,
        };
        let mut verdict: Option<Answer> = None;
        for party in self.parties.iter_mut().filter(|party| party.outcome.is_none()) {
            let said = match verdict {
                Some(said) if !self.session.is_lmtp => said,
                Some(_) | None => answer(self.session, Step::FinalDot).await?,
            };
            let remote = &self.session.remote;
            if said.is_done() {
                let delivery = Delivery { handover, remote: remote.clone(), reply: bounded(&said) };
                party.outcome = Some(Outcome::Delivered(delivery));
            } else if self.session.is_lmtp {
                party.settle(trouble::recipient(Step::FinalDot, &said, remote));
            } else {
                party.settle(trouble::message(Step::FinalDot, &said, remote));
            }
            verdict = Some(said);
        }
        self.session.must_reset = false;
        Ok(Fate::Reusable)
    }

    fn settle(&mut self, diagnosis: &Diagnosis) {
        for party in self.parties.iter_mut().filter(|party| party.outcome.is_none()) {
            party.settle(diagnosis.clone());
        }
    }

    fn say_mail(&mut self) {
        let (offers, mail) = (self.session.offers, self.mail);
        let mut line = format!("MAIL FROM:{}", mail.envelope.sender);
        if offers.size.is_some() {
            _ = write!(line, " SIZE={}", self.size);
        }
        if offers.eight_bit && mail.has_eight_bit {
            line.push_str(" BODY=8BITMIME");
        }
        let has_utf8_recipient = self.parties.iter().any(|party| party.recipient.address.needs_smtputf8());
        if offers.smtputf8 && (needs_smtputf8(mail) || mail.envelope.smtputf8 || has_utf8_recipient) {
            line.push_str(" SMTPUTF8");
        }
        if offers.require_tls && mail.envelope.require_tls {
            line.push_str(" REQUIRETLS");
        }
        if offers.dsn {
            match mail.envelope.dsn_return {
                Some(DsnReturn::Full) => line.push_str(" RET=FULL"),
                Some(DsnReturn::Headers) => line.push_str(" RET=HDRS"),
                None => {}
            }
            if let Some(id) = &mail.envelope.envelope_id {
                _ = write!(line, " ENVID={}", encode_xtext(id));
            }
        }
        say(self.session.wire.unsent(), &line);
    }
}

/// Whether the message as such needs SMTPUTF8 (RFC 6531 §3.4); that a client said so is not enough.
fn needs_smtputf8(mail: &Dispatch) -> bool {
    let sender = match &mail.envelope.sender {
        ReversePath::Null => false,
        ReversePath::Mailbox(address) => address.needs_smtputf8(),
    };
    mail.has_utf8_header || sender
}

fn say_rcpt(session: &mut Session, recipient: &Recipient) {
    let mut line = format!("RCPT TO:<{}>", recipient.address);
    if session.offers.dsn {
        if let Some(notify) = recipient.notify {
            let wishes = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
            let wishes: Vec<&str> = wishes.into_iter().filter(|(wanted, _)| *wanted).map(|(_, word)| word).collect();
            _ = write!(line, " NOTIFY={}", if wishes.is_empty() { "NEVER".to_owned() } else { wishes.join(",") });
        }
        if let Some((kind, original)) = recipient.original.as_deref().and_then(|text| text.split_once(';')) {
            _ = write!(line, " ORCPT={};{}", encode_xtext(kind), encode_xtext(original));
        }
    }
    say(session.wire.unsent(), &line);
}

fn say(unsent: &mut BytesMut, line: &str) {
    unsent.extend_from_slice(line.as_bytes());
    unsent.extend_from_slice(b"\r\n");
}

/// The next reply, unless it ends the session.
pub async fn answer(session: &mut Session, step: Step) -> Result<Answer, SessionError> {
    let answer = session.wire.answer(step).await?;
    if trouble::is_about_session(&answer) {
        return Err(SessionError::PeerRefusedSession(step, answer));
    }
    Ok(answer)
}

/// Sends what is unsent of the message; `Some` where the peer did not wait for the end of it.
async fn send_block(session: &mut Session, is_last: bool) -> Result<Option<Answer>, SessionError> {
    while !session.wire.unsent().is_empty() {
        let sent = session.wire.flush(Step::Content).await;
        if sent.is_err() {
            session.wire.hear_last_words();
        }
        let may_be_verdict = is_last && session.wire.unsent().is_empty();
        if !may_be_verdict && let Some(early) = session.wire.take_answer(Step::Content)? {
            return Ok(Some(early));
        }
        sent?;
    }
    Ok(None)
}
