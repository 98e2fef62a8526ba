//! The configuration file: reading it whole, checking it whole, telling about it.

mod sections;
mod settings;
mod check;
mod rules;
mod meant;
mod served;
mod files;
mod certificates;
mod load;
mod reference;

pub use files::Files;
pub use load::{Loaded, USUAL_PLACES, control_socket_in, find, load, parse};
pub use reference::{reference, reference_page, reference_value};
pub use sections::{
    AgeRecipient, AgeRecipientFault, BlobStore, CertificateFor, ChannelName, ChoosableBy, CipherWord, Claims,
    Condition, ConditionFault, Content, Control, Deliver, DeliverFault, Delivery, DeliveryRoute, Department, Dkim,
    DmarcWish, Expect, Forwarded, Grants, HeaderField, HeaderFieldFault, Identity, ImapLogin, Imapd, Inbound,
    KeySource, KeyTransportWord, Label, Ldap, ListPlace, Log, Notify, OnFound, Organisation, Outbound, OwnCertificate,
    Pattern, Policy, Portal, ProtectionName, Provider, Queue, RecipientSource, Require, Reveal, RowStore, Rule, Scan,
    Selector, Sender, Smime, Sms, Smtpd, Store, StoreNameFault, StrangersWord, SubjectWord, TimeZone, Tls, Trust,
    Tunnel, TunnelTrust, Unknown, UnknownRevocation, Unreachable, Vault,
};
pub use settings::Settings;
