//! Age files as text (C2SP age v1, "ASCII armor"; RFC 7468 §3). Read, never written: what we keep is binary.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::vault::error::VaultError;

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";
const COLUMNS: usize = 64;

/// The binary age file in an armored one. Strict: whitespace before and behind alone is forgiven.
///
/// # Errors
/// [`VaultError::NotArmored`] if the text has another form.
pub fn unarmor(armored: &[u8]) -> Result<Vec<u8>, VaultError> {
    let text = std::str::from_utf8(armored).map_err(|_| VaultError::NotArmored("not text"))?;
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    if lines.next() != Some(BEGIN) {
        return Err(VaultError::NotArmored("its first line is another"));
    }
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    let mut ended = false;
    loop {
        let line = lines.next().ok_or(VaultError::NotArmored("its last line is missing"))?;
        if line == END {
            break;
        }
        if ended || line.is_empty() || line.len() > COLUMNS {
            return Err(VaultError::NotArmored("a line is empty, too long, or behind the last"));
        }
        // A line that is short or padded is the last.
        ended = line.len() < COLUMNS || line.ends_with('=');
        STANDARD.decode_vec(line, &mut octets).map_err(|_| VaultError::NotArmored("a line is not base 64"))?;
    }
    match lines.next() {
        None => Ok(octets),
        Some(_) => Err(VaultError::NotArmored("something stands behind its last line")),
    }
}
