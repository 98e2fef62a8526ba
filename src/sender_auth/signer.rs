//! DKIM signatures (RFC 6376): over the fields that people and programs read, and over the body.

use std::sync::Arc;

use crate::mail::{Domain, Field, Header};
use crate::net::Time;
use crate::sender_auth::canonical::{BodyDigest, relaxed};
use crate::sender_auth::signed_field::signed;
use crate::sender_auth::signing_key::{SignFault, SigningKey};

/// Fields of one name that are signed: the lowest, which verifiers look at first (RFC 6376 §5.4.2).
const OF_ONE_NAME: usize = 20;

/// Fields that are signed, and once more than they stand there: nobody can add one without breaking the signature (RFC 6376
/// §8.15), also where there is none.
const SEALED: [&str; 8] =
    ["From", "Reply-To", "Subject", "To", "Cc", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];
/// Fields that are signed once more than they stand there, if they do: relays add them where they are missing.
const SEALED_IF_THERE: [&str; 5] = ["Date", "Message-ID", "Sender", "In-Reply-To", "References"];
/// Fields that are signed as they stand there.
const SIGNED: [&str; 12] = [
    "Auto-Submitted",
    "Content-Description",
    "Content-Disposition",
    "Content-ID",
    "Content-Language",
    "Disposition-Notification-To",
    "Importance",
    "List-Id",
    "List-Post",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Sensitivity",
];

/// A key, and the name that its public half is published under.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The domain it speaks for.
    pub domain: Domain,
    /// The selector: `SELECTOR._domainkey.DOMAIN` has the record.
    pub selector: String,
    /// The key.
    pub key: Arc<SigningKey>,
}

impl Signer {
    /// The `DKIM-Signature` field over this header and body, with its line end: to be put before all other fields. It is
    /// relaxed/relaxed and covers the whole body.
    ///
    /// # Errors
    /// [`SignFault`].
    pub fn dkim(&self, header: &Header, body: BodyDigest, now: Time) -> Result<Vec<u8>, SignFault> {
        let (names, fields) = covered(header, &[]);
        let mut tags = vec![("v", "1".to_owned())];
        tags.extend(self.tags(now));
        tags.extend([("h", names), ("bh", body.to_base64())]);
        signed("DKIM-Signature", &tags, &fields, &self.key)
    }

    /// The tags that DKIM and ARC have in common.
    pub(crate) fn tags(&self, now: Time) -> [(&'static str, String); 5] {
        [
            ("a", self.key.algorithm().tag().to_owned()),
            ("c", "relaxed/relaxed".to_owned()),
            ("d", self.domain.to_string()),
            ("s", self.selector.clone()),
            ("t", now.unix_seconds().to_string()),
        ]
    }
}

/// The `h=` tag for a header, and the fields it names in the relaxed form: of one name from below (RFC 6376 §5.4.2).
pub(crate) fn covered(header: &Header, more: &[&str]) -> (String, Vec<u8>) {
    let fields: Vec<Field<'_>> = header.fields().collect();
    let (mut names, mut octets) = (Vec::new(), Vec::new());
    let mut cover = |name: &str, once_more: fn(usize) -> bool| {
        let mut found = fields.iter().rev().filter(|field| field.is(name));
        let mut count = 0;
        for field in found.by_ref().take(OF_ONE_NAME) {
            relaxed(field.name, field.value, &mut octets);
            count += 1;
        }
        // Named once more than that, the next one above would be looked for: it is not signed.
        let named = count + usize::from(found.next().is_none() && once_more(count));
        names.extend(std::iter::repeat_n(name.to_owned(), named));
    };
    SEALED.iter().for_each(|name| cover(name, |_| true));
    SEALED_IF_THERE.iter().for_each(|name| cover(name, |count| count > 0));
    SIGNED.iter().chain(more).for_each(|name| cover(name, |_| false));
    (names.join(":"), octets)
}

#[cfg(test)]
mod tests {
    use crate::sender_auth::signer::*;
    use crate::sender_auth::signing_key::Algorithm;

    #[test]
    fn fields_are_covered_from_below_and_once_more() {
        let header = Header::new(
            &b"Received: x\r\nSubject: b\r\nX-Own: y\r\nfrom : Anna <anna@sundby.example>\r\nSUBJECT: a\r\n\tc\r\nDate: d\r\nno field\r\n"
                [..],
        );
        let (names, fields) = covered(&header, &["X-Own"]);
        assert_eq!(
            names,
            "From:From:Reply-To:Subject:Subject:Subject:To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding:Date:Date:X-Own"
        );
        let fields = String::from_utf8(fields).unwrap();
        assert_eq!(fields, "from:Anna <anna@sundby.example>\r\nsubject:a c\r\nsubject:b\r\ndate:d\r\nx-own:y\r\n");
    }

    #[test]
    fn of_too_many_fields_those_are_named_that_are_signed() {
        for (count, named) in
            [(OF_ONE_NAME - 1, OF_ONE_NAME), (OF_ONE_NAME, OF_ONE_NAME + 1), (OF_ONE_NAME + 1, OF_ONE_NAME)]
        {
            let to: String = (0..count).map(|number| format!("To: p{number}@live.example\r\n")).collect();
            let (names, fields) = covered(&Header::new(to.into_bytes()), &[]);
            assert_eq!(names.split(':').filter(|name| *name == "To").count(), named, "{count}");
            assert_eq!(String::from_utf8(fields).unwrap().lines().count(), count.min(OF_ONE_NAME));
        }
    }

    #[test]
    fn a_signature_stays_within_a_line() {
        let key = Arc::new(SigningKey::generate(Algorithm::Rsa).unwrap());
        let signer = Signer { domain: "sundby.example".parse().unwrap(), selector: "gw1".to_owned(), key };
        let header = Header::new(&b"From: anna@sundby.example\r\n"[..]);
        let field = signer.dkim(&header, BodyDigest([0; 32]), Time::from_unix_ms(0)).unwrap();
        let text = String::from_utf8(field).unwrap();
        assert!(text.split_inclusive("\r\n").all(|line| line.len() <= 80 && line.ends_with("\r\n")), "{text}");
        assert!(text.starts_with("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sundby.example;"), "{text}");
        assert!(!text.contains(" l=") && text.contains(" bh="));
    }
}
