//! What this release understands but does not serve: a fault where mail would depend on it, else a warning.

use crate::config::sections::{BlobStore, Deliver, KeySource, RowStore};
use crate::config::settings::Settings;
use crate::fault::Reader;

/// Reports what is written and not served yet.
pub(crate) fn check_served(settings: &Settings, reader: &mut Reader) {
    if matches!(settings.store.rows, RowStore::Postgres(_)) {
        mail_depends("store.rows", "postgres://", "write \"embedded\", or leave it out", reader);
    }
    if matches!(settings.store.blobs, BlobStore::S3(_)) {
        mail_depends("store.blobs", "s3://", "write \"files\", or leave it out", reader);
    }
    if let Some(require) = settings.smtpd.outbound.as_ref().and_then(|door| door.require.as_ref()) {
        let hint = "require a header field, or leave it out";
        if require.client_certificate.is_some() {
            mail_depends(&require.place.of("client_certificate"), "a client certificate", hint, reader);
        }
        if require.auth.is_some() {
            mail_depends(&require.place.of("auth"), "AUTH", hint, reader);
        }
    }
    for department in &settings.department {
        let what = match &department.deliver {
            Deliver::MailServer => continue,
            Deliver::Hosted => "\"hosted\"",
            Deliver::Imaps(_) => "imaps://",
        };
        mail_depends(&department.place.of("deliver"), what, "write \"mail-server\", or leave it out", reader);
    }
    check_rules_served(settings, reader);
    warn_of_sections(settings, reader);
}

fn check_rules_served(settings: &Settings, reader: &mut Reader) {
    for rule in &settings.rule {
        if !rule.login.is_empty() {
            mail_depends(&rule.place.of("login"), "login", "leave it out: every provider may be used", reader);
        }
        if !rule.copy_to.is_empty() {
            mail_depends(&rule.place.of("copy_to"), "copy_to", "leave it out", reader);
        }
        if rule.template.is_some() {
            reader.warning(&rule.place.of("template"), "not served yet", "the usual notice is sent");
        }
    }
}

fn warn_of_sections(settings: &Settings, reader: &mut Reader) {
    let sections = [
        (settings.imapd.as_ref().map(|imapd| imapd.place.key.clone()), "the door stays shut"),
        (settings.notify.sms.as_ref().map(|sms| sms.place.key.clone()), "no short message is sent"),
    ];
    for (key, hint) in sections {
        if let Some(key) = key {
            reader.warning(&key, "not served yet", hint);
        }
    }
    for own in &settings.own_certificate {
        if matches!(own.key, KeySource::Pkcs11(_)) {
            let hint = "name a file or `credential:NAME`";
            mail_depends(&own.place.of("key"), "a key in a device (pkcs11:)", hint, reader);
        }
    }
}

fn mail_depends(key: &str, what: &str, hint: &str, reader: &mut Reader) {
    reader.fault(key, format!("{what} is not served yet"), hint);
}
