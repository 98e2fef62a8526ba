//! The words of the command line, as on the interface page.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use crate::directory::{KeyAlgorithm, Scope};
use crate::mail::{Domain, QueueId};
use crate::queue::Stage;
use crate::sender_auth::Algorithm;

/// A secure-mail gateway.
#[derive(Debug, Parser)]
#[command(name = "sealgate", version, about = "A secure-mail gateway", max_term_width = 100)]
pub struct Cli {
    /// The configuration file [default: /etc/sealgate/sealgate.toml, then conf/sealgate.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object or array on standard output, from whatever lists or shows something
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the daemon in the foreground
    Run {
        /// Which parts to run, comma separated: smtpd, portal, delivery, control [default: all that are configured]
        #[arg(long, value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Read everything `run` would, run the rule tests, list every fault
    Check {
        /// Do not open the keys and certificates the configuration names
        #[arg(long)]
        no_files: bool,
    },
    /// Tell what would happen to a message, per recipient, and which rule decided
    Explain(Explain),
    /// Write a configuration that runs on loopback, with its keys and certificates
    Init {
        /// Where to
        dir: PathBuf,
        /// The organisation's name
        #[arg(long, default_value = "Sundby kommun")]
        name: String,
        /// Its mail domain
        #[arg(long, default_value = "sundby.example")]
        domain: String,
        /// For the systemd unit: state in /var/lib/sealgate, secrets as the credentials the unit loads from /etc/sealgate
        #[arg(long)]
        systemd: bool,
    },
    /// The whole loop on this machine, no configuration needed
    Demo {
        /// Walk the loop once and exit: 0 only if every step held
        #[arg(long)]
        once: bool,
        /// Keep everything here [default: a directory of its own, removed afterwards]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Mail we have promised to carry
    #[command(subcommand)]
    Queue(Queue),
    /// Messages that recipients read in the portal, and the story of any message
    #[command(subcommand)]
    Message(Message),
    /// Who reads what was sent to an address
    #[command(subcommand)]
    Recipient(Recipient),
    /// Keys
    #[command(subcommand)]
    Key(Key),
    /// The chain of events
    #[command(subcommand)]
    Audit(Audit),
    /// Settings
    #[command(subcommand)]
    Config(Config),
    /// Write completions for a shell to standard output
    Completions {
        /// bash, elvish, fish, powershell, zsh
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to standard output, or each into a file of its own
    Man {
        /// The directory for the files [default: standard output, for `sealgate man | man -l -`]
        dir: Option<PathBuf>,
    },
    /// Partner domains
    #[command(subcommand)]
    Tunnel(Tunnel),
    /// Certificates for S/MIME, ours and those of others
    #[command(subcommand)]
    Certificate(Certificates),
    /// Staff accounts (not served yet)
    #[command(hide = true)]
    Account(NotServed),
    /// Backup (not served yet)
    #[command(hide = true)]
    Backup(NotServed),
    /// Restore (not served yet)
    #[command(hide = true)]
    Restore(NotServed),
}

/// Words of a verb that this release does not serve.
#[derive(Debug, Args)]
pub struct NotServed {
    /// Anything
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<String>,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Envelope sender
    #[arg(long, value_name = "A")]
    pub from: String,
    /// Envelope recipient; may stand several times
    #[arg(long, value_name = "B", required = true)]
    pub to: Vec<String>,
    /// The message; - for standard input
    #[arg(value_name = "MESSAGE.eml")]
    pub message: PathBuf,
}

/// `queue`.
#[derive(Debug, Subcommand)]
pub enum Queue {
    /// What is in the queue, oldest first
    List {
        /// What has a recipient of this domain
        #[arg(long, value_name = "DOMAIN")]
        to: Option<Domain>,
        /// What stands here: incoming, active, deferred, held, corrupt
        #[arg(long, value_parser = stage)]
        stage: Option<Stage>,
        /// So many at most
        #[arg(long, value_name = "N", value_parser = at_least_one)]
        limit: Option<usize>,
    },
    /// One message
    Show {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: QueueId,
    },
    /// Attempt now what waits for its time: one message, all, or what goes to a domain
    #[command(group = ArgGroup::new("which").args(["id", "all", "to"]).required(true))]
    Retry {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: Option<QueueId>,
        /// Everything
        #[arg(long)]
        all: bool,
        /// What goes to this domain
        #[arg(long, value_name = "DOMAIN")]
        to: Option<Domain>,
    },
    /// Stop attempts until released
    Hold {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: QueueId,
    },
    /// Let go what is held
    Release {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: QueueId,
    },
    /// Give up on a message and tell its sender; a report has none, and of a corrupt message nobody can read who it is
    Drop {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: QueueId,
        /// Say that its sender is to be told. Not needed where nobody is: of a report, or of a corrupt message
        #[arg(long)]
        notify: bool,
    },
}

/// A `Message-ID` stands in the mail that a sender asks about, and is no id.
fn queue_id(word: &str) -> Result<QueueId, String> {
    word.parse().map_err(|fault| format!("{fault}; `sealgate message trace` takes a Message-ID too, and tells the id"))
}

fn stage(word: &str) -> Result<Stage, String> {
    let found = Stage::ALL.into_iter().find(|stage| stage.as_str() == word);
    found.ok_or_else(|| format!("one of {}", Stage::ALL.map(Stage::as_str).join(", ")))
}

fn at_least_one(word: &str) -> Result<usize, String> {
    word.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number from 1".to_owned())
}

/// `message`.
#[derive(Debug, Subcommand)]
pub enum Message {
    /// Messages in the portal
    List,
    /// One message
    Show {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: QueueId,
    },
    /// Take a message back: nobody can read it any more
    Recall {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: QueueId,
    },
    /// End the time a message can be read
    Expire {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: QueueId,
    },
    /// The whole story of a message, without its content
    Trace {
        /// Its id, or its Message-ID
        which: String,
    },
    /// Write a message as it is kept: an age file, locked
    Export {
        /// Its id
        #[arg(value_parser = queue_id)]
        id: QueueId,
        /// Where to
        #[arg(long, value_name = "FILE")]
        locked: PathBuf,
    },
}

/// `recipient`.
#[derive(Debug, Subcommand)]
pub enum Recipient {
    /// Addresses that are bound to a person
    List,
    /// One address
    Show {
        /// The address
        address: String,
    },
    /// Undo the tie between an address and a person
    Unbind {
        /// The address
        address: String,
    },
}

/// `tunnel`.
#[derive(Debug, Subcommand)]
pub enum Tunnel {
    /// Partner domains, with what is known of their certificates
    List,
    /// One domain
    Show {
        /// The domain
        domain: Domain,
    },
    /// Take up a table of domains and certificates: CSV, JSON, LDIF, PEM, PKCS #7
    Import {
        /// The file; - for standard input
        file: PathBuf,
        /// The password of a locked file is in here; - for standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Take up a partner's certificate; it is used at once, unless another is in use for this domain
    Add {
        /// The domain
        domain: Domain,
        /// Its certificate, with those of its authorities behind it
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// Use it in place of what is in use, which is refused from now on
        #[arg(long)]
        replace: bool,
    },
    /// Forget a domain's certificates
    Remove {
        /// The domain
        domain: Domain,
    },
}

/// `certificate`.
#[derive(Debug, Subcommand)]
pub enum Certificates {
    /// Ours, and those of people and departments elsewhere
    List,
    /// One certificate
    Show {
        /// How its fingerprint begins: eight digits at least; or key-N for a key that waits
        id: String,
    },
    /// Take up certificates: of others, or ours with its key, or the one that was requested
    ///
    /// Of others: what comes is used at once, unless another is in use for the same domain or mailbox.
    Import {
        /// PEM, DER, PKCS #7 or PKCS #12; - for standard input
        file: PathBuf,
        /// Whom it is for, a domain or an address [default: those it names]
        #[arg(long = "for", value_name = "ADDRESS")]
        scope: Option<Scope>,
        /// The password of a locked file is in here; - for standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Of others: use it in place of what is in use, which is refused from now on
        #[arg(long)]
        replace: bool,
    },
    /// Let a certificate be used
    Accept {
        /// How its fingerprint begins
        id: String,
        /// For this domain or address alone [default: all it is kept for]
        #[arg(long = "for", value_name = "ADDRESS")]
        scope: Option<Scope>,
    },
    /// Let a certificate never be used
    Refuse {
        /// How its fingerprint begins
        id: String,
        /// For this domain or address alone [default: all it is kept for]
        #[arg(long = "for", value_name = "ADDRESS")]
        scope: Option<Scope>,
    },
    /// Forget a certificate of others, or destroy a key that waits for its certificate; ours with a certificate stay
    Remove {
        /// How its fingerprint begins, or key-N for a key that waits
        id: String,
        /// For this domain or address alone [default: all it is kept for]
        #[arg(long = "for", value_name = "ADDRESS")]
        scope: Option<Scope>,
    },
    /// Make a key and write a request for its certificate (PKCS #10)
    Request {
        /// Whom it is for: a domain of ours, or an address
        #[arg(long = "for", value_name = "ADDRESS")]
        scope: Scope,
        /// rsa (3072 bits) or p256
        #[arg(long, value_enum, default_value_t, value_name = "A")]
        algorithm: CertificateKey,
    },
    /// Found an authority of our own, or write its certificate: for organisations without one
    Authority {
        /// Its name, to found it
        #[arg(long)]
        name: Option<String>,
    },
    /// Make a key and a certificate by our own authority
    Issue {
        /// Whom it is for: a domain of ours, or an address
        #[arg(long = "for", value_name = "ADDRESS")]
        scope: Scope,
        /// rsa (3072 bits) or p256
        #[arg(long, value_enum, default_value_t, value_name = "A")]
        algorithm: CertificateKey,
    },
}

/// What key a certificate is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CertificateKey {
    /// RSA of 3072 bits
    #[default]
    Rsa,
    /// The curve P-256
    P256,
}

impl From<CertificateKey> for KeyAlgorithm {
    fn from(key: CertificateKey) -> Self {
        match key {
            CertificateKey::Rsa => Self::Rsa,
            CertificateKey::P256 => Self::P256,
        }
    }
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Epochs of the vault, and the keys that sign what leaves, with their records
    ///
    /// IN THE DNS tells what was found at a key's name when it was last looked up: `right`, the record of this key; `wrong`, a
    /// record that does not fit it; `absent`, none; `unknown`, the name servers did not tell; `-`, it was not looked up.
    List {
        /// Look each record up in the DNS; a new key whose record is there signs from then on. Name servers remember for a
        /// while that a record was not there, often an hour
        #[arg(long)]
        dns: bool,
    },
    /// Begin a new generation: of the vault, or of the keys that sign
    Rotate {
        /// vault or dkim
        which: String,
        /// dkim: keys of this domain alone; needed for a domain's first one
        #[arg(long, value_name = "D")]
        domain: Option<Domain>,
        /// dkim: rsa or ed25519 alone
        #[arg(long, value_name = "A")]
        algorithm: Option<Algorithm>,
        /// dkim: the record is in the public DNS, even if it cannot be seen from here: sign with the new key
        #[arg(long)]
        published: bool,
    },
    /// Write the locked epoch identities into a directory, to keep apart from backups
    Export {
        /// Where to
        dir: PathBuf,
    },
}

/// `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Walk the chain: was an event changed, taken out or moved?
    Verify {
        /// A hash that was published earlier and must be in the chain
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
    /// The newest event's hash
    Head,
    /// All events, a line each
    Export {
        /// From this time on, RFC 3339
        #[arg(long, value_name = "T")]
        since: Option<String>,
        /// jsonl
        #[arg(long, default_value = "jsonl")]
        format: String,
    },
}

/// `config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Every setting with its default and meaning
    Reference,
    /// The effective settings, secrets masked
    Show,
}
