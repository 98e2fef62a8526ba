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

/// Whether a program answered for somebody who is away or has received: `Auto-Submitted: auto-replied` (RFC 3834 §5), or
/// what older programs write. A list's mail and a bounce are no such answer.
#[must_use]
pub fn is_out_of_office(header: &Header) -> bool {
    let starts = |name: &str, word: &str| {
        header.first(name).is_some_and(|field| field.unfolded().to_ascii_lowercase().starts_with(word))
    };
    if starts("Content-Type", "multipart/report") {
        return false;
    }
    starts("Auto-Submitted", "auto-replied")
        || starts("Precedence", "auto_reply")
        || ["X-Autoreply", "X-Autorespond"].iter().any(|name| header.first(name).is_some())
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

    #[test]
    fn an_absence_is_told_from_a_bounce_and_a_list() {
        for (header, away) in [
            ("Auto-Submitted: auto-replied (vacation)\r\n", true),
            ("X-Autoreply: yes\r\n", true),
            ("Auto-Submitted: auto-generated\r\n", false),
            ("Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=x\r\n", false),
            ("List-Id: <x>\r\n", false),
        ] {
            assert_eq!(is_out_of_office(&Header::new(header)), away, "{header}");
        }
    }
}
