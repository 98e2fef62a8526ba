//! `[[department]]`: the return mailboxes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::fault::{
    At, Key, Keys, Place, Reader, Secret, Section, Setting, TextSetting, UnknownWord, Url, UrlFault, Value, settings,
    words,
};
use crate::mail::Address;
use crate::texts::Language;

settings! {
    /// A return mailbox: where answers go.
    pub struct Department named "id" {
        /// Its short name, as senders write it: `[svar: bygg]`.
        id: String,
        /// Its name for people, in one or more languages: `{ sv = "Bygglov", en = "Building permits" }`.
        name: BTreeMap<Language, String>,
        /// Its mail address.
        address: Address,
        /// How answers get there: `mail-server` (to `address`, by `delivery.mail_server`); `hosted` (our own IMAP) and `imaps://HOST:PORT/FOLDER` are not served yet.
        deliver: Deliver = "mail-server",
        /// Who reads it when it is hosted, and who may choose it with `choosable_by = "members"`.
        members: Vec<Address>,
        /// Who may name it as return mailbox: `all`, or its `members`.
        choosable_by: ChoosableBy = "all",
        /// Where answers go when nothing else decides. At most one; without any they go to the sender.
        default: bool = false,
        /// The login at `imaps://`.
        imap: Option<ImapLogin>,
    }

    /// The login at a department's `imaps://` mailbox.
    pub struct ImapLogin {
        /// The name.
        user: String,
        /// The password: a file nobody else may read, or `credential:NAME`.
        password: Secret,
    }
}

words! {
    /// `department.choosable_by`.
    pub enum ChoosableBy {
        /// Every sender of ours.
        All = "all",
        /// Its members.
        Members = "members",
    }
}

/// `department.deliver`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deliver {
    /// To its address, by `delivery.mail_server`.
    MailServer,
    /// Into a mailbox of our own.
    Hosted,
    /// Into a folder elsewhere.
    Imaps(Url),
}

/// Why a text is no [`Deliver`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliverFault {
    /// No known word or scheme.
    #[error(transparent)]
    Unknown(#[from] UnknownWord),
    /// The address is none.
    #[error(transparent)]
    Url(#[from] UrlFault),
}

impl FromStr for Deliver {
    type Err = DeliverFault;

    fn from_str(text: &str) -> Result<Self, DeliverFault> {
        match text {
            "mail-server" => Ok(Self::MailServer),
            "hosted" => Ok(Self::Hosted),
            url if url.starts_with("imaps://") => Ok(Self::Imaps(url.parse()?)),
            _ => Err(UnknownWord.into()),
        }
    }
}

impl fmt::Display for Deliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MailServer => f.write_str("mail-server"),
            Self::Hosted => f.write_str("hosted"),
            Self::Imaps(url) => write!(f, "{url}"),
        }
    }
}

impl TextSetting for Deliver {
    const FORM: &'static str = "one of \"mail-server\", \"hosted\", \"imaps://HOST:PORT/FOLDER\"";
}
