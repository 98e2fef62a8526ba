//! A secure-mail gateway. Read this file downwards: a module may name only modules above it.
#![forbid(unsafe_code)]

// Words: languages and values. No I/O, no clock, no async.
pub mod mail; // addresses, envelopes, messages, reports
pub mod smtp; // the SMTP and LMTP language
mod ml_kem; // a key of ML-KEM-768 grown from its seed
pub mod cms; // the CMS and S/MIME language
pub mod texts; // what we say to people, in their languages
pub mod pdf; // a message as an accessible document
pub mod fault; // what is wrong with a configuration: place, cause, hint

// Means: sockets, keys, bytes. No idea of mail policy.
pub mod telemetry; // metrics and redaction
pub mod net; // listeners, TLS, DNS, clock, shutdown
pub mod sender_auth; // SPF, DKIM, DMARC, ARC
pub mod scan; // malware in what enters
pub mod vault; // locks what we keep
pub mod store; // where locked bytes and rows live

// Memory: what the gateway knows.
pub mod records; // what happened, and how long we keep it
pub mod directory; // who is out there: national numbers, certificates, tunnels
pub mod mailboxes; // what recipients can read
pub mod identity; // who is at our door: OpenID Connect, sessions

// Work: what is done with a message.
pub mod policy; // what should happen
pub mod sealing; // seals what we send, opens what we receive
pub mod queue; // mail we have promised to carry
pub mod notify; // telling people, by mail and SMS
pub mod delivery; // getting it there: SMTP and LMTP
pub mod flow; // the one path from taken to queued

// Doors: where strangers and friends come in.
pub mod smtpd; // the SMTP door
pub mod portal; // the web door
pub mod control; // the operator's door

// House: the whole.
pub mod config; // the configuration file
pub mod daemon; // building, running, reloading, stopping
pub mod demo; // the whole loop on one machine
pub mod cli; // the command line
