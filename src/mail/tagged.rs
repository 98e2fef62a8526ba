//! Return paths that carry a mark of whoever sends or passes on: BATV (draft-levine-smtp-batv) and SRS. What stands inside
//! says whom a return path belongs to, where paths are compared. It proves nothing: anybody can write one.

use crate::mail::address::{Address, LocalPart};

/// Marks around one address.
const MARKS: usize = 4;
/// Octets of the mark of BATV: a digit for the key, three for the day, six of a hash.
const BATV_OCTETS: usize = 10;

/// The local part of an address rewritten by whoever passed a message on (Sender Rewriting Scheme, Meng Weng Wong 2003).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Srs<'a> {
    /// `SRS0=HHHH=TT=domain=local`: of the first who passed it on.
    First {
        /// His hash.
        hash: &'a str,
        /// His day.
        day: &'a str,
        /// The sender's domain.
        domain: &'a str,
        /// The sender's local part.
        local: &'a str,
    },
    /// `SRS1=HHHH=host==HHHH=TT=domain=local`: of each one after him, who sends a report straight back to the first.
    Further {
        /// His hash.
        hash: &'a str,
        /// The first one's host.
        host: &'a str,
        /// What the first one's local part has behind `SRS0`, its separator first.
        first: &'a str,
    },
}

impl<'a> Srs<'a> {
    /// Reads a local part; `None` if it is not rewritten so. The separator behind the name may be `=`, `+` or `-`.
    #[must_use]
    pub fn read(local: &'a str) -> Option<Self> {
        let (name, rest) = local.split_at_checked(4)?;
        let rest = behind_separator(rest)?;
        if name.eq_ignore_ascii_case("SRS0") {
            let (hash, rest) = rest.split_once('=')?;
            let (day, rest) = rest.split_once('=')?;
            let (domain, local) = rest.split_once('=')?;
            let is_whole = [hash, day, domain, local].iter().all(|part| !part.is_empty());
            return is_whole.then_some(Self::First { hash, day, domain, local });
        }
        if name.eq_ignore_ascii_case("SRS1") {
            let (hash, rest) = rest.split_once('=')?;
            let (host, first) = rest.split_once('=')?;
            let is_whole = !hash.is_empty() && !host.is_empty() && behind_separator(first)?.contains('=');
            return is_whole.then_some(Self::Further { hash, host, first });
        }
        None
    }
}

impl Address {
    /// The plain address inside the marks of BATV and SRS; itself where there are none. For comparing alone.
    #[must_use]
    pub fn untagged(&self) -> Self {
        let mut plain = self.clone();
        for _ in 0..MARKS {
            match within(&plain) {
                Some(inner) => plain = inner,
                None => break,
            }
        }
        plain
    }

    /// The same, where only the domain itself can have put the marks there; else as it is.
    #[must_use]
    pub fn untagged_at_home(&self) -> Self {
        let plain = self.untagged();
        if plain.domain() == self.domain() { plain } else { self.clone() }
    }
}

/// The address within one mark.
fn within(address: &Address) -> Option<Address> {
    let local = address.local().as_str();
    match Srs::read(local) {
        Some(Srs::First { domain, local, .. }) => {
            return Some(Address::new(LocalPart::plain(local).ok()?, domain.parse().ok()?));
        }
        Some(Srs::Further { host, first, .. }) => {
            return Some(Address::new(LocalPart::plain(&format!("SRS0{first}")).ok()?, host.parse().ok()?));
        }
        None => {}
    }
    let (name, rest) = local.split_once('=')?;
    let (mark, plain) = rest.split_once('=')?;
    let is_mark = mark.len() == BATV_OCTETS && mark.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_marked = name.eq_ignore_ascii_case("prvs") && is_mark;
    is_marked.then(|| LocalPart::plain(plain).ok()).flatten().map(|local| Address::new(local, address.domain().clone()))
}

fn behind_separator(text: &str) -> Option<&str> {
    text.strip_prefix(['=', '+', '-'])
}

#[cfg(test)]
mod tests {
    use crate::mail::tagged::*;

    #[test]
    fn the_plain_address_is_found_inside_whatever_marks_it() {
        for (tagged, plain) in [
            ("eva@live.example", "eva@live.example"),
            ("prvs=4053A1B2C3=eva@live.example", "eva@live.example"),
            ("PRVS=4053a1b2c3=Eva=x@live.example", "Eva=x@live.example"),
            ("SRS0=ab12=TT=live.example=eva@fwd.example", "eva@live.example"),
            ("srs0+ab12=tt=LIVE.example=eva=x@fwd.example", "eva=x@live.example"),
            ("SRS0-ab12=TT=live.example=prvs=4053A1B2C3=eva@fwd.example", "eva@live.example"),
            ("SRS1=cd34=fwd.example==ab12=TT=live.example=eva@next.example", "eva@live.example"),
            ("SRS1-cd34=fwd.example=+ab12=TT=live.example=eva@next.example", "eva@live.example"),
            ("\"SRS0=ab12=TT=live.example=e va\"@fwd.example", "\"e va\"@live.example"),
        ] {
            let address: Address = tagged.parse().unwrap();
            assert_eq!(address.untagged().to_string(), plain, "{tagged}");
        }
        // What is not marked so is an address like any other.
        for plain in [
            "prvs=eva@live.example",
            "prvs=405=eva@live.example",
            "prvs=4053A1B2C3=@live.example",
            "prvs=4053A1B2-3=eva@live.example",
            "prvs1=4053A1B2C3=eva@live.example",
            "SRS0=ab12=TT=live.example@fwd.example",
            "SRS0=ab12=TT=live.example=@fwd.example",
            "\"SRS0=ab12=TT=no host=eva\"@fwd.example",
            "SRS0ab12=TT=live.example=eva@fwd.example",
            "SRS2=ab12=TT=live.example=eva@fwd.example",
            "SRS1=cd34=fwd.example=eva@next.example",
            "srs@fwd.example",
            "åsa@fwd.example",
        ] {
            let address: Address = plain.parse().unwrap();
            assert_eq!(address.untagged(), address, "{plain}");
        }
        // More than four find no room in 64 octets.
        let deep: Address = "SRS0=a=b=c.d=SRS0=a=b=e.f=SRS0=a=b=g.h=SRS0=a=b=i.j=eva@k.l".parse().unwrap();
        assert_eq!(deep.untagged().to_string(), "eva@i.j");
        for (tagged, at_home) in [
            ("prvs=4053A1B2C3=eva@live.example", "eva@live.example"),
            ("SRS0=a=b=live.example=eva@fwd.example", "SRS0=a=b=live.example=eva@fwd.example"),
        ] {
            assert_eq!(tagged.parse::<Address>().unwrap().untagged_at_home().to_string(), at_home);
        }
    }
}
