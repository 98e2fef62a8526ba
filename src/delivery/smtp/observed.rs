//! What one attempt sees of a domain's TLS, for the report that the domain may want of it (RFC 8460 §4).

use std::net::IpAddr;

use crate::delivery::smtp::sts_policy::{Mode, StsPolicy};
use crate::mail::{AppliedPolicy, Domain, FailureDetail, PolicyType, ReportedPolicy, TlsFailure, add_policies};
use crate::net::{Outside, Tlsa};

/// TLSA records of one host, lines of one policy and octets of each that are told.
const LINES: usize = 110;
const LINE_OCTETS: usize = 600;
/// What is said of a host that the policy does not name.
const NOT_IN_POLICY: &str = "the policy does not name the host";

/// What was seen so far. Nothing of the message, nor of whom it is for, is in it.
#[derive(Debug, Default)]
pub struct Observed {
    /// The domain's MTA-STS policy, whatever it asks.
    sts: Option<StsPolicy>,
    /// Hosts with TLSA records.
    tlsa: Vec<Records>,
    found: Vec<ReportedPolicy>,
}

/// The TLSA records of a host.
#[derive(Debug)]
struct Records {
    host: Domain,
    lines: Vec<String>,
    are_usable: bool,
}

/// Between whom TLS was tried.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Our address.
    pub sending: Option<IpAddr>,
    /// The host's.
    pub receiving: IpAddr,
}

impl Observed {
    /// The domain has this policy.
    pub fn has_policy(&mut self, policy: Option<&StsPolicy>) {
        self.sts = policy.filter(|policy| policy.mode != Mode::None).cloned();
    }

    /// A host has these TLSA records.
    pub fn has_records(&mut self, host: &Domain, records: &[Tlsa], are_usable: bool) {
        let mut lines: Vec<String> = records.iter().map(ToString::to_string).collect();
        lines.sort();
        lines.retain(|line| line.len() <= LINE_OCTETS);
        lines.truncate(LINES);
        self.tlsa.push(Records { host: host.clone(), lines, are_usable });
    }

    /// Whether a certificate of this host is to be looked at for the report's sake alone: its domain tries its policy
    /// out (RFC 8461 §5).
    pub fn is_tried_out(&self, host: &Domain) -> bool {
        self.sts.as_ref().is_some_and(|policy| policy.mode == Mode::Testing) && self.records(host).is_none()
    }

    /// What came of TLS with a host.
    pub fn saw(&mut self, host: &Domain, ends: Ends, result: Result<(), TlsFailure>) {
        let (policy, failure) = match (self.records(host), &self.sts) {
            (Some(records), _) => {
                let unusable = (!records.are_usable).then_some((TlsFailure::TlsaInvalid, None));
                (records.policy(), unusable)
            }
            (None, Some(policy)) => {
                let unnamed = (!policy.covers(host)).then_some((TlsFailure::ValidationFailure, Some(NOT_IN_POLICY)));
                (sts(Some(policy)), unnamed)
            }
            (None, None) => (applied(PolicyType::NoPolicyFound, Vec::new(), Vec::new()), None),
        };
        let failure = result.err().map(|failure| (failure, None)).or(failure);
        self.add(
            policy,
            failure.map(|(failure, reason)| FailureDetail {
                sending_mta_ip: ends.sending.filter(|address| Outside::default().has(*address)),
                receiving_mx_hostname: Some(host.to_string()),
                receiving_ip: Some(ends.receiving),
                ..detail(failure, reason)
            }),
        );
    }

    /// The domain's policy does not name this host: it was not called.
    pub fn passed_over(&mut self, host: &Domain) {
        let policy = sts(self.sts.as_ref());
        let failure = detail(TlsFailure::ValidationFailure, Some(NOT_IN_POLICY));
        self.add(policy, Some(FailureDetail { receiving_mx_hostname: Some(host.to_string()), ..failure }));
    }

    /// A policy is there, and what it asks could not be found out.
    pub fn policy_failed(&mut self, failure: TlsFailure) {
        self.add(sts(None), Some(detail(failure, None)));
    }

    /// What a signed zone says could not be had as it was signed: of a host's TLSA records, or on the way to it.
    pub fn dnssec_failed(&mut self, host: Option<&Domain>) {
        let policy = applied(PolicyType::Tlsa, Vec::new(), host.map(ToString::to_string).into_iter().collect());
        let receiving_mx_hostname = host.map(ToString::to_string);
        self.add(policy, Some(FailureDetail { receiving_mx_hostname, ..detail(TlsFailure::DnssecInvalid, None) }));
    }

    /// All of it, as the domain's.
    pub fn into_policies(self, domain: &Domain) -> Vec<ReportedPolicy> {
        let mut found = self.found;
        for reported in &mut found {
            reported.policy.policy_domain = domain.as_str().to_ascii_lowercase();
        }
        found
    }

    fn records(&self, host: &Domain) -> Option<&Records> {
        self.tlsa.iter().find(|records| records.host == *host)
    }

    fn add(&mut self, policy: AppliedPolicy, failure: Option<FailureDetail>) {
        add_policies(&mut self.found, vec![ReportedPolicy::one(policy, failure)]);
    }
}

impl Records {
    fn policy(&self) -> AppliedPolicy {
        applied(PolicyType::Tlsa, self.lines.clone(), vec![self.host.to_string()])
    }
}

fn applied(policy_type: PolicyType, policy_string: Vec<String>, mx_host: Vec<String>) -> AppliedPolicy {
    AppliedPolicy { policy_type, policy_string, policy_domain: String::new(), mx_host }
}

fn sts(policy: Option<&StsPolicy>) -> AppliedPolicy {
    let mut lines = policy.map(StsPolicy::lines).unwrap_or_default();
    lines.retain(|line| line.len() <= LINE_OCTETS);
    lines.truncate(LINES);
    let mut hosts = policy.map(|policy| policy.hosts.clone()).unwrap_or_default();
    hosts.retain(|host| host.len() <= LINE_OCTETS);
    applied(PolicyType::Sts, lines, hosts)
}

fn detail(failure: TlsFailure, reason: Option<&str>) -> FailureDetail {
    FailureDetail {
        result_type: failure,
        sending_mta_ip: None,
        receiving_mx_hostname: None,
        receiving_ip: None,
        failed_session_count: 1,
        failure_reason_code: reason.map(str::to_owned),
    }
}
