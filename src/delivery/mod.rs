//! Getting mail there: one attempt over SMTP or LMTP, and what became of each recipient.

mod config;
mod octets;
mod signing;
mod seven_bits;
mod error;
mod outcome;
mod trouble;
mod route;
mod transport;
mod kept;
mod https;
mod smtp;
mod tls_reporter;
mod keyring;
mod admission;
mod teller;
mod worker;

pub use admission::{
    Asked, Directory, DirectorySettings, Filter, FilterFault, ListFault, RecipientList, Recipients, Remembered,
};
pub use config::{
    Bounds, DomainRoute, Internet, Login, LoginFault, NextHop, NextHopFault, Protocol, Settings, TlsLevel,
};
pub use error::{SessionError, Step, TlsFault};
pub use https::{Https, HttpsFault};
pub use kept::Kept;
pub use keyring::{ConfiguredKey, KeyKeeping, KeySettings, Keyring, fault_of_kept_key};
pub use octets::{Contents, InMemory, Octets, Unreadable};
pub use outcome::{Blame, Delivery, Diagnosis, Handover, Outcome, REPLY_OCTETS};
pub use route::{Destination, Kind, Passage, Route, Router, TlsPolicy, Way};
pub use signing::{Leaving, Signing};
pub use smtp::{
    Callout, Mode, Patience, Relay, RelayFault, Resolver, Sts, StsFault, StsKeeping, StsPolicy, SystemResolver,
    TlsTally, Trust,
};
pub use tls_reporter::TlsReporter;
pub use transport::{Dispatch, Transport};
pub use trouble::NoWay;
pub use worker::Worker;
