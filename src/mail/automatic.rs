//! What a program sent (RFC 3834).

use crate::mail::field::Header;

/// Whether a program wrote the message: nobody is to be answered.
#[must_use]
pub fn is_automatic(header: &Header) -> bool {
    let says = |name: &str, values: &[&str]| {
        header.all(name).any(|field| {
            let value = field.unfolded().to_ascii_lowercase();
            values.iter().any(|known| value.split([';', ' ', ',']).next() == Some(known))
        })
    };
    let submitted =
        header.first("Auto-Submitted").is_some_and(|field| !field.unfolded().to_ascii_lowercase().starts_with("no"));
    submitted
        || says("Precedence", &["bulk", "list", "junk", "auto_reply"])
        || ["List-Id", "List-Unsubscribe", "X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"]
            .iter()
            .any(|name| header.first(name).is_some())
        || says("Content-Type", &["multipart/report"])
}

#[cfg(test)]
mod tests {
    use crate::mail::automatic::*;

    #[test]
    fn programs_are_told_from_people() {
        for (header, automatic) in [
            ("Auto-Submitted: auto-replied (vacation)\r\n", true),
            ("Auto-Submitted: no\r\n", false),
            ("Precedence: bulk\r\n", true),
            ("List-Id: <x>\r\n", true),
            ("Content-Type: multipart/report; report-type=x\r\n", true),
            ("Subject: Autosvar\r\n", false),
        ] {
            assert_eq!(is_automatic(&Header::new(header)), automatic, "{header}");
        }
    }
}
