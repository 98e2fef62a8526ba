//! Sizes and times as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::fault::setting::TextSetting;

/// A number of octets, written `100 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// The text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a size")]
pub struct SizeFault;

const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

const TIMES: [(&str, u64); 8] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("m", 60_000),
    ("s", 1_000),
    ("sec", 1_000),
    ("ms", 1),
];

impl FromStr for Size {
    type Err = SizeFault;

    fn from_str(text: &str) -> Result<Self, SizeFault> {
        let (number, unit) = split_unit(text.trim());
        let (_, octets) = SIZES.into_iter().find(|(name, _)| *name == unit.trim()).ok_or(SizeFault)?;
        let number: u64 = number.parse().map_err(|_| SizeFault)?;
        number.checked_mul(octets).filter(|size| *size > 0).map(Self).ok_or(SizeFault)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZES.into_iter().find(|(_, octets)| self.0.is_multiple_of(*octets));
        let (name, octets) = unit.unwrap_or(("B", 1));
        write!(f, "{} {name}", self.0 / octets)
    }
}

impl TextSetting for Size {
    const FORM: &'static str = "a size such as \"512 KiB\", \"100 MiB\" or \"2 GiB\"";
}

/// A time of one or several parts, each a number and `w`, `d`, `h`, `m` (or `min`), `s` or `ms`: `1h 30m`.
#[must_use]
pub fn read_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, tail) = split_unit(rest);
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(end)?;
        let (_, each) = TIMES.into_iter().find(|(name, _)| *name == unit)?;
        total = number.parse::<u64>().ok()?.checked_mul(each)?.checked_add(total)?;
        rest = after.trim_start();
    }
    Some(Duration::from_millis(total))
}

/// The shortest way to write a time: `1h 30m`.
#[must_use]
pub fn write_duration(time: Duration) -> String {
    let mut left = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (name, each) in TIMES.into_iter().filter(|(name, _)| !matches!(*name, "w" | "min" | "sec")) {
        if left >= each {
            parts.push(format!("{}{name}", left / each));
            left %= each;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use crate::fault::quantity::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, octets, written) in [
            ("100 MiB", 100 << 20, "100 MiB"),
            ("512KiB", 512 << 10, "512 KiB"),
            ("1024 KiB", 1 << 20, "1 MiB"),
            ("7 B", 7, "7 B"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (octets, written));
        }
        for text in ["", "MiB", "100", "100 MB", "-1 MiB", "1.5 MiB", "99999999999999 TiB", "1 MiB 2", "0 MiB"] {
            assert_eq!(text.parse::<Size>(), Err(SizeFault), "{text}");
        }
    }

    #[test]
    fn times_are_read_and_written() {
        for (text, seconds, written) in [
            ("30d", 2_592_000, "30d"),
            ("90s", 90, "1m 30s"),
            ("1h 30m", 5_400, "1h 30m"),
            ("2h5min", 7_500, "2h 5m"),
            ("1w", 604_800, "7d"),
        ] {
            let time = read_duration(text).unwrap();
            assert_eq!((time.as_secs(), write_duration(time).as_str()), (seconds, written));
        }
        for text in ["", "30", "d", "3 fortnights", "-1s", "1.5h", "99999999999999999999s", "1h 30", "å"] {
            assert_eq!(read_duration(text), None, "{text}");
        }
    }
}
