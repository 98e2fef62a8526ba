//! The sections of the configuration, each declared once.

mod number;
mod organisation;
mod tls;
mod log;
mod smtpd;
mod scan;
mod delivery;
mod store;
mod queue;
mod vault;
mod portal;
mod imapd;
mod control;
mod notify;
mod dkim;
mod identity;
mod department;
mod policy;
mod smime;

pub use control::Control;
pub use delivery::{Delivery, DeliveryRoute, Validation};
pub use department::{ChoosableBy, Deliver, DeliverFault, Department, ImapLogin};
pub use dkim::{Dkim, Selector};
pub use identity::{Claims, Identity, Provider};
pub use imapd::Imapd;
pub use log::Log;
pub use notify::{Notify, Reveal, Sender, Sms};
pub use organisation::{Organisation, TimeZone};
pub use policy::{
    ChannelName, Condition, ConditionFault, Content, Expect, Grants, Label, Pattern, Policy, ProtectionName, Rule,
    Unknown, Unreachable,
};
pub use portal::Portal;
pub use queue::Queue;
pub use scan::{OnFound, Scan};
pub use smime::{
    CertificateFor, CipherWord, KeySource, KeyTransportWord, ListPlace, OwnCertificate, Smime, StrangersWord,
    SubjectWord, Trust, Tunnel, TunnelTrust, UnknownRevocation,
};
pub use smtpd::{
    DmarcWish, Forwarded, HeaderField, HeaderFieldFault, Inbound, Ldap, Outbound, RecipientSource, Require, Smtpd,
};
pub use store::{BlobStore, RowStore, Store, StoreNameFault};
pub use tls::Tls;
pub use vault::{AgeRecipient, AgeRecipientFault, Vault};
