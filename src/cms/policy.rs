//! Certificate policies along a path: RFC 5280 §6.1 with the graph of RFC 9618, which does in a bounded size what the tree
//! of the former does in one that an attacker chooses.

use std::collections::{BTreeMap, BTreeSet};

use crate::cms::certificate::Certificate;
use crate::cms::error::CmsError;
use crate::cms::extension::PolicyMapping;
use crate::cms::oid;

/// A policy: the content octets of its object identifier.
type Policy<'a> = &'a [u8];

/// What a caller demands of policies (RFC 5280 §6.1.1 c, e, f and g). Nothing, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyDemand {
    /// Policies that will do, as content octets of their object identifiers; none means any.
    pub acceptable: Option<Vec<Vec<u8>>>,
    /// A path without an acceptable policy is refused.
    pub explicit: bool,
    /// Authorities may not map policies.
    pub inhibit_mapping: bool,
    /// anyPolicy means nothing.
    pub inhibit_any: bool,
}

/// Why the policies do not stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyFlaw {
    /// An acceptable policy is demanded, and none is left.
    NoneLeft,
    /// anyPolicy is mapped (RFC 5280 §6.1.4 a).
    AnyIsMapped,
    /// The certificate cannot be read.
    Malformed(CmsError),
}

impl From<CmsError> for PolicyFlaw {
    fn from(fault: CmsError) -> Self {
        Self::Malformed(fault)
    }
}

/// One policy at one depth: what certificates below may call it, and what it came from.
#[derive(Debug, Default)]
struct Node<'a> {
    expected: BTreeSet<Policy<'a>>,
    parents: BTreeSet<Policy<'a>>,
}

/// The graph and the three counters.
#[derive(Debug)]
pub struct Policies<'a> {
    levels: Vec<BTreeMap<Policy<'a>, Node<'a>>>,
    any: Policy<'a>,
    /// Certificates that may still come before a policy is demanded, before mapping ends, and before anyPolicy ends.
    explicit_after: u64,
    mapping_until: u64,
    any_until: u64,
}

/// `anyPolicy`, to borrow from.
const ANY: &der::oid::ObjectIdentifier = &oid::ANY_POLICY;

impl<'a> Policies<'a> {
    /// Before the first of so many certificates.
    pub fn new(demand: &PolicyDemand, certificates: usize) -> Self {
        let any = ANY.as_bytes();
        let never = u64::try_from(certificates).unwrap_or(u64::MAX).saturating_add(1);
        let root = Node { expected: BTreeSet::from([any]), parents: BTreeSet::new() };
        Self {
            levels: vec![BTreeMap::from([(any, root)])],
            any,
            explicit_after: if demand.explicit { 0 } else { never },
            mapping_until: if demand.inhibit_mapping { 0 } else { never },
            any_until: if demand.inhibit_any { 0 } else { never },
        }
    }

    /// Whether a policy is left: none ever comes back where a depth has none.
    fn is_null(&self) -> bool {
        self.levels.last().is_none_or(BTreeMap::is_empty)
    }

    /// The next certificate's policies (RFC 5280 §6.1.3 d to f, RFC 9618 §5.2).
    pub fn enter(&mut self, certificate: &'a Certificate, is_last: bool) -> Result<(), PolicyFlaw> {
        let mut level: BTreeMap<Policy<'a>, Node<'a>> = BTreeMap::new();
        if let (Some(policies), Some(above)) = (certificate.policies()?, self.levels.last()) {
            let counts_any = self.any_until > 0 || (!is_last && certificate.is_self_issued());
            for policy in policies.iter().copied().filter(|policy| *policy != self.any) {
                let mut parents = expecting(above, policy);
                if parents.is_empty() && above.contains_key(self.any) {
                    parents.insert(self.any);
                }
                if !parents.is_empty() {
                    level.insert(policy, Node { expected: BTreeSet::from([policy]), parents });
                }
            }
            if counts_any && policies.contains(&self.any) {
                let expected: BTreeSet<Policy<'a>> =
                    above.values().flat_map(|node| node.expected.iter().copied()).collect();
                for policy in expected {
                    let parents = expecting(above, policy);
                    level.entry(policy).or_insert_with(|| Node { expected: BTreeSet::from([policy]), parents });
                }
            }
        }
        self.levels.push(level);
        if self.explicit_after == 0 && self.is_null() { Err(PolicyFlaw::NoneLeft) } else { Ok(()) }
    }

    /// What an authority's certificate says of those below it (RFC 5280 §6.1.4 a, b, h to j).
    pub fn prepare(&mut self, certificate: &'a Certificate) -> Result<(), PolicyFlaw> {
        let mut mappings: BTreeMap<Policy<'a>, BTreeSet<Policy<'a>>> = BTreeMap::new();
        for PolicyMapping { issuers, subjects } in certificate.policy_mappings()? {
            if issuers == self.any || subjects == self.any {
                return Err(PolicyFlaw::AnyIsMapped);
            }
            mappings.entry(issuers).or_default().insert(subjects);
        }
        self.map(mappings);
        if !certificate.is_self_issued() {
            self.explicit_after = self.explicit_after.saturating_sub(1);
            self.mapping_until = self.mapping_until.saturating_sub(1);
            self.any_until = self.any_until.saturating_sub(1);
        }
        let constraints = certificate.policy_constraints()?;
        self.explicit_after = self.explicit_after.min(constraints.require_explicit.unwrap_or(u64::MAX));
        self.mapping_until = self.mapping_until.min(constraints.inhibit_mapping.unwrap_or(u64::MAX));
        self.any_until = self.any_until.min(certificate.inhibit_any_policy()?.unwrap_or(u64::MAX));
        Ok(())
    }

    fn map(&mut self, mappings: BTreeMap<Policy<'a>, BTreeSet<Policy<'a>>>) {
        let Some(level) = self.levels.last_mut() else { return };
        for (policy, subjects) in mappings {
            if self.mapping_until == 0 {
                level.remove(policy);
            } else if let Some(node) = level.get_mut(policy) {
                node.expected = subjects;
            } else if level.contains_key(self.any) {
                level.insert(policy, Node { expected: subjects, parents: BTreeSet::from([self.any]) });
            }
        }
    }

    /// After the last certificate (RFC 5280 §6.1.5 a, b and g): the policies the path is valid for, in the words of the
    /// anchor's domain.
    pub fn finish(mut self, last: &Certificate, demand: &PolicyDemand) -> Result<Vec<Vec<u8>>, PolicyFlaw> {
        self.explicit_after = self.explicit_after.saturating_sub(1);
        if last.policy_constraints()?.require_explicit == Some(0) {
            self.explicit_after = 0;
        }
        let (domain, has_any) = self.of_the_domain();
        let acceptable = demand.acceptable.as_ref().filter(|all| !all.iter().any(|policy| policy == self.any));
        let valid: Vec<Vec<u8>> = match acceptable {
            None if has_any => vec![self.any.to_vec()],
            None => domain.iter().map(|policy| policy.to_vec()).collect(),
            Some(acceptable) => {
                acceptable.iter().filter(|policy| has_any || domain.contains(policy.as_slice())).cloned().collect()
            }
        };
        if self.explicit_after == 0 && valid.is_empty() { Err(PolicyFlaw::NoneLeft) } else { Ok(valid) }
    }

    /// The policies that begin below anyPolicy and reach the last certificate, and whether anyPolicy itself reaches it
    /// (RFC 9618 §5.4).
    fn of_the_domain(&self) -> (BTreeSet<Policy<'a>>, bool) {
        let Some(last) = self.levels.last() else { return (BTreeSet::new(), false) };
        let mut reached: BTreeSet<Policy<'a>> = last.keys().copied().collect();
        let has_any = reached.contains(self.any);
        let mut domain = BTreeSet::new();
        for level in self.levels.iter().rev() {
            let mut above = BTreeSet::new();
            for (policy, node) in level.iter().filter(|(policy, _)| reached.contains(*policy)) {
                if *policy != self.any && node.parents.contains(self.any) {
                    domain.insert(*policy);
                }
                above.extend(node.parents.iter().copied());
            }
            reached = above;
        }
        (domain, has_any)
    }
}

fn expecting<'a>(level: &BTreeMap<Policy<'a>, Node<'a>>, policy: Policy<'a>) -> BTreeSet<Policy<'a>> {
    level.iter().filter(|(_, node)| node.expected.contains(policy)).map(|(parent, _)| *parent).collect()
}
