//! Days and moments as people write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::texts::language::Language;

/// The organisation's time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// The name stands in no time zone database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no time zone has this name; it is written like Europe/Stockholm")]
pub struct ZoneFault;

impl Zone {
    /// The zone with this name in the IANA database, such as `Europe/Stockholm`.
    ///
    /// # Errors
    /// [`ZoneFault`] if there is none.
    pub fn named(name: &str) -> Result<Self, ZoneFault> {
        TimeZone::get(name).map(Self).map_err(|_| ZoneFault)
    }

    /// `24 november 2026`, of a moment in milliseconds since 1970.
    #[must_use]
    pub fn day(&self, language: Language, unix_ms: i64) -> String {
        let civil = self.civil(unix_ms);
        let month = usize::try_from(civil.month()).unwrap_or(1).saturating_sub(1);
        let month = months(language).get(month).copied().unwrap_or_default();
        match language {
            Language::Sv | Language::En => format!("{} {month} {}", civil.day(), civil.year()),
            Language::Da => format!("{}. {month} {}", civil.day(), civil.year()),
        }
    }

    /// `24 november 2026 kl. 14.05`, of a moment in milliseconds since 1970.
    #[must_use]
    pub fn moment(&self, language: Language, unix_ms: i64) -> String {
        let civil = self.civil(unix_ms);
        let day = self.day(language, unix_ms);
        let (hour, minute) = (civil.hour(), civil.minute());
        match language {
            Language::Sv | Language::Da => format!("{day} kl. {hour:02}.{minute:02}"),
            Language::En => format!("{day} at {hour:02}:{minute:02}"),
        }
    }

    fn civil(&self, unix_ms: i64) -> jiff::civil::DateTime {
        Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.0.clone()).datetime()
    }
}

impl Default for Zone {
    /// Central European time, which Sweden and Denmark share.
    fn default() -> Self {
        Self(TimeZone::get("Europe/Stockholm").unwrap_or(TimeZone::UTC))
    }
}

fn months(language: Language) -> [&'static str; 12] {
    match language {
        Language::Sv => [
            "januari",
            "februari",
            "mars",
            "april",
            "maj",
            "juni",
            "juli",
            "augusti",
            "september",
            "oktober",
            "november",
            "december",
        ],
        Language::Da => [
            "januar",
            "februar",
            "marts",
            "april",
            "maj",
            "juni",
            "juli",
            "august",
            "september",
            "oktober",
            "november",
            "december",
        ],
        Language::En => [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::texts::when::*;

    #[test]
    fn a_moment_is_told_in_the_organisations_own_time() {
        let zone = Zone::named("Europe/Stockholm").unwrap();
        let summer = 1_782_907_200_000; // 2026-07-01T12:00:00Z
        assert_eq!(zone.moment(Language::Sv, summer), "1 juli 2026 kl. 14.00");
        assert_eq!(zone.moment(Language::Da, summer), "1. juli 2026 kl. 14.00");
        assert_eq!(zone.moment(Language::En, summer), "1 July 2026 at 14:00");
        assert!(Zone::named("Mars/Olympus").is_err());
    }
}
