//! All integration tests, as one program: one link, one start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "house/mail.rs"]
mod mail;
#[path = "house/identity.rs"]
mod identity;
#[path = "house/records.rs"]
mod records;
#[path = "house/store.rs"]
mod store;
#[path = "house/vault.rs"]
mod vault;
#[path = "house/pkits.rs"]
mod pkits;
#[path = "house/certificate_files.rs"]
mod certificate_files;
#[path = "house/pki.rs"]
mod pki;
#[path = "house/smime_office.rs"]
mod smime_office;
#[path = "house/cms_enveloped.rs"]
mod cms_enveloped;
#[path = "house/cms_signed.rs"]
mod cms_signed;
#[path = "house/smime_programs.rs"]
mod smime_programs;
#[path = "house/smime_peers.rs"]
mod smime_peers;
#[path = "house/smime_samples.rs"]
mod smime_samples;
#[path = "house/tidy.rs"]
mod tidy;
#[path = "house/delivery.rs"]
mod delivery;
#[path = "house/delivery_real.rs"]
mod delivery_real;
#[path = "house/open_internet.rs"]
mod open_internet;
#[path = "house/transport_table.rs"]
mod transport_table;
#[path = "house/trusted_resolver.rs"]
mod trusted_resolver;
#[path = "house/tls_reports.rs"]
mod tls_reports;
#[path = "house/outcomes.rs"]
mod outcomes;
#[path = "house/sender_auth.rs"]
mod sender_auth;
#[path = "house/name_server.rs"]
mod name_server;
#[path = "house/scripted_peer.rs"]
mod scripted_peer;
#[path = "house/dovecot.rs"]
mod dovecot;
#[path = "house/leaks.rs"]
mod leaks;
#[path = "house/running.rs"]
mod running;
#[path = "house/postfix.rs"]
mod postfix;
#[path = "house/exim.rs"]
mod exim;
#[path = "house/smuggling.rs"]
mod smuggling;
#[path = "house/starttls.rs"]
mod starttls;
#[path = "house/internet_faults.rs"]
mod internet_faults;
#[path = "house/route.rs"]
mod route;
#[path = "house/inbound.rs"]
mod inbound;
#[path = "house/slapd.rs"]
mod slapd;
#[path = "house/crash.rs"]
mod crash;
#[path = "house/command.rs"]
mod command;
#[path = "house/unit.rs"]
mod unit;
#[path = "house/operator.rs"]
mod operator;
#[path = "house/operations.rs"]
mod operations;
#[path = "house/queue_walk.rs"]
mod queue_walk;
#[path = "house/queue.rs"]
mod queue;
#[path = "house/erasure.rs"]
mod erasure;
#[path = "house/faults.rs"]
mod faults;
#[path = "house/powercut.rs"]
mod powercut;
#[path = "house/mail_sink.rs"]
mod mail_sink;
#[path = "house/signing.rs"]
mod signing;
#[path = "house/passing.rs"]
mod passing;

#[path = "house/tunnel_out.rs"]
mod tunnel_out;
#[path = "house/trust.rs"]
mod trust;
#[path = "house/trust_limits.rs"]
mod trust_limits;
#[path = "house/tunnel_in.rs"]
mod tunnel_in;
#[path = "house/config.rs"]
mod config;
#[path = "house/policy.rs"]
mod policy;
#[path = "house/reception.rs"]
mod reception;
#[path = "house/smtp.rs"]
mod smtp;
#[path = "house/portal.rs"]
mod portal;
#[path = "house/scan.rs"]
mod scan;
#[path = "house/pdf.rs"]
mod pdf;
