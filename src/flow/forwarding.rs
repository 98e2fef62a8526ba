//! The return path of what our mail server forwards for strangers (Sender Rewriting Scheme): one of ours, so that SPF holds
//! where it arrives, and a report still finds home.

use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::flow::settings::Settings;
use crate::flow::ways::Outside;
use crate::mail::{Address, Domain, LocalPart, ReversePath, Srs};
use crate::net::Time;
use crate::queue::Origin;
use crate::vault::IndexKey;

/// How long reports are taken: as long as others try to deliver, and some.
const DAYS: u64 = 21;
const DAY: Duration = Duration::from_secs(86_400);
/// Days are counted in two characters.
const DAYS_IN_ALL: u64 = 32 * 32;
/// Characters of a hash, of five bits each. Who guesses is refused each time, and shown out soon.
const HASH: usize = 6;
/// Letters and digits that stay what they are when somebody folds their case (RFC 4648 §6).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl Settings {
    /// As whose a message that came through this door leaves to the internet.
    #[must_use]
    pub fn outside(&self, key: &IndexKey, origin: Origin, sender: &ReversePath, now: Time) -> Outside {
        let paths = ReturnPaths { key, hostname: &self.hostname };
        match sender {
            ReversePath::Mailbox(stranger) if !self.is_inside(stranger.domain()) => {
                Outside { sender: paths.of(stranger, now), is_of_strangers: true }
            }
            ReversePath::Mailbox(_) => {
                Outside { sender: sender.clone(), is_of_strangers: self.of_ours(sender).is_none() }
            }
            ReversePath::Null => Outside { sender: sender.clone(), is_of_strangers: origin == Origin::Inbound },
        }
    }
}

/// Makes return paths at our host name, and knows its own.
#[derive(Clone, Copy)]
pub struct ReturnPaths<'k> {
    /// What they are hashed with.
    pub key: &'k IndexKey,
    /// Our host name.
    pub hostname: &'k Domain,
}

impl ReturnPaths<'_> {
    /// The return path for mail of this sender. Where it would be too long there is none: a report about it is lost.
    #[must_use]
    pub fn of(&self, sender: &Address, now: Time) -> ReversePath {
        let local = sender.local().as_str();
        let text = match Srs::read(local) {
            Some(Srs::First { .. }) => {
                let first = local.get(4..).unwrap_or_default();
                self.further(sender.domain().as_str(), first)
            }
            Some(Srs::Further { host, first, .. }) => self.further(host, first),
            None => {
                let behind = format!("{}={}={local}", day(now), sender.domain().as_str());
                format!("SRS0={}={behind}", self.hash("first", &behind))
            }
        };
        match LocalPart::plain(&text) {
            Ok(local) => ReversePath::Mailbox(Address::new(local, self.hostname.clone())),
            Err(_) => ReversePath::Null,
        }
    }

    /// Where a report to one of our return paths goes; `None` if we made no such one, or too long ago. The time of one that
    /// others had rewritten before us is theirs to judge.
    #[must_use]
    pub fn home(&self, path: &Address, now: Time) -> Option<Address> {
        if path.domain() != self.hostname {
            return None;
        }
        match Srs::read(path.local().as_str())? {
            Srs::First { hash, day, domain, local } => {
                let ours = self.hash("first", &format!("{day}={domain}={local}"));
                let home = Address::new(LocalPart::plain(local).ok()?, domain.parse().ok()?);
                (same(&ours, hash) && is_fresh(day, now)).then_some(home)
            }
            Srs::Further { hash, host, first } => {
                let ours = self.hash("further", &format!("{host}={first}"));
                let home = Address::new(LocalPart::plain(&format!("SRS0{first}")).ok()?, host.parse().ok()?);
                same(&ours, hash).then_some(home)
            }
        }
    }

    fn further(&self, host: &str, first: &str) -> String {
        let behind = format!("{host}={first}");
        format!("SRS1={}={behind}", self.hash("further", &behind))
    }

    /// Over folded text: some fold what they send reports to.
    fn hash(&self, kind: &str, text: &str) -> String {
        let hashed = format!("{kind}\0{}\0{}", self.hostname.as_str(), text.to_lowercase());
        let hash = self.key.hash("return-path", hashed.as_bytes());
        hash.iter().take(HASH).map(|octet| letter(u64::from(*octet))).collect()
    }
}

fn same(ours: &str, told: &str) -> bool {
    ours.as_bytes().ct_eq(told.to_ascii_uppercase().as_bytes()).into()
}

fn letter(value: u64) -> char {
    let place = usize::try_from(value % 32).unwrap_or(0);
    LETTERS.get(place).copied().map_or('A', char::from)
}

fn number(now: Time) -> u64 {
    u64::try_from(now.unix_seconds()).unwrap_or(0) / DAY.as_secs() % DAYS_IN_ALL
}

fn day(now: Time) -> String {
    let number = number(now);
    [letter(number / 32), letter(number)].into_iter().collect()
}

fn is_fresh(day: &str, now: Time) -> bool {
    let value = |letter: u8| LETTERS.iter().position(|known| *known == letter.to_ascii_uppercase());
    let [high, low] = day.as_bytes() else { return false };
    let Some((high, low)) = value(*high).zip(value(*low)) else { return false };
    let made = u64::try_from(high * 32 + low).unwrap_or(0);
    (number(now) + DAYS_IN_ALL - made) % DAYS_IN_ALL <= DAYS
}

#[cfg(test)]
mod tests {
    use crate::flow::forwarding::*;

    #[test]
    fn a_report_finds_home_and_nothing_else_goes_there() {
        let (key, hostname) = (IndexKey::new(&[7; 32]), "gw.sundby.example".parse().unwrap());
        let paths = ReturnPaths { key: &key, hostname: &hostname };
        let now = Time::from_unix_ms(1_790_000_000_000);
        let made = |sender: &str, now| match paths.of(&sender.parse().unwrap(), now) {
            ReversePath::Mailbox(path) => path.to_string(),
            ReversePath::Null => String::new(),
        };
        let home = |path: &str, now| paths.home(&path.parse().unwrap(), now).map(|home| home.to_string());
        for (sender, begins) in [
            ("eva@live.example", "SRS0="),
            ("Eva.=x@live.example", "SRS0="),
            ("\"e va\"@live.example", "\"SRS0="),
            ("åsa@live.example", "SRS0="),
            ("SRS0=ab12=TT=live.example=eva@fwd.example", "SRS1="),
            ("srs0+ab12=TT=live.example=eva@fwd.example", "SRS1="),
        ] {
            let Ok(address) = sender.parse::<Address>() else { continue };
            let path = made(sender, now);
            assert!(path.starts_with(begins) && path.ends_with("@gw.sundby.example"), "{path}");
            let back = home(&path, now).unwrap();
            assert_eq!(back.to_lowercase(), address.folded());
            // Whatever others fold, it is found; whatever they change, it is not.
            for folded in [path.to_lowercase(), path.to_uppercase()] {
                assert_eq!(home(&folded, now).unwrap().to_lowercase(), address.folded(), "{folded}");
            }
            for changed in [
                path.replacen("live", "evil", 1),
                path.replacen("va", "ve", 1),
                path.replacen("@gw.", "@other.", 1),
                path.replacen("SRS0", "SRS1", 1),
            ] {
                assert!(changed == path || home(&changed, now).is_none(), "{changed}");
            }
        }
        // A third one who passes it on keeps the first: it does not grow.
        let second = "SRS1=cd34=fwd.example==ab12=TT=live.example=eva@next.example";
        assert!(made(second, now).ends_with("=fwd.example==ab12=TT=live.example=eva@gw.sundby.example"));
        assert_eq!(home(&made(second, now), now).unwrap(), "SRS0=ab12=TT=live.example=eva@fwd.example");
        // 21 days, and not one made for tomorrow's clock.
        let path = made("eva@live.example", now);
        for (days, is_taken) in [(0, true), (1, true), (21, true), (22, false), (400, false), (1_023, false)] {
            assert_eq!(home(&path, now.after(DAY * days)).is_some(), is_taken, "{days}");
        }
        let other = IndexKey::new(&[8; 32]);
        assert!(ReturnPaths { key: &other, hostname: &hostname }.home(&path.parse().unwrap(), now).is_none());
        // 64 octets (RFC 5321 §4.5.3.1.1): what is longer has no return path.
        let room = 64 - "SRS0=HHHHHH=TT=live.example=".len();
        assert_ne!(made(&format!("{}@live.example", "x".repeat(room)), now), "");
        assert_eq!(made(&format!("{}@live.example", "x".repeat(room + 1)), now), "");
        for forged in [
            "SRS0=@gw.sundby.example",
            "SRS0=AAAAAA=AA=live.example=eva@gw.sundby.example",
            "SRS0=AAAAAA=é=live.example=eva@gw.sundby.example",
            "eva@gw.sundby.example",
        ] {
            assert!(forged.parse().is_ok_and(|path| paths.home(&path, now).is_none()), "{forged}");
        }
    }
}
