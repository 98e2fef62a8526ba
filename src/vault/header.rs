//! The header of an age file: who can unlock, and a tag over it.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::vault::error::VaultError;
use crate::vault::key::Recipient;
use crate::vault::wrapped::{FileKey, Wrapped, hkdf};

const INTRO: &str = "age-encryption.org/v1\n";
const X25519: &str = "X25519";
const HYBRID: &str = "mlkem768x25519";
const SCRYPT: &str = "scrypt";
const MAC_LINE: &str = "---";
const COLUMNS: usize = 64;
/// Octets of a header. Ours has a few hundred; a stranger's may not fill the memory.
pub(crate) const HEADER_OCTETS: usize = 64 * 1024;
/// Stanzas of a header.
const STANZAS: usize = 100;

/// Writes a header that locks `file_key` to all `recipients`.
pub(crate) fn write(file_key: &FileKey, recipients: &[Recipient]) -> Result<Vec<u8>, VaultError> {
    let mut text = String::from(INTRO);
    for recipient in recipients {
        write_stanza(&mut text, &recipient.wrap(file_key)?);
    }
    text.push_str(MAC_LINE);
    let mac = mac(file_key, text.as_bytes())?;
    text.push(' ');
    text.push_str(&STANDARD_NO_PAD.encode(mac.as_ref()));
    text.push('\n');
    Ok(text.into_bytes())
}

/// A header that was read: its stanzas, its tag, and what the tag covers.
pub(crate) struct Header<'f> {
    stanzas: Vec<Stanza<'f>>,
    mac: Vec<u8>,
    covered: &'f [u8],
    /// Octets of the header: the payload begins behind them.
    pub length: usize,
}

struct Stanza<'f> {
    arguments: Vec<&'f str>,
    body: Vec<u8>,
}

impl<'f> Header<'f> {
    /// Reads a header. `Ok(None)` if more octets are needed.
    pub(crate) fn read(octets: &'f [u8]) -> Result<Option<Self>, VaultError> {
        let Some(length) = end_of(octets)? else { return Ok(None) };
        let octets = octets.get(..length).unwrap_or_default();
        let text = std::str::from_utf8(octets).map_err(|_| VaultError::NotAnAgeFile("its header is not text"))?;
        let mut lines =
            Lines { text: text.strip_prefix(INTRO).ok_or(VaultError::NotAnAgeFile("its first line is another"))? };
        let mut stanzas = Vec::new();
        loop {
            let line = lines.next().ok_or(VaultError::NotAnAgeFile("its header breaks off"))?;
            if let Some(mac) = line.strip_prefix(MAC_LINE) {
                let mac =
                    mac.strip_prefix(' ').and_then(decode).ok_or(VaultError::NotAnAgeFile("its tag is not base 64"))?;
                let covered = octets.get(..length - line.len() - 1 + MAC_LINE.len()).unwrap_or_default();
                if mac.len() != 32 || stanzas.is_empty() {
                    return Err(VaultError::NotAnAgeFile("it has no recipient or a tag of another length"));
                }
                return Ok(Some(Self { stanzas, mac, covered, length }));
            }
            stanzas.push(Stanza::read(line, &mut lines)?);
            if stanzas.len() > STANZAS {
                return Err(VaultError::NotAnAgeFile("it has too many recipients"));
            }
        }
    }

    /// The file key, if `unlock` finds it in a stanza and the header's tag is right.
    pub(crate) fn file_key(
        &self,
        unlock: impl Fn(&Wrapped) -> Result<Option<FileKey>, VaultError>,
    ) -> Result<FileKey, VaultError> {
        if self.stanzas.len() > 1 && self.stanzas.iter().any(|stanza| stanza.arguments.first() == Some(&SCRYPT)) {
            return Err(VaultError::NotAnAgeFile("a passphrase stands beside other recipients"));
        }
        // All stanzas are looked at before the first is tried: a file is well formed whoever opens it.
        let mut wrapped = Vec::with_capacity(self.stanzas.len());
        for stanza in &self.stanzas {
            wrapped.extend(stanza.wrapped()?);
        }
        let key = wrapped.iter().find_map(|wrapped| unlock(wrapped).transpose());
        let key = key.ok_or(VaultError::NoIdentityMatches)??;
        let expected = mac(&key, self.covered)?;
        // The tag is compared in constant time.
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), &self.mac)
            .map_err(|_| VaultError::TagIsWrong("the header"))?;
        Ok(key)
    }
}

fn write_stanza(text: &mut String, wrapped: &Wrapped) {
    let body = match wrapped {
        Wrapped::X25519 { share, body } => {
            text.extend(["-> ", X25519, " ", &STANDARD_NO_PAD.encode(share), "\n"]);
            body
        }
        Wrapped::Hybrid { encapsulated, body } => {
            text.extend(["-> ", HYBRID, " ", &STANDARD_NO_PAD.encode(encapsulated.as_slice()), "\n"]);
            body
        }
        Wrapped::Scrypt { salt, cost, body } => {
            text.extend(["-> ", SCRYPT, " ", &STANDARD_NO_PAD.encode(salt), " ", &cost.to_string(), "\n"]);
            body
        }
    };
    // 32 octets are 43 characters: one short line, as the format wants at the end of a body.
    text.extend([&STANDARD_NO_PAD.encode(body), "\n"]);
}

impl<'f> Stanza<'f> {
    fn read(line: &'f str, lines: &mut Lines<'f>) -> Result<Self, VaultError> {
        let arguments =
            line.strip_prefix("-> ").ok_or(VaultError::NotAnAgeFile("a stanza begins with another mark"))?;
        let arguments: Vec<&str> = arguments.split(' ').collect();
        if arguments.iter().any(|argument| argument.is_empty() || !argument.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(VaultError::NotAnAgeFile("a stanza's argument is empty or not visible"));
        }
        let mut encoded = String::new();
        loop {
            let line = lines.next().ok_or(VaultError::NotAnAgeFile("a stanza breaks off"))?;
            if line.len() > COLUMNS {
                return Err(VaultError::NotAnAgeFile("a stanza's line is too long"));
            }
            encoded.push_str(line);
            if line.len() < COLUMNS {
                let body = decode(&encoded).ok_or(VaultError::NotAnAgeFile("a stanza's body is not base 64"))?;
                return Ok(Self { arguments, body });
            }
        }
    }

    /// The locked file key; `None` for a kind of recipient we do not know, which is to be passed over.
    fn wrapped(&self) -> Result<Option<Wrapped>, VaultError> {
        let fault = || VaultError::NotAnAgeFile("a stanza of a known kind has another form");
        let body = || self.body.as_slice().try_into().map_err(|_| fault());
        let wrapped = match self.arguments.as_slice() {
            [X25519, share] => Wrapped::X25519 { share: octets(share).ok_or_else(fault)?, body: body()? },
            [HYBRID, encapsulated] => {
                let encapsulated = Box::new(octets(encapsulated).ok_or_else(fault)?);
                Wrapped::Hybrid { encapsulated, body: body()? }
            }
            [SCRYPT, salt, cost] => {
                let (salt, cost) = (octets(salt).ok_or_else(fault)?, decimal(cost).ok_or_else(fault)?);
                Wrapped::Scrypt { salt, cost, body: body()? }
            }
            [X25519 | HYBRID | SCRYPT, ..] => return Err(fault()),
            [..] => return Ok(None),
        };
        Ok(Some(wrapped))
    }
}

/// Digits without a leading zero.
fn decimal(text: &str) -> Option<u8> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

/// Lines ended by LF alone; a last line without one is no line.
struct Lines<'t> {
    text: &'t str,
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Option<&'t str> {
        let (line, rest) = self.text.split_once('\n')?;
        self.text = rest;
        Some(line)
    }
}

/// Where the header ends: behind the line that begins with `---`.
fn end_of(octets: &[u8]) -> Result<Option<usize>, VaultError> {
    let mut from = 0;
    while let Some(end) = octets.get(from..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
        let line = octets.get(from..from + end).unwrap_or_default();
        from += end + 1;
        if line.starts_with(MAC_LINE.as_bytes()) {
            return Ok(Some(from));
        }
        if from > HEADER_OCTETS {
            break;
        }
    }
    let looks_right = INTRO.as_bytes().starts_with(octets.get(..INTRO.len().min(octets.len())).unwrap_or_default());
    if octets.len() > HEADER_OCTETS || !looks_right {
        return Err(VaultError::NotAnAgeFile("its header has no end or another beginning"));
    }
    Ok(None)
}

fn mac(file_key: &FileKey, covered: &[u8]) -> Result<hmac::Tag, VaultError> {
    let key = hkdf(file_key.as_ref(), b"", b"header")?;
    Ok(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), covered))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}
