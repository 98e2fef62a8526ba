//! Commands as a server reads them (RFC 5321 §4.1.1), on `smtp-proto`'s grammar of verbs and parameters.
//!
//! That grammar is lenient: it drops quotes from local parts, cannot tell `<>` from `<postmaster>`, passes over what
//! stands behind `DATA` or `RSET`, wraps sizes past 2⁶⁴, reads xtext as Latin-1, and takes parameters we never
//! offered. So paths and xtext are read here, and a line reaches it only in a form that leaves nothing to guess.

use std::borrow::Cow;

use smtp_proto::{
    Error, MAIL_BODY_7BIT, MAIL_BODY_BINARYMIME, MAIL_REQUIRETLS, MAIL_RET_FULL, MAIL_RET_HDRS, MAIL_SMTPUTF8,
    RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS, Request,
};

use crate::mail::{Address, BodyType, DsnNotify, DsnReturn, ReversePath};
use crate::smtp::path::{decode_xtext, split_path};
use crate::smtp::xclient::{Xclient, is_hello_name, parse_xclient};

/// Octets of a command line without CRLF. RFC 5321 §4.5.3.1.4 asks for 512, the extensions for some 1,000 more, and
/// SMTPUTF8 addresses for up to four times their letters.
pub const COMMAND_OCTETS: usize = 2_048;
/// Digits of a size: more than fit are no size but an attempt to make one wrap.
const SIZE_DIGITS: usize = 18;
/// Octets of `ENVID`, RFC 3461 §4.4.
const ENVELOPE_ID_OCTETS: usize = 100;
/// Octets of `ORCPT`, RFC 3461 §4.2.
const ORIGINAL_OCTETS: usize = 500;

/// A command of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `EHLO`, with the name the client gives itself: printable ASCII, up to 255 octets.
    Ehlo(String),
    /// `HELO`, likewise.
    Helo(String),
    /// `MAIL FROM`.
    Mail(MailFrom),
    /// `RCPT TO`.
    Rcpt(RcptTo),
    /// `DATA`.
    Data,
    /// `BDAT`, RFC 3030 §2.
    Bdat(Bdat),
    /// `RSET`.
    Rset,
    /// `NOOP`, whatever stands behind it.
    Noop,
    /// `QUIT`.
    Quit,
    /// `VRFY`: nobody learns from it who is here.
    Vrfy,
    /// `HELP`.
    Help,
    /// `STARTTLS`, RFC 3207.
    StartTls,
    /// `XCLIENT`, Postfix's own.
    Xclient(Xclient),
    /// A verb that is known and not served: `AUTH`, `EXPN`, `ETRN`, `ATRN`, `BURL`, `LHLO`.
    Unserved,
}

/// `MAIL FROM` with the parameters we offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// Who sends.
    pub path: ReversePath,
    /// `SIZE=` in octets, RFC 1870.
    pub size: Option<u64>,
    /// `BODY=`, RFC 6152.
    pub body: BodyType,
    /// `SMTPUTF8`, RFC 6531.
    pub smtputf8: bool,
    /// `RET=`, RFC 3461.
    pub dsn_return: Option<DsnReturn>,
    /// `ENVID=`, decoded.
    pub envelope_id: Option<String>,
    /// `REQUIRETLS`, RFC 8689. It is offered behind TLS alone.
    pub require_tls: bool,
}

/// `RCPT TO` with the parameters we offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RcptTo {
    /// Who receives.
    pub path: ForwardPath,
    /// `NOTIFY=`, RFC 3461.
    pub notify: Option<DsnNotify>,
    /// `ORCPT=` as `type;address`, decoded.
    pub original: Option<String>,
}

/// What stands in `RCPT TO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardPath {
    /// A mailbox.
    Mailbox(Address),
    /// `<postmaster>` without a domain: ours (RFC 5321 §4.5.1).
    Postmaster,
}

/// `BDAT`: so many octets follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bdat {
    /// Octets of the chunk.
    pub octets: u64,
    /// `LAST`: the message ends with this chunk.
    pub is_last: bool,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandFault {
    /// Octets that are no UTF-8, or control characters.
    #[error("the line has octets that no command has")]
    NotText,
    /// The line belongs to HTTP or another protocol: somebody makes a browser talk to us.
    #[error("the peer speaks another protocol")]
    OtherProtocol,
    /// No verb we know.
    #[error("the command is not known")]
    Unknown,
    /// The verb is known, what is behind it is not as it should be.
    #[error("the form of the command is: {0}")]
    Form(&'static str),
    /// `BDAT` of a wrong form: how much follows cannot be known, so nothing behind it can be read as commands.
    #[error("the size of the chunk cannot be read")]
    ChunkSizeUnreadable,
    /// A parameter with a wrong value.
    #[error("the parameter {0} has a wrong value")]
    ParameterValue(&'static str),
    /// The same parameter twice.
    #[error("a parameter is given twice")]
    ParameterTwice,
    /// A parameter we never offered.
    #[error("a parameter is not known")]
    ParameterUnknown,
    /// What stands in `MAIL FROM` is no address.
    #[error("the sender is no address")]
    SenderIsNoAddress,
    /// What stands in `RCPT TO` is no address.
    #[error("the recipient is no address")]
    RecipientIsNoAddress,
}

impl Command {
    /// Reads a line, given without its CRLF.
    ///
    /// # Errors
    /// The line is no command.
    pub fn parse(line: &[u8]) -> Result<Self, CommandFault> {
        let text = std::str::from_utf8(line).map_err(|_| CommandFault::NotText)?;
        if text.bytes().any(|octet| octet < b' ' || octet == 0x7f) {
            return Err(CommandFault::NotText);
        }
        if belongs_to_http(text) {
            return Err(CommandFault::OtherProtocol);
        }
        // RFC 5321 §4.1.1: white space at the end is to be tolerated; at the front it is not.
        let text = text.trim_end_matches(' ');
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb.to_ascii_uppercase().as_str() {
            "MAIL" => mail(rest).map(Self::Mail),
            "RCPT" => rcpt(rest).map(Self::Rcpt),
            "BDAT" => bdat(rest).map(Self::Bdat),
            "XCLIENT" => {
                let form = CommandFault::Form("XCLIENT attribute=value ...");
                parse_xclient(rest).map(Self::Xclient).ok_or(form)
            }
            _ => plain(verb, rest),
        }
    }
}

fn plain(verb: &str, rest: &str) -> Result<Command, CommandFault> {
    if verb.is_empty() {
        return Err(CommandFault::Unknown);
    }
    let alone = |command| if rest.is_empty() { Ok(command) } else { Err(CommandFault::Form("the verb alone")) };
    match request(&format!("{verb} {rest}\r\n")) {
        Ok(Request::Ehlo { .. }) => greeting(rest).map(Command::Ehlo),
        Ok(Request::Helo { .. }) => greeting(rest).map(Command::Helo),
        Ok(Request::Data) => alone(Command::Data),
        Ok(Request::Rset) => alone(Command::Rset),
        Ok(Request::Quit) => alone(Command::Quit),
        Ok(Request::StartTls) => alone(Command::StartTls),
        Ok(Request::Noop { .. }) => Ok(Command::Noop),
        Ok(Request::Help { .. }) => Ok(Command::Help),
        Ok(Request::Vrfy { .. }) => Ok(Command::Vrfy),
        Ok(
            Request::Auth { .. }
            | Request::Expn { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. }
            | Request::Burl { .. }
            | Request::Lhlo { .. },
        ) => Ok(Command::Unserved),
        // These three are read elsewhere, in a stricter way.
        Ok(Request::Mail { .. } | Request::Rcpt { .. } | Request::Bdat { .. }) => Err(CommandFault::Unknown),
        Err(fault) => Err(fault),
    }
}

/// `MAIL FROM:<path> [parameters]`, `rest` being what stands behind the verb.
fn mail(rest: &str) -> Result<MailFrom, CommandFault> {
    const FORM: CommandFault = CommandFault::Form("MAIL FROM:<address> [parameters]");
    let (path, parameters) = split_path(rest, "FROM:").ok_or(FORM)?;
    let path = match path {
        "" => ReversePath::Null,
        text => ReversePath::Mailbox(text.parse().map_err(|_| CommandFault::SenderIsNoAddress)?),
    };
    let parameters = Parameters::read(parameters, &["SIZE", "BODY", "SMTPUTF8", "RET", "REQUIRETLS"], "ENVID")?;
    let line = format!("MAIL FROM:<>{}\r\n", parameters.known);
    let Request::Mail { from } = request(&line)? else {
        return Err(FORM);
    };
    if from.flags & MAIL_BODY_BINARYMIME != 0 {
        return Err(CommandFault::ParameterValue("BODY"));
    }
    let is_set = |flag| from.flags & flag != 0;
    let envelope_id = match parameters.xtext {
        Some(text) => Some(decode_xtext(text, ENVELOPE_ID_OCTETS).ok_or(CommandFault::ParameterValue("ENVID"))?),
        None => None,
    };
    Ok(MailFrom {
        path,
        size: u64::try_from(from.size).ok().filter(|size| *size > 0),
        body: if is_set(MAIL_BODY_7BIT) { BodyType::SevenBit } else { BodyType::EightBitMime },
        smtputf8: is_set(MAIL_SMTPUTF8),
        dsn_return: match (is_set(MAIL_RET_FULL), is_set(MAIL_RET_HDRS)) {
            (true, _) => Some(DsnReturn::Full),
            (false, true) => Some(DsnReturn::Headers),
            (false, false) => None,
        },
        envelope_id,
        require_tls: is_set(MAIL_REQUIRETLS),
    })
}

/// `RCPT TO:<path> [parameters]`, `rest` being what stands behind the verb.
fn rcpt(rest: &str) -> Result<RcptTo, CommandFault> {
    const FORM: CommandFault = CommandFault::Form("RCPT TO:<address> [parameters]");
    let (path, parameters) = split_path(rest, "TO:").ok_or(FORM)?;
    let path = if path.eq_ignore_ascii_case("postmaster") {
        ForwardPath::Postmaster
    } else {
        ForwardPath::Mailbox(path.parse().map_err(|_| CommandFault::RecipientIsNoAddress)?)
    };
    let parameters = Parameters::read(parameters, &["NOTIFY"], "ORCPT")?;
    let line = format!("RCPT TO:<>{}\r\n", parameters.known);
    let Request::Rcpt { to } = request(&line)? else {
        return Err(FORM);
    };
    let is_set = |flag| to.flags & flag != 0;
    let notify = DsnNotify {
        success: is_set(RCPT_NOTIFY_SUCCESS),
        failure: is_set(RCPT_NOTIFY_FAILURE),
        delay: is_set(RCPT_NOTIFY_DELAY),
    };
    let is_any = notify.success || notify.failure || notify.delay;
    if is_any && is_set(RCPT_NOTIFY_NEVER) {
        return Err(CommandFault::ParameterValue("NOTIFY"));
    }
    let original = match parameters.xtext {
        Some(text) => Some(original_recipient(text).ok_or(CommandFault::ParameterValue("ORCPT"))?),
        None => None,
    };
    Ok(RcptTo { path, notify: (is_any || is_set(RCPT_NOTIFY_NEVER)).then_some(notify), original })
}

/// RFC 3461 §4.2: `addr-type ";" xtext`; RFC 6533 §3 adds the type `utf-8`.
fn original_recipient(text: &str) -> Option<String> {
    let (kind, address) = text.split_once(';')?;
    let is_word = (1..=32).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let address = decode_xtext(address, ORIGINAL_OCTETS)?;
    is_word.then(|| format!("{kind};{address}"))
}

/// `BDAT size [LAST]`, `rest` being what stands behind the verb.
fn bdat(rest: &str) -> Result<Bdat, CommandFault> {
    let fault = CommandFault::ChunkSizeUnreadable;
    let (size, last) = rest.split_once(' ').unwrap_or((rest, ""));
    if !is_size(size) || !(last.is_empty() || last.eq_ignore_ascii_case("LAST")) {
        return Err(fault);
    }
    match request(&format!("BDAT {rest}\r\n")) {
        Ok(Request::Bdat { chunk_size, is_last }) => {
            Ok(Bdat { octets: u64::try_from(chunk_size).map_err(|_| fault)?, is_last })
        }
        Ok(_) | Err(_) => Err(fault),
    }
}

fn greeting(name: &str) -> Result<String, CommandFault> {
    if is_hello_name(name) { Ok(name.to_owned()) } else { Err(CommandFault::Form("EHLO name")) }
}

fn is_size(text: &str) -> bool {
    (1..=SIZE_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// The parameters of a `MAIL` or `RCPT`, none twice and none but those offered.
struct Parameters<'a> {
    /// Those that the grammar reads, each with a space before it.
    known: String,
    /// The value of the one whose value is xtext.
    xtext: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn read(text: &'a str, known: &[&'static str], xtext: &str) -> Result<Self, CommandFault> {
        let mut found = Self { known: String::new(), xtext: None };
        let mut seen: Vec<&str> = Vec::new();
        for parameter in text.split(' ').filter(|word| !word.is_empty()) {
            let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if seen.iter().any(|earlier| earlier.eq_ignore_ascii_case(keyword)) {
                return Err(CommandFault::ParameterTwice);
            }
            seen.push(keyword);
            if keyword.eq_ignore_ascii_case(xtext) {
                found.xtext = Some(value);
                continue;
            }
            if !known.iter().any(|known| known.eq_ignore_ascii_case(keyword)) {
                return Err(CommandFault::ParameterUnknown);
            }
            if keyword.eq_ignore_ascii_case("SIZE") && !is_size(value) {
                return Err(CommandFault::ParameterValue("SIZE"));
            }
            found.known.push(' ');
            found.known.push_str(parameter);
        }
        Ok(found)
    }
}

fn request(line: &str) -> Result<Request<Cow<'_, str>>, CommandFault> {
    Request::parse(&mut line.as_bytes().iter()).map_err(|error| match error {
        Error::InvalidParameter { param } => CommandFault::ParameterValue(param),
        Error::UnsupportedParameter { .. } => CommandFault::ParameterUnknown,
        Error::SyntaxError { syntax } => CommandFault::Form(syntax),
        Error::InvalidSenderAddress => CommandFault::SenderIsNoAddress,
        Error::InvalidRecipientAddress => CommandFault::RecipientIsNoAddress,
        Error::UnknownCommand
        | Error::NeedsMoreData { .. }
        | Error::ResponseTooLong
        | Error::InvalidResponse { .. } => CommandFault::Unknown,
    })
}

/// RFC 9110 §9 and HTTP/2's preface: what a browser made to call us would send.
fn belongs_to_http(text: &str) -> bool {
    const VERBS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];
    let verb = text.split(' ').next().unwrap_or_default();
    VERBS.contains(&verb) || text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("host:"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::smtp::command::*;

    fn parse(line: &str) -> Result<Command, CommandFault> {
        Command::parse(line.as_bytes())
    }

    fn mail(line: &str) -> MailFrom {
        match parse(line) {
            Ok(Command::Mail(mail)) => mail,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn rcpt(line: &str) -> RcptTo {
        match parse(line) {
            Ok(Command::Rcpt(rcpt)) => rcpt,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn verbs_are_known_in_any_case() {
        for (line, command) in [
            ("ehlo mx.example", Command::Ehlo("mx.example".to_owned())),
            ("HELO [192.0.2.1]", Command::Helo("[192.0.2.1]".to_owned())),
            ("data", Command::Data),
            ("DATA  ", Command::Data),
            ("RSET", Command::Rset),
            ("NOOP", Command::Noop),
            ("NOOP anything at all", Command::Noop),
            ("Quit", Command::Quit),
            ("VRFY anna", Command::Vrfy),
            ("HELP", Command::Help),
            ("STARTTLS", Command::StartTls),
            ("BDAT 0 last", Command::Bdat(Bdat { octets: 0, is_last: true })),
            ("BDAT 86", Command::Bdat(Bdat { octets: 86, is_last: false })),
            ("AUTH PLAIN AGEAYg==", Command::Unserved),
            ("EXPN staff", Command::Unserved),
            ("LHLO mx.example", Command::Unserved),
        ] {
            assert_eq!(parse(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn mail_from_keeps_its_parameters() {
        let mail =
            mail("MAIL FROM:<anna.berg@sundby.example> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B314");
        assert_eq!(mail.path.to_string(), "<anna.berg@sundby.example>");
        assert_eq!((mail.size, mail.smtputf8, mail.dsn_return), (Some(1000), true, Some(DsnReturn::Headers)));
        assert_eq!(mail.envelope_id.as_deref(), Some("QQ+314"));
    }

    #[test]
    fn the_null_path_and_the_postmaster_are_two_things() {
        assert_eq!(mail("MAIL FROM:<>").path, ReversePath::Null);
        assert_eq!(rcpt("RCPT TO:<PostMaster>").path, ForwardPath::Postmaster);
        assert_eq!(parse("RCPT TO:<>"), Err(CommandFault::RecipientIsNoAddress));
        assert_eq!(parse("MAIL FROM:<postmaster>"), Err(CommandFault::SenderIsNoAddress));
    }

    #[test]
    fn quotes_source_routes_and_letters_of_all_kinds_are_understood() {
        for (text, address) in [
            ("<\"anna berg\"@x.example>", "\"anna berg\"@x.example"),
            ("<\"a>b\"@x.example>", "\"a>b\"@x.example"),
            ("<\"a\\\"b@c\"@x.example>", "\"a\\\"b@c\"@x.example"),
            ("<@a.example,@b.example:anna@x.example>", "anna@x.example"),
            ("<åsa@växjö.example>", "åsa@xn--vxj-qla6g.example"),
            ("  <anna@x.example>", "anna@x.example"),
        ] {
            let ForwardPath::Mailbox(found) = rcpt(&format!("RCPT TO:{text}")).path else { panic!("{text}") };
            assert_eq!(found.to_string(), address);
        }
    }

    #[test]
    fn rcpt_to_keeps_its_parameters() {
        let to = rcpt("RCPT TO:<a@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@x.example");
        assert_eq!(to.notify, Some(DsnNotify { success: true, failure: false, delay: true }));
        assert_eq!(to.original.as_deref(), Some("rfc822;b+c@x.example"));
        let to = rcpt("RCPT TO:<a@x.example> NOTIFY=NEVER");
        assert_eq!(to.notify, Some(DsnNotify { success: false, failure: false, delay: false }));
        assert_eq!(rcpt("RCPT TO:<a@x.example> ORCPT=utf-8;åsa@x").original.as_deref(), Some("utf-8;åsa@x"));
        assert_eq!(rcpt("RCPT TO:<a@x.example>").notify, None);
    }

    #[test]
    fn what_the_grammar_would_let_pass_is_refused() {
        for line in [
            "DATA now",
            "XCLIENT",
            "XCLIENT ADDR=mx.live.example",
            "RSET x",
            "QUIT x",
            "STARTTLS x",
            "EHLO",
            "EHLO a b",
            "EHLO a\u{e5}",
            "EHLO <script>",
            " NOOP",
            "NOOP\0",
            "NO\tOP",
            "MAIL FROM:<a@x.example>SIZE=1",
            "MAIL FROM:<a@x.example> SIZE=1 SIZE=2",
            "MAIL FROM:<a@x.example> size=1 SIZE=2",
            "MAIL FROM:<a@x.example> SIZE=",
            "MAIL FROM:<a@x.example> SIZE=18446744073709551616",
            "MAIL FROM:<a@x.example> SIZE=-1",
            "MAIL FROM:<a@x.example> BODY=BINARYMIME",
            "MAIL FROM:<a@x.example> BODY",
            "MAIL FROM:<a@x.example> ENVID=a+0D+0AQUIT",
            "MAIL FROM:<a@x.example> ENVID=+zz",
            "MAIL FROM:<a@x.example> ENVID=",
            "MAIL FROM:<a@x.example> AUTH=<>",
            "MAIL FROM:<a@x.example> REQUIRETLS=YES",
            "MAIL FROM:<a@x.example> REQUIRETLS REQUIRETLS",
            "MAIL FROM:<a@x.example> HOLDFOR=10",
            "MAIL FROM:<a@x.example> SMTPUTF8=1",
            "MAIL FROM:<a@x.example> >",
            "MAIL FROM:a@x.example",
            "MAIL FROM:< a@x.example>",
            "MAIL FROM:<a@x.example",
            "MAIL FROM:<\"a@x.example>",
            "MAIL FROM:<a@[192.0.2.1]>",
            "MAIL TO:<a@x.example>",
            "MAIL",
            "RCPT TO:<a>",
            "RCPT TO:<a@b@x.example>",
            "RCPT TO:<@a.example:>",
            "RCPT TO:<a@x.example> NOTIFY=NEVER,SUCCESS",
            "RCPT TO:<a@x.example> NOTIFY=",
            "RCPT TO:<a@x.example> ORCPT=nobody",
            "RCPT TO:<a@x.example> RRVS=2026-01-01T00:00:00Z",
            "BDAT",
            "BDAT x",
            "BDAT -1",
            "BDAT 5 LAST x",
            "BDAT 5 ;",
            "BDAT 5 LASTING",
            "BDAT  5",
            "BDAT 999999999999999999999999",
            "MAILFROM:<a@x.example>",
            "",
        ] {
            assert!(parse(line).is_err(), "{line:?}: {:?}", parse(line));
        }
        assert_eq!(Command::parse(b"NOOP \xff"), Err(CommandFault::NotText));
    }

    #[test]
    fn a_browser_is_known_by_its_verb() {
        for line in ["GET / HTTP/1.1", "POST /mail HTTP/1.1", "PRI * HTTP/2.0", "Host: gw.example", "CONNECT a:25"] {
            assert_eq!(parse(line), Err(CommandFault::OtherProtocol), "{line}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_there_is_no_panic(
            verb in "(MAIL FROM:|RCPT TO:|BDAT |EHLO |AUTH |)", rest in "[ -~å]{0,40}",
        ) {
            _ = parse(&format!("{verb}{rest}"));
        }

        #[test]
        fn a_path_that_is_taken_comes_back_as_it_was(local in "[a-z0-9.\"\\\\ @<>]{1,12}") {
            if let Ok(Command::Rcpt(RcptTo { path: ForwardPath::Mailbox(address), .. })) =
                parse(&format!("RCPT TO:<{local}@x.example>"))
            {
                let again = parse(&format!("RCPT TO:<{address}>"));
                prop_assert_eq!(again.map(|_| ()), Ok(()));
                prop_assert_eq!(rcpt(&format!("RCPT TO:<{address}>")).path, ForwardPath::Mailbox(address));
            }
        }
    }
}
