//! Reports on TLS (RFC 8460): where a domain wants them, what they hold, and the two forms they are sent in.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::mail::address::Address;
use crate::mail::compose::{Letter, MultipartWriter};
use crate::mail::domain::Domain;
use crate::mail::write::structured;

/// Places of one record that are told.
const PLACES: usize = 4;
/// Octets of one place's URI that are read.
const URI_OCTETS: usize = 1_024;
/// Policies of one report, and failures of one policy that are told apart. Those over it stand in the totals alone.
const POLICIES: usize = 20;
const DETAILS: usize = 100;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// A place where a domain wants its reports (RFC 8460 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportPlace {
    /// `mailto:`.
    Mail(Address),
    /// `https:` at its usual port: host, and path with query.
    Https(Domain, String),
}

/// What goes to a domain of one day, in the names of RFC 8460 §4.4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsReport {
    /// Who reports, by name.
    pub organization_name: String,
    /// The day.
    pub date_range: DateRange,
    /// Whom to ask.
    pub contact_info: String,
    /// Nobody else's; the same when a report is sent again.
    pub report_id: String,
    /// What was found, policy by policy.
    pub policies: Vec<ReportedPolicy>,
}

/// A day in UTC, as RFC 3339 writes its first and last second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DateRange {
    /// `…T00:00:00Z`.
    pub start_datetime: String,
    /// `…T23:59:59Z`.
    pub end_datetime: String,
}

/// What came of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReportedPolicy {
    /// The policy.
    pub policy: AppliedPolicy,
    /// How many sessions.
    pub summary: SessionCount,
    /// What failed, told apart by reason and host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<FailureDetail>,
}

/// What a domain asked of sessions with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AppliedPolicy {
    /// Which kind.
    pub policy_type: PolicyType,
    /// Its TLSA records, or the lines of its MTA-STS policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    /// The domain.
    pub policy_domain: String,
    /// The host of the TLSA records, or the patterns of the MTA-STS policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mx_host: Vec<String>,
}

/// The kinds of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyType {
    /// DANE (RFC 7672).
    Tlsa,
    /// MTA-STS (RFC 8461).
    Sts,
    /// Neither.
    NoPolicyFound,
}

/// Sessions under one policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SessionCount {
    /// Those inside TLS, as the policy asks.
    pub total_successful_session_count: u64,
    /// Those that were not.
    pub total_failure_session_count: u64,
}

/// Sessions that failed in one way with one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureDetail {
    /// In which way.
    pub result_type: TlsFailure,
    /// Our address, where it is one of the open internet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<IpAddr>,
    /// The host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// The host's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<IpAddr>,
    /// How many.
    pub failed_session_count: u64,
    /// More about the way, in words of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

/// How TLS with a host, or finding out what to ask of it, failed (RFC 8460 §4.3). `dane-required` is nothing that can be
/// configured here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsFailure {
    /// The host does not take STARTTLS.
    StarttlsNotSupported,
    /// The certificate is for other names.
    CertificateHostMismatch,
    /// The certificate has ended.
    CertificateExpired,
    /// Nobody we trust vouches for the certificate.
    CertificateNotTrusted,
    /// Anything else.
    ValidationFailure,
    /// None of the TLSA records is usable.
    TlsaInvalid,
    /// What the DNS says is not what the zone's owner signed.
    DnssecInvalid,
    /// The policy cannot be fetched.
    StsPolicyFetchError,
    /// What was fetched is no policy.
    StsPolicyInvalid,
    /// The policy host did not prove itself.
    StsWebpkiInvalid,
}

/// The places in the texts at `_smtp._tls.DOMAIN`, at most four; none unless exactly one of the texts is a record of this
/// kind (RFC 8460 §3).
#[must_use]
pub fn report_places(texts: &[String]) -> Vec<ReportPlace> {
    let mut records = texts.iter().filter_map(|text| {
        let (version, fields) = text.split_once(';')?;
        (version.trim_end() == "v=TLSRPTv1").then_some(fields)
    });
    let (Some(record), None) = (records.next(), records.next()) else { return Vec::new() };
    let fields = record.split(';').filter_map(|field| field.split_once('='));
    let rua = fields.map(|(key, value)| (key.trim(), value)).find(|(key, _)| *key == "rua");
    let mut places = Vec::new();
    for place in rua.into_iter().flat_map(|(_, uris)| uris.split(',')).filter_map(|uri| place(uri.trim())) {
        if places.len() < PLACES && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn place(uri: &str) -> Option<ReportPlace> {
    if uri.len() > URI_OCTETS || !uri.bytes().all(|octet| octet.is_ascii_graphic()) {
        return None;
    }
    let (scheme, rest) = uri.split_once(':')?;
    if scheme.eq_ignore_ascii_case("mailto") {
        let address: Address = unescaped(rest.split('?').next()?)?.parse().ok()?;
        return (!address.needs_smtputf8()).then_some(ReportPlace::Mail(address));
    }
    let rest = rest.strip_prefix("//").filter(|_| scheme.eq_ignore_ascii_case("https"))?;
    let rest = rest.split('#').next()?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // At another port something else may listen, which takes for a command what we send.
    let host = authority.strip_suffix(":443").unwrap_or(authority);
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some(ReportPlace::Https(host.parse().ok()?, path))
}

/// Without the escapes of RFC 3986 §2.1.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut octets = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        octets.push(u8::from_str_radix(code, 16).ok()?);
        octets.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(octets).ok()
}

/// As a record writes it, without escapes.
impl fmt::Display for ReportPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(address) => write!(f, "mailto:{address}"),
            Self::Https(host, path) => write!(f, "https://{host}{path}"),
        }
    }
}

impl DateRange {
    /// The day that begins so many days after 1970 began.
    #[must_use]
    pub fn of_day(day: i64) -> Self {
        let (start, end) = seconds_of(day);
        let written = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH).to_string();
        Self { start_datetime: written(start), end_datetime: written(end) }
    }
}

/// Its first and last second since 1970.
fn seconds_of(day: i64) -> (i64, i64) {
    let start = day.saturating_mul(DAY);
    (start, start.saturating_add(DAY - 1))
}

impl ReportedPolicy {
    /// One session under a policy, or one failure to find the policy out.
    #[must_use]
    pub fn one(policy: AppliedPolicy, failure: Option<FailureDetail>) -> Self {
        let failed = u64::from(failure.is_some());
        let summary = SessionCount { total_successful_session_count: 1 - failed, total_failure_session_count: failed };
        Self { policy, summary, failure_details: failure.into_iter().collect() }
    }
}

impl FailureDetail {
    fn is_like(&self, other: &Self) -> bool {
        Self { failed_session_count: other.failed_session_count, ..self.clone() } == *other
    }
}

/// Adds what was found of a domain to what was found before, within the bounds of one report.
pub fn add_policies(to: &mut Vec<ReportedPolicy>, more: Vec<ReportedPolicy>) {
    for new in more {
        let Some(known) = to.iter_mut().find(|known| known.policy == new.policy) else {
            if to.len() < POLICIES {
                to.push(new);
            }
            continue;
        };
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        let (all, more) = (&mut known.summary, new.summary);
        add(&mut all.total_successful_session_count, more.total_successful_session_count);
        add(&mut all.total_failure_session_count, more.total_failure_session_count);
        for detail in new.failure_details {
            let has_room = known.failure_details.len() < DETAILS;
            match known.failure_details.iter_mut().find(|known| known.is_like(&detail)) {
                Some(known) => add(&mut known.failed_session_count, detail.failed_session_count),
                None if has_room => known.failure_details.push(detail),
                None => {}
            }
        }
    }
}

impl TlsReport {
    /// The report as JSON, compressed: what is uploaded under `application/tlsrpt+gzip` (RFC 8460 §5.4).
    #[must_use]
    pub fn compressed(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing into memory cannot fail.
        let _ = encoder.write_all(&json);
        encoder.finish().unwrap_or_default()
    }

    /// `Subject` of the letter that carries it (RFC 8460 §5.3).
    #[must_use]
    pub fn subject(&self, domain: &Domain, submitter: &Domain) -> String {
        format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{}>", self.report_id)
    }

    /// The letter with the report of that day in it (RFC 8460 §5.3).
    #[must_use]
    pub fn to_bytes(&self, letter: &Letter, domain: &Domain, submitter: &Domain, day: i64) -> Vec<u8> {
        let boundary = format!("report-{}", letter.message_id.trim_matches(['<', '>']).replace(['@', '.'], "-"));
        let mut octets = letter.header();
        octets.extend(structured("TLS-Report-Domain", domain.as_str()));
        octets.extend(structured("TLS-Report-Submitter", submitter.as_str()));
        octets.extend_from_slice(
            format!("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n").as_bytes(),
        );
        octets.extend(letter.entity());
        octets.extend_from_slice(b"\r\n");
        let (start, end) = seconds_of(day);
        // The form of the name is the standard's (RFC 8460 §5.1).
        let name = format!("{submitter}!{domain}!{start}!{end}.json.gz");
        let mut parts = MultipartWriter::new(boundary);
        octets.extend(parts.file(&name, "application/tlsrpt+gzip"));
        octets.extend(parts.octets(&self.compressed()));
        octets.extend(parts.end_file());
        octets.extend(parts.end());
        octets
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use mail_parser::{MessageParser, MimeHeaders};
    use serde_json::{Value, json};

    use crate::mail::tls_report::*;

    fn places_in(texts: &[&str]) -> Vec<String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        report_places(&texts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_record_names_its_places() {
        let many: String = (0..9).map(|number| format!("mailto:a{number}@live.example,")).collect();
        for (texts, places) in [
            (&["v=TLSRPTv1; rua=mailto:tls@live.example"][..], &["mailto:tls@live.example"][..]),
            (&["v=TLSRPTv1;rua=MAILTO:tls%2bx@live.example?subject=x;"], &["mailto:tls+x@live.example"]),
            (
                &["spf", "v=TLSRPTv1 ;\trua = https://live.example:443/r?id=1a=2#x "],
                &["https://live.example/r?id=1a=2"],
            ),
            (
                &["v=TLSRPTv1;x=y;rua=https://live.example,mailto:a@b.example"],
                &["https://live.example/", "mailto:a@b.example"],
            ),
            (&["v=TLSRPTv1;rua=https://live.example?q"], &["https://live.example/?q"]),
            (
                &[&format!("v=TLSRPTv1;rua={many}")],
                &[
                    "mailto:a0@live.example",
                    "mailto:a1@live.example",
                    "mailto:a2@live.example",
                    "mailto:a3@live.example",
                ],
            ),
            (&["v=TLSRPTv1;rua=mailto:a@b.example,mailto:a@b.example"], &["mailto:a@b.example"]),
            // Nothing else is called, and of two records neither counts.
            (&["v=TLSRPTv1;rua=http://live.example/,ftp://live.example,https:live.example,tls@live.example"], &[]),
            (
                &["v=TLSRPTv1;rua=https://live.example:25/,https://a@live.example/,https://192.0.2.1/,https://[::1]/"],
                &[],
            ),
            (
                &["v=TLSRPTv1;rua=mailto:å@live.example,mailto:%e5@live.example,mailto:a%0d%0a@live.example,mailto:%2"],
                &[],
            ),
            (&["v=TLSRPTv1;rua=mailto:a@b.example", "v=TLSRPTv1;rua=mailto:a@b.example"], &[]),
            (&["v=TLSRPTv2;rua=mailto:a@b.example", "v=TLSRPTv1", "v=TLSRPTv1;", ""], &[]),
        ] {
            assert_eq!(places_in(texts), places, "{texts:?}");
        }
    }

    fn failed(host: &str) -> ReportedPolicy {
        let policy = AppliedPolicy {
            policy_type: PolicyType::Tlsa,
            policy_string: vec!["3 1 1 ABAB".into()],
            policy_domain: "live.example".into(),
            mx_host: vec!["mx.live.example".into()],
        };
        let detail = FailureDetail {
            result_type: TlsFailure::StarttlsNotSupported,
            sending_mta_ip: None,
            receiving_mx_hostname: Some(host.into()),
            receiving_ip: Some("192.0.2.1".parse().unwrap()),
            failed_session_count: 1,
            failure_reason_code: None,
        };
        ReportedPolicy::one(policy, Some(detail))
    }

    fn report(policies: Vec<ReportedPolicy>) -> TlsReport {
        TlsReport {
            organization_name: "Sundby kommun".into(),
            date_range: DateRange::of_day(17_000),
            contact_info: "postmaster@sundby.example".into(),
            report_id: "1@gw.sundby.example".into(),
            policies,
        }
    }

    /// The letter and what is in it, read by libraries that did not write them.
    #[test]
    fn the_letter_carries_the_report_in_the_names_of_the_standard() {
        let mut policies = vec![failed("mx.live.example")];
        let success = ReportedPolicy::one(policies[0].policy.clone(), None);
        add_policies(&mut policies, vec![failed("mx.live.example"), success]);
        let [domain, submitter]: [Domain; 2] = ["live.example", "sundby.example"].map(|name| name.parse().unwrap());
        let report = report(policies);
        let letter = Letter {
            from: ("Sundby".into(), "noreply@sundby.example".parse().unwrap()),
            to: "tls@live.example".parse().unwrap(),
            reply_to: None,
            subject: report.subject(&domain, &submitter),
            text: "TLS\n".into(),
            html: None,
            language: "en".into(),
            message_id: "<a@gw.sundby.example>".into(),
            date_unix_ms: 0,
            in_reply_to: None,
            auto_replied: false,
        };
        let octets = report.to_bytes(&letter, &domain, &submitter, 17_000);
        let message = MessageParser::default().parse(&octets).unwrap();
        let kind = message.content_type().unwrap();
        assert_eq!(
            (kind.ctype(), kind.subtype(), kind.attribute("report-type")),
            ("multipart", Some("report"), Some("tlsrpt"))
        );
        assert_eq!(message.header_raw("TLS-Report-Domain").unwrap().trim(), "live.example");
        assert_eq!(message.header_raw("TLS-Report-Submitter").unwrap().trim(), "sundby.example");
        assert_eq!(
            message.subject().unwrap(),
            "Report Domain: live.example Submitter: sundby.example Report-ID: <1@gw.sundby.example>"
        );
        let part = message.attachment(0).unwrap();
        let kind = part.content_type().unwrap();
        assert_eq!((kind.ctype(), kind.subtype()), ("application", Some("tlsrpt+gzip")));
        assert_eq!(part.attachment_name(), Some("sundby.example!live.example!1468800000!1468886399.json.gz"));
        let mut json = String::new();
        GzDecoder::new(part.contents()).read_to_string(&mut json).unwrap();
        let wanted = json!({
            "organization-name": "Sundby kommun",
            "date-range": { "start-datetime": "2016-07-18T00:00:00Z", "end-datetime": "2016-07-18T23:59:59Z" },
            "contact-info": "postmaster@sundby.example",
            "report-id": "1@gw.sundby.example",
            "policies": [{
                "policy": {
                    "policy-type": "tlsa",
                    "policy-string": ["3 1 1 ABAB"],
                    "policy-domain": "live.example",
                    "mx-host": ["mx.live.example"]
                },
                "summary": { "total-successful-session-count": 1, "total-failure-session-count": 2 },
                "failure-details": [{
                    "result-type": "starttls-not-supported",
                    "receiving-mx-hostname": "mx.live.example",
                    "receiving-ip": "192.0.2.1",
                    "failed-session-count": 2
                }]
            }]
        });
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), wanted);
    }

    #[test]
    fn a_report_stays_within_its_bounds() {
        let mut policies = Vec::new();
        for number in 0..300 {
            add_policies(&mut policies, vec![failed(&format!("mx{number}.live.example"))]);
            let mut other = failed("mx.live.example");
            other.policy.policy_string = vec![number.to_string()];
            add_policies(&mut policies, vec![other]);
        }
        assert_eq!((policies.len(), policies[0].failure_details.len()), (20, 100));
        assert_eq!(policies[0].summary.total_failure_session_count, 300, "the totals are whole");
    }
}
