//! Randomness, and tokens made of it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand;
use subtle::ConstantTimeEq;

use crate::vault::error::VaultError;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Characters of a token: 128 bits at five a character.
const TOKEN_LENGTH: usize = 26;

/// 128 random bits that nobody can guess, written as 26 characters of lower-case base 32 (RFC 4648 §6, no padding).
/// Compared in constant time; does not print.
#[derive(Clone)]
pub struct Token([u8; 16]);

/// The text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has 26 characters of a-z and 2-7")]
pub struct TokenFault;

/// So many random octets.
///
/// # Errors
/// [`VaultError::CryptographyFailed`] if the system has none.
pub fn random_octets<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut octets = [0; N];
    rand::fill(&mut octets)?;
    Ok(octets)
}

impl Token {
    /// A fresh token.
    ///
    /// # Errors
    /// [`VaultError::CryptographyFailed`] if the system has no randomness.
    pub fn random() -> Result<Self, VaultError> {
        Ok(Self(random_octets()?))
    }

    /// The 16 octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        for place in 0..TOKEN_LENGTH {
            // 26 characters hold 130 bits: the last two of them are zero.
            let shift = 123 - 5 * i32::try_from(place).unwrap_or(0);
            let digit = if shift >= 0 { bits >> shift } else { bits << -shift } & 31;
            let letter = usize::try_from(digit).ok().and_then(|digit| ALPHABET.get(digit)).copied().unwrap_or(b'a');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl FromStr for Token {
    type Err = TokenFault;

    fn from_str(text: &str) -> Result<Self, TokenFault> {
        if text.len() != TOKEN_LENGTH {
            return Err(TokenFault);
        }
        let mut bits: u128 = 0;
        for (place, letter) in text.bytes().enumerate() {
            let letter = letter.to_ascii_lowercase();
            let digit = ALPHABET.iter().position(|known| *known == letter).ok_or(TokenFault)? as u128;
            if place + 1 < TOKEN_LENGTH {
                bits = bits << 5 | digit;
            } else if digit & 3 == 0 {
                bits = bits << 3 | digit >> 2;
            } else {
                return Err(TokenFault);
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use crate::vault::random::*;

    #[test]
    fn a_token_survives_the_way_there_and_back_in_any_case() {
        for _ in 0..100 {
            let token = Token::random().unwrap();
            let text = token.to_string();
            assert_eq!(text.len(), 26);
            assert_eq!(text.parse::<Token>().unwrap(), token);
            assert_eq!(text.to_uppercase().parse::<Token>().unwrap(), token);
        }
        assert_eq!(Token([255; 16]).to_string(), "77777777777777777777777774");
        assert_eq!(format!("{:?}", Token([1; 16])), "…");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "a", "77777777777777777777777777", "11111111111111111111111111", "ååååååååååååå"]
        {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
