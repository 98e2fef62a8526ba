//! Asking our own mail server about a recipient: MAIL, RCPT and RSET, never a message.
//!
//! What it says to RCPT is what it would say if the message were there, so whoever it refuses is refused at our door, and
//! nobody has to be told later. Whatever says nothing about the recipient, leaves it open.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::delivery::config::{Bounds, Settings};
use crate::delivery::error::{SessionError, Step};
use crate::delivery::route::{Destination, Passage, Route, Router, Way};
use crate::delivery::smtp::allowance::Allowance;
use crate::delivery::smtp::connect::{Caller, Resolver, Session, SystemResolver, Trust};
use crate::delivery::smtp::pool::Pool;
use crate::delivery::smtp::relay::RelayFault;
use crate::delivery::smtp::transaction::answer;
use crate::delivery::smtp::wire::Patience;
use crate::mail::Address;
use crate::net::{ClientTls, Outside};
use crate::policy::{RecipientCheck, Standing};
use crate::smtp::Answer;

/// Connections for questions at the same time; mail has its own.
const CONNECTIONS: usize = 5;
/// Questions over one connection. Postfix bears a hundred without a message (`smtpd_junk_command_limit`).
const QUESTIONS: u32 = 50;
/// Refusals over one connection. Postfix slows a client down from ten on, and hangs up at twenty.
const REFUSALS: u32 = 8;

/// Asks the mail server.
pub struct Callout {
    route: Option<Route>,
    pool: Pool,
    /// How long a question may take in all.
    patience: Duration,
}

impl Callout {
    /// How long each step may take: somebody waits at our door meanwhile.
    pub const PATIENCE: Patience = Patience {
        connect: Duration::from_secs(5),
        greeting: Duration::from_secs(10),
        command: Duration::from_secs(20),
        quit: Duration::from_secs(5),
        attempt: Duration::from_secs(45),
        ..Patience::STANDARD
    };

    /// A callout to `mail_server`, with what it has to prove as for mail.
    ///
    /// # Errors
    /// `ca_file` is unreadable or has no root.
    pub fn new(settings: Settings) -> Result<Self, RelayFault> {
        let tls = ClientTls::new(settings.ca_file.as_deref())?;
        Ok(Self::with(settings, tls, Arc::new(SystemResolver), Self::PATIENCE))
    }

    /// A callout whose trust, resolver and patience are given; `settings.ca_file` is not read.
    #[must_use]
    pub fn with(settings: Settings, tls: ClientTls, resolver: Arc<dyn Resolver>, patience: Patience) -> Self {
        let hostname = settings.hostname.clone();
        let outside = Outside::and(&settings.private_networks);
        let caller = Caller { hostname: hostname.clone(), trust: Trust::from(tls), outside, patience, dns: None };
        let bounds = Bounds { connections: CONNECTIONS, messages: QUESTIONS, ..settings.bounds };
        let route = match Router::new(settings).way(Destination::MailServer, Passage::Any, &hostname) {
            Ok(Way::Hop(route)) => Some(route),
            Ok(Way::Mx) | Err(_) => None,
        };
        Self { route, pool: Pool::new(caller, resolver, bounds), patience: patience.attempt }
    }

    async fn question(&self, recipient: &Address) -> Result<Standing, SessionError> {
        let Some(route) = &self.route else {
            return Err(SessionError::HostUnreachable("there is no way to the mail server".to_owned()));
        };
        let mut allowance = Allowance::new(self.patience);
        let mut lent = self.pool.lend(route, &mut allowance).await?;
        if recipient.needs_smtputf8() && !lent.session.offers.smtputf8 {
            self.pool.take_back(lent);
            return Ok(Standing::Unknown);
        }
        let mut said = ask(&mut lent.session, recipient).await;
        if lent.is_reused && said.is_err() {
            lent = self.pool.replace(lent, route, &mut allowance).await?;
            said = ask(&mut lent.session, recipient).await;
        }
        let standing = standing_of(&said?);
        lent.session.refusals += u32::from(standing != Standing::Known);
        if lent.session.refusals < REFUSALS {
            self.pool.take_back(lent);
        } else {
            self.pool.retire(lent);
        }
        Ok(standing)
    }
}

#[async_trait]
impl RecipientCheck for Callout {
    async fn standing(&self, recipient: &Address) -> Standing {
        match self.question(recipient).await {
            Ok(standing) => standing,
            Err(fault) => Standing::Undecided(match fault.answer() {
                // What it said may name the recipient; its code does not.
                Some(answer) => format!("the mail server: {fault}, {}", answer.code()),
                None => format!("the mail server: {fault}"),
            }),
        }
    }
}

/// One question, in one write where the peer allows it: what is said to RCPT.
async fn ask(session: &mut Session, recipient: &Address) -> Result<Answer, SessionError> {
    let offers = session.offers;
    let mail = if recipient.needs_smtputf8() { "MAIL FROM:<> SMTPUTF8\r\n" } else { "MAIL FROM:<>\r\n" };
    let rcpt = format!("RCPT TO:<{recipient}>\r\n");
    session.wire.unsent().extend_from_slice(mail.as_bytes());
    if offers.pipelining {
        session.wire.unsent().extend_from_slice(format!("{rcpt}RSET\r\n").as_bytes());
    }
    let sender = answer(session, Step::Mail).await?;
    if !sender.is_done() {
        // It takes no reports at all, whoever they are for: somebody has to set it right.
        return Err(SessionError::PeerRefusedSession(Step::Mail, sender));
    }
    if !offers.pipelining {
        session.wire.unsent().extend_from_slice(rcpt.as_bytes());
    }
    let said = answer(session, Step::Rcpt).await?;
    if !offers.pipelining {
        session.wire.unsent().extend_from_slice(b"RSET\r\n");
    }
    answer(session, Step::Reset).await?;
    Ok(said)
}

/// What an answer to RCPT says about the recipient (RFC 5321 §4.2.2, RFC 3463 §3).
fn standing_of(said: &Answer) -> Standing {
    if said.is_done() {
        return Standing::Known;
    }
    let status = said.status().map(|status| status.to_string()).unwrap_or_default();
    let subject = status.split_once('.').and_then(|(_, rest)| rest.split_once('.')).map_or("0", |(subject, _)| subject);
    // Of the sender, which was null, or of a form we wrote: nothing about the recipient.
    let is_about_us = matches!(status.as_str(), "5.1.7" | "5.1.8");
    match (said.code(), subject) {
        (500..=599, "1") if !is_about_us => Standing::Unknown,
        (550 | 551 | 553, "0") => Standing::Unknown,
        (505..=554 | 556..=599, _) if !is_about_us => {
            if subject == "7" {
                tracing::warn!(
                    code = said.code(),
                    status,
                    "the mail server forbids mail to a recipient in our domains"
                );
            }
            Standing::TakesNone
        }
        (code, _) => Standing::Undecided(format!("the mail server: {code} {status} at {}", Step::Rcpt)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use crate::delivery::smtp::callout::*;

    #[test]
    fn an_answer_to_rcpt_says_who_is_there() {
        for (said, wanted) in [
            ("250 2.1.5 ok", Some(Standing::Known)),
            ("251 will forward", Some(Standing::Known)),
            (
                "550 5.1.1 <x@y>: Recipient address rejected: User unknown in relay recipient table",
                Some(Standing::Unknown),
            ),
            ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", Some(Standing::Unknown)),
            ("550 no such user", Some(Standing::Unknown)),
            ("553 sorry", Some(Standing::Unknown)),
            ("501 5.1.3 bad recipient address syntax", Some(Standing::Unknown)),
            ("552 5.2.2 mailbox full", Some(Standing::TakesNone)),
            ("550 5.2.1 disabled", Some(Standing::TakesNone)),
            ("550 5.7.133 SenderNotAuthenticatedForGroup", Some(Standing::TakesNone)),
            ("554 5.7.1 relay access denied", Some(Standing::TakesNone)),
            ("552 full", Some(Standing::TakesNone)),
            ("450 4.2.1 try later", None),
            ("451 4.3.0 local trouble", None),
            ("452 4.2.2 over quota", None),
            ("501 5.5.4 syntax", None),
            ("503 5.5.1 need MAIL", None),
            ("550 5.1.8 sender's domain does not exist", None),
        ] {
            let answer = Answer::take(&mut BytesMut::from(format!("{said}\r\n").as_str())).unwrap().unwrap();
            let decided = Some(standing_of(&answer)).filter(|standing| !matches!(standing, Standing::Undecided(_)));
            assert_eq!(decided, wanted, "{said}");
        }
    }
}
