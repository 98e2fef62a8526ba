//! Everything a peer can hear at this door, each text with its status (RFC 3463, RFC 5248).

use crate::queue::ReceptionError;
use crate::smtp::{CommandFault, EnhancedStatus, Reply, TextFault};

// Greeting and leaving.
pub(crate) const NOT_ALLOWED: Reply = Reply::fixed(554, 7, 1, "no service for you here");
pub(crate) const FULL: Reply = Reply::fixed(421, 4, 5, "too many sessions, come again later");
pub(crate) const CLIENT_FULL: Reply = Reply::fixed(421, 7, 0, "too many sessions from you, come again later");
pub(crate) const TOO_OFTEN: Reply = Reply::fixed(421, 7, 0, "too often, come again later");
pub(crate) const SPOKE_TOO_SOON: Reply = Reply::fixed(554, 5, 1, "the greeting comes first");
pub(crate) const PROXY_WANTED: Reply = Reply::fixed(421, 3, 5, "a PROXY protocol header, version 2, comes first");
pub(crate) const BYE: Reply = Reply::fixed(221, 0, 0, "bye");
pub(crate) const STOPPING: Reply = Reply::fixed(421, 3, 2, "closing for now, come again later");
pub(crate) const IDLE: Reply = Reply::fixed(421, 4, 2, "you took too long");
pub(crate) const SESSION_TOO_LONG: Reply = Reply::fixed(421, 4, 2, "the session has lasted too long");
pub(crate) const TOO_MANY_FAULTS: Reply = Reply::fixed(421, 7, 0, "too many errors");
pub(crate) const BARE_LINE_END_IN_COMMAND: Reply =
    Reply::fixed(500, 5, 2, "a CR or LF stands alone: lines end with CRLF");
pub(crate) const COMMAND_TOO_LONG: Reply = Reply::fixed(500, 5, 6, "the line is too long");
pub(crate) const OTHER_PROTOCOL: Reply = Reply::fixed(554, 5, 1, "this is SMTP, goodbye");
pub(crate) const BEHIND_STARTTLS: Reply = Reply::fixed(554, 7, 0, "nothing may follow STARTTLS before the handshake");
pub(crate) const CHUNK_SIZE_UNREADABLE: Reply = Reply::fixed(501, 5, 4, "the form is: BDAT octets [LAST]");
pub(crate) const TOO_MUCH: Reply = Reply::fixed(552, 3, 4, "far more than a message may have");

// Commands that are done.
pub(crate) const OK: Reply = Reply::fixed(250, 0, 0, "ok");
pub(crate) const SENDER_OK: Reply = Reply::fixed(250, 1, 0, "sender ok");
pub(crate) const RECIPIENT_OK: Reply = Reply::fixed(250, 1, 5, "recipient ok");
pub(crate) const CHUNK_OK: Reply = Reply::fixed(250, 0, 0, "chunk taken");
pub(crate) const START_DATA: Reply = Reply::bare(354, "go on, end with a dot alone on a line");
pub(crate) const START_TLS: Reply = Reply::fixed(220, 0, 0, "ready for the handshake");
pub(crate) const CANNOT_VERIFY: Reply = Reply::fixed(252, 5, 0, "send mail and see");
pub(crate) const HELP: Reply =
    Reply::fixed(214, 0, 0, "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS; see RFC 5321");

// Commands out of place.
pub(crate) const HELLO_FIRST: Reply = Reply::fixed(503, 5, 1, "say EHLO first");
pub(crate) const MAIL_FIRST: Reply = Reply::fixed(503, 5, 1, "MAIL FROM comes first");
pub(crate) const MAIL_GIVEN: Reply = Reply::fixed(503, 5, 1, "MAIL FROM was given, RSET takes it back");
pub(crate) const NO_RECIPIENTS: Reply = Reply::fixed(554, 5, 1, "no valid recipients");
pub(crate) const CHUNKS_BEGUN: Reply = Reply::fixed(503, 5, 1, "BDAT has begun, only BDAT or RSET can follow");
pub(crate) const TLS_ALREADY: Reply = Reply::fixed(503, 5, 1, "TLS is there already");
pub(crate) const TRANSACTION_BEGUN: Reply = Reply::fixed(503, 5, 1, "a transaction has begun, RSET ends it");
pub(crate) const NOT_TRUSTED: Reply = Reply::fixed(550, 7, 0, "you are not trusted with this");
pub(crate) const NOT_SERVED: Reply = Reply::fixed(502, 5, 1, "not served here");

// Refusals of senders, recipients, messages.
pub(crate) const TOO_LARGE: Reply = Reply::fixed(552, 3, 4, "the message is larger than allowed");
pub(crate) const CERTIFICATE_WANTED: Reply = Reply::fixed(530, 7, 0, "a client certificate is required");
pub(crate) const SENDER_NEEDS_SMTPUTF8: Reply = Reply::fixed(553, 6, 7, "this address needs SMTPUTF8");
pub(crate) const RECIPIENT_NEEDS_SMTPUTF8: Reply = Reply::fixed(553, 6, 7, "this address needs SMTPUTF8");
pub(crate) const NO_POSTMASTER: Reply = Reply::fixed(550, 1, 1, "no such recipient");
pub(crate) const TOO_MANY_RECIPIENTS: Reply = Reply::fixed(452, 5, 3, "too many recipients");
pub(crate) const HEADER_WANTED: Reply = Reply::fixed(550, 7, 1, "the message lacks what is required of mail from here");
pub(crate) const BARE_LINE_END: Reply = Reply::fixed(550, 6, 11, "a CR or LF stands alone: lines end with CRLF");
pub(crate) const LINE_TOO_LONG: Reply = Reply::fixed(550, 6, 0, "a line of the message is too long");

/// What the peer hears when a line was no command.
pub(crate) fn of_command(fault: CommandFault) -> Reply {
    match fault {
        CommandFault::NotText => Reply::fixed(500, 5, 2, "the line has octets that no command has"),
        CommandFault::OtherProtocol => OTHER_PROTOCOL,
        CommandFault::Unknown => Reply::fixed(500, 5, 1, "the command is not known"),
        CommandFault::Form(form) => Reply::told(501, 5, 4, &format!("the form is: {form}")),
        CommandFault::ChunkSizeUnreadable => CHUNK_SIZE_UNREADABLE,
        CommandFault::ParameterValue(name) => Reply::told(501, 5, 4, &format!("{name} has a value that is not served")),
        CommandFault::ParameterTwice => Reply::fixed(501, 5, 4, "a parameter is given twice"),
        CommandFault::ParameterUnknown => Reply::fixed(555, 5, 4, "a parameter is not known"),
        CommandFault::SenderIsNoAddress => Reply::fixed(553, 1, 7, "the sender is no address"),
        CommandFault::RecipientIsNoAddress => Reply::fixed(553, 1, 3, "the recipient is no address"),
    }
}

/// What the peer hears about the lines of its message.
pub(crate) fn of_text(fault: TextFault) -> Reply {
    match fault {
        TextFault::BareLineEnd => BARE_LINE_END,
        TextFault::LineTooLong => LINE_TOO_LONG,
    }
}

/// What the peer hears when the house says no. What is exact about it is for the log.
pub(crate) fn of_reception(error: &ReceptionError) -> Reply {
    match error {
        ReceptionError::Refused { status, text } => {
            Reply::refusal(status.parse().unwrap_or(EnhancedStatus::new(5, 7, 1)), text)
        }
        ReceptionError::TooLarge => TOO_LARGE,
        ReceptionError::PassesLimit(_) => Reply::fixed(554, 6, 0, "the message passes a limit of ours"),
        ReceptionError::DiskIsFull | ReceptionError::PastMark(_) => {
            Reply::fixed(452, 3, 1, "no room now, come again later")
        }
        ReceptionError::Unavailable(_) => Reply::fixed(451, 3, 0, "not possible now, come again later"),
    }
}

/// `250 2.0.0 queued as ID`: from here on the message is ours.
pub(crate) fn queued_as(id: impl std::fmt::Display) -> Reply {
    Reply::told(250, 0, 0, &format!("queued as {id}"))
}
