//! What stands around every page, and how a page becomes an answer.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::net::Time;
use crate::portal::config::Owner;
use crate::portal::door::Portal;
use crate::portal::refusal::Refusal;
use crate::portal::visit::Visit;
use crate::texts::{Language, Zone, say};

/// The one style sheet.
pub(crate) const CSS: &str = include_str!("../../templates/portal/portal.css");
/// Its address: another sheet has another.
pub(crate) static CSS_PATH: LazyLock<String> = LazyLock::new(|| {
    let sum = digest::digest(&digest::SHA256, CSS.as_bytes());
    let hex: String = sum.as_ref().iter().take(8).map(|octet| format!("{octet:02x}")).collect();
    format!("/static/portal-{hex}.css")
});
/// How long before its end a login's end is warned of.
pub(crate) const WARNING: i64 = 120;

/// Header, navigation and footer of a page, and its texts.
pub(crate) struct Frame {
    pub(crate) language: Language,
    pub(crate) owner: Owner,
    pub(crate) zone: Zone,
    pub(crate) languages: Vec<Choice>,
    pub(crate) bar: Option<Bar>,
    /// The path that the navigation marks as the present one.
    pub(crate) path: String,
    /// There is unsaved writing on the page: another language is asked for with the form, so that it is saved first.
    pub(crate) is_written_on: bool,
    /// Seconds until the warning that the login will end.
    warn_in: Option<i64>,
}

/// A language to change to.
pub(crate) struct Choice {
    pub(crate) language: Language,
    pub(crate) link: String,
}

/// What a page shows of a login.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) csrf: String,
    pub(crate) ends: String,
}

impl Frame {
    /// The frame for this visit.
    pub(crate) fn new(portal: &Portal, visit: &Visit) -> Self {
        let zone = portal.settings.zone.clone();
        let mark = if visit.here.contains('?') { '&' } else { '?' };
        let link = |language: Language| format!("{}{mark}lang={language}", visit.here);
        let languages = Language::ALL.map(|language| Choice { language, link: link(language) });
        let now = portal.deps.clock.now();
        let bar = visit.visitor.as_ref().map(|visitor| Bar {
            name: visitor.who.name.clone(),
            csrf: visitor.csrf.clone(),
            ends: hour(&zone, visit.language, end_of(visitor.ends, visitor.ends_at_last)),
        });
        let left = |visitor: &crate::identity::Visitor| {
            end_of(visitor.ends, visitor.ends_at_last).unix_seconds() - now.unix_seconds()
        };
        Self {
            language: visit.language,
            owner: portal.settings.organisation.clone(),
            zone,
            languages: languages.into(),
            bar,
            path: visit.here.split('?').next().unwrap_or_default().to_owned(),
            is_written_on: false,
            warn_in: visit.visitor.as_ref().map(|visitor| (left(visitor) - WARNING).max(1)),
        }
    }

    /// The same frame around a page with unsaved writing on it: nothing takes that page away.
    pub(crate) fn that_stays(mut self) -> Self {
        self.warn_in = None;
        self.is_written_on = true;
        self
    }

    /// A text in the page's language.
    pub(crate) fn t(&self, id: &str) -> String {
        say(self.language, id, &[("organisation", &self.owner.name)])
    }

    /// A text with one word put in.
    pub(crate) fn t1(&self, id: &str, name: &str, word: &str) -> String {
        say(self.language, id, &[("organisation", &self.owner.name), (name, word)])
    }

    /// A text with a count put in.
    pub(crate) fn count(&self, id: &str, count: &usize) -> String {
        self.t1(id, "count", &count.to_string())
    }

    /// A day and time, milliseconds since 1970.
    pub(crate) fn moment(&self, unix_ms: &i64) -> String {
        self.zone.moment(self.language, *unix_ms)
    }

    /// A text with a day and time put in.
    pub(crate) fn at(&self, id: &str, unix_ms: &i64) -> String {
        self.t1(id, "time", &self.moment(unix_ms))
    }

    /// The same as RFC 3339.
    pub(crate) fn machine(&self, unix_ms: &i64) -> String {
        Time::from_unix_ms(*unix_ms).rfc3339()
    }

    /// A number of octets as people write it.
    pub(crate) fn size(&self, octets: &u64) -> String {
        size(self.language, *octets)
    }

    /// What kind of file a media type means.
    pub(crate) fn kind<'m>(&self, media_type: &'m str) -> &'m str {
        kind(media_type)
    }

    /// The style sheet's address.
    pub(crate) fn css(&self) -> &'static str {
        &CSS_PATH
    }

    /// Whether the navigation's entry is where we are.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    /// The warning's address and how soon to go there.
    pub(crate) fn refresh(&self) -> Option<HeaderValue> {
        let warn_in = self.warn_in?;
        HeaderValue::from_str(&format!("{warn_in}; url=/still-there?back={}", self.path)).ok()
    }
}

/// The moment without its day: it is never far away.
fn hour(zone: &Zone, language: Language, time: Time) -> String {
    let (moment, day) = (zone.moment(language, time.unix_ms()), zone.day(language, time.unix_ms()));
    moment.strip_prefix(&day).unwrap_or(&moment).trim_start().to_owned()
}

/// What kind of file that is, in the word people have for it.
pub(crate) fn kind(media_type: &str) -> &str {
    match media_type {
        "application/pdf" => "PDF",
        "application/msword" | "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "Word",
        "application/vnd.ms-excel" | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "Excel",
        "application/vnd.oasis.opendocument.text" => "OpenDocument",
        "application/zip" => "ZIP",
        "image/jpeg" => "JPEG",
        "image/png" => "PNG",
        "text/plain" => "TXT",
        "text/html" => "HTML",
        other => other,
    }
}

/// `12 kB`, `3,4 MB`: decimal units as browsers and phones show them.
pub(crate) fn size(language: Language, octets: u64) -> String {
    let tenths = |unit: u64| (octets.saturating_mul(10) / unit, unit);
    let (tenths, unit) = match octets {
        0..1_000 => return format!("{octets} B"),
        1_000..1_000_000 => (tenths(1_000).0, "kB"),
        1_000_000.. => (tenths(1_000_000).0, "MB"),
    };
    let point = match language {
        Language::Sv | Language::Da => ',',
        Language::En => '.',
    };
    if tenths >= 100 || tenths % 10 == 0 {
        format!("{}\u{a0}{unit}", tenths / 10)
    } else {
        format!("{}{point}{}\u{a0}{unit}", tenths / 10, tenths % 10)
    }
}

/// A page as an answer.
pub(crate) fn page(status: StatusCode, frame: &Frame, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = (status, Html(html)).into_response();
            if let Some(refresh) = frame.refresh() {
                response.headers_mut().insert(header::REFRESH, refresh);
            }
            response
        }
        Err(fault) => {
            tracing::error!(reason = %fault, "a page cannot be made");
            Refusal::Unavailable.into_response()
        }
    }
}

fn end_of(idle: Time, at_last: Time) -> Time {
    idle.min(at_last)
}

#[cfg(test)]
mod tests {
    use crate::portal::frame::*;

    #[test]
    fn sizes_are_told_as_people_write_them() {
        assert_eq!(size(Language::Sv, 999), "999 B");
        assert_eq!(size(Language::Sv, 1_500), "1,5\u{a0}kB");
        assert_eq!(size(Language::En, 3_456_789), "3.4\u{a0}MB");
        assert_eq!(size(Language::Da, 25_000_000), "25\u{a0}MB");
    }
}
