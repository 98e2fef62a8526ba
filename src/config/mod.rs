//! The configuration file: reading it whole, checking it whole, telling about it.

mod sections;
mod settings;
mod check;
mod rules;
mod meant;
mod served;
mod files;
mod load;
mod reference;

pub use files::Files;
pub use load::{Loaded, USUAL_PLACES, find, load, parse};
pub use reference::{reference, reference_page, reference_value};
pub use sections::{
    AgeRecipient, AgeRecipientFault, BlobStore, ChannelName, ChoosableBy, Claims, Condition, ConditionFault, Content,
    Control, Deliver, DeliverFault, Delivery, DeliveryRoute, Department, Dkim, DmarcWish, Expect, Forwarded, Grants,
    HeaderField, HeaderFieldFault, Identity, ImapLogin, Imapd, Inbound, Label, Ldap, Log, Notify, OnFound,
    Organisation, Outbound, OwnCertificate, Pattern, Policy, Portal, ProtectionName, Provider, Queue, RecipientSource,
    Require, Reveal, RowStore, Rule, Scan, Selector, Sender, Sms, Smtpd, Store, StoreNameFault, TimeZone, Tls, Trust,
    Tunnel, Unknown, Unreachable, Vault,
};
pub use settings::Settings;
