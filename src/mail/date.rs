//! Dates as mail writes them (RFC 5322 §3.3).

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `Tue, 24 Nov 2026 10:00:00 +0000`, of a moment in milliseconds since 1970.
#[must_use]
pub fn rfc5322(unix_ms: i64) -> String {
    let moment = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_is_written_as_the_standard_wants() {
        assert_eq!(crate::mail::date::rfc5322(0), "Thu, 01 Jan 1970 00:00:00 +0000");
    }
}
