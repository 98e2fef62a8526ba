//! Whom the inbound door takes mail for. Declared here, asked by `flow`, answered by `delivery`.

use async_trait::async_trait;

use crate::mail::{Address, Domain};

/// What is known of a recipient in one of our domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is such a recipient.
    Known,
    /// There is none.
    Unknown,
    /// There may be one, but it takes no mail: full, shut, or not for everybody.
    TakesNone,
    /// Nobody can tell now. The text is for the log, and names no address.
    Undecided(String),
}

/// Who knows our recipients.
#[async_trait]
pub trait RecipientCheck: Send + Sync {
    /// What is known of this recipient. It may take as long as the peer of a door waits, and no longer.
    async fn standing(&self, recipient: &Address) -> Standing;
}

/// What an address at the inbound door asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A mailbox in one of our domains: whether it is there has to be asked.
    Mailbox,
    /// Who answers for the mail of a domain of ours: always taken (RFC 5321 §4.5.1).
    Postmaster,
    /// To be passed on elsewhere: never taken.
    Relay,
}

/// What an address asks for. A local part with a way in it (`eva%live.example`, `live.example!eva`, `"eva@live.example"`)
/// is one for whoever understands it so: some mail server behind us may.
#[must_use]
pub fn wish(recipient: &Address, domains: &[Domain]) -> Wish {
    let local = recipient.local().as_str();
    if !domains.contains(recipient.domain()) || local.contains(['@', '%', '!']) {
        Wish::Relay
    } else if local.eq_ignore_ascii_case("postmaster") {
        Wish::Postmaster
    } else {
        Wish::Mailbox
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::admission::*;

    #[test]
    fn what_has_a_way_in_it_is_no_mailbox_of_ours() {
        let ours: [Domain; 2] = ["sundby.example".parse().unwrap(), "skola.sundby.example".parse().unwrap()];
        for (address, wanted) in [
            ("anna.berg@sundby.example", Wish::Mailbox),
            ("anna+x@SKOLA.sundby.example", Wish::Mailbox),
            ("\"anna berg\"@sundby.example", Wish::Mailbox),
            ("prvs=1a2b=anna@sundby.example", Wish::Mailbox),
            ("PostMaster@skola.sundby.example", Wish::Postmaster),
            ("eva@live.example", Wish::Relay),
            ("postmaster@live.example", Wish::Relay),
            ("anna@xn--sundby.example", Wish::Relay),
            ("anna@under.sundby.example", Wish::Relay),
            ("eva%live.example@sundby.example", Wish::Relay),
            ("live.example!eva@sundby.example", Wish::Relay),
            ("\"eva@live.example\"@sundby.example", Wish::Relay),
            ("\"@live.example:eva\"@sundby.example", Wish::Relay),
        ] {
            assert_eq!(wish(&address.parse().unwrap(), &ours), wanted, "{address}");
        }
    }
}
