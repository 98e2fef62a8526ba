//! Rules: data in, compiled once when the configuration is read.

use std::sync::Arc;
use std::time::Duration;

use crate::mail::Domain;
use crate::policy::condition::Condition;
use crate::policy::directive::{Departments, NumberDomains};
use crate::policy::error::RuleFault;
use crate::policy::protection::{Channel, Protection};
use crate::policy::scan::Search;

/// A rule, as the configuration states it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name: what `explain` and the trace show.
    pub name: String,
    /// All of these hold, or there is none. `if.any`, `if.all` and `if.not` are one group each.
    pub conditions: Vec<Condition>,
    /// What it asks.
    pub protect: Option<Protection>,
    /// What a refused sender is told.
    pub text: Option<String>,
    /// How long the message can be read, at most `portal.retention`.
    pub retention: Option<Duration>,
    /// The department that gets answers.
    pub reply_to: Option<String>,
    /// The channels to serve it by, in order.
    pub channels: Option<Vec<Channel>>,
    /// Rules that whoever matches this one may lift with a tag.
    pub grants: Option<Grant>,
}

/// A tag that lifts rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What the sender writes in the subject.
    pub tag: String,
    /// The names of the rules it lifts.
    pub lifts: Vec<String>,
}

/// All rules and what they need, compiled.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) searches: Arc<[Search]>,
    pub(crate) inside: Vec<Domain>,
    pub(crate) hostname: Domain,
    pub(crate) departments: Departments,
    pub(crate) number_domains: NumberDomains,
    pub(crate) channels: Vec<Channel>,
}

/// Puts rules together.
#[derive(Debug)]
pub struct RulesBuilder {
    rules: Rules,
    searches: Vec<Search>,
}

impl Rule {
    /// A rule of this name that always matches and asks nothing.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            conditions: Vec::new(),
            protect: None,
            text: None,
            retention: None,
            reply_to: None,
            channels: None,
            grants: None,
        }
    }
}

impl RulesBuilder {
    /// No rules yet: our domains, and the name of this host, whose addresses are service addresses.
    #[must_use]
    pub fn new(inside: Vec<Domain>, hostname: Domain) -> Self {
        let channels = vec![Channel::Tunnel, Channel::Personal, Channel::Pickup];
        let rules = Rules {
            rules: Vec::new(),
            searches: Arc::from([]),
            inside,
            hostname,
            departments: Departments::new(),
            number_domains: NumberDomains::new(),
            channels,
        };
        Self { rules, searches: Vec::new() }
    }

    /// The return mailboxes a sender may name.
    #[must_use]
    pub fn departments(mut self, departments: Departments) -> Self {
        self.rules.departments = departments;
        self
    }

    /// `policy.number_domains`.
    #[must_use]
    pub fn number_domains(mut self, domains: NumberDomains) -> Self {
        self.rules.number_domains = domains;
        self
    }

    /// `policy.channels`.
    #[must_use]
    pub fn channels(mut self, channels: Vec<Channel>) -> Self {
        self.rules.channels = channels;
        self
    }

    /// A search for `contains`: its place, to stand in [`Condition::Contains`].
    pub fn search(&mut self, search: Search) -> usize {
        self.searches.push(search);
        self.searches.len() - 1
    }

    /// One more rule.
    pub fn rule(&mut self, rule: Rule) {
        self.rules.rules.push(rule);
    }

    /// The rules, or everything that is wrong with them together.
    ///
    /// # Errors
    /// [`RuleFault`]s: names that stand twice, grants of rules that are not there.
    pub fn build(mut self) -> Result<Rules, Vec<RuleFault>> {
        let mut faults = Vec::new();
        for (place, rule) in self.rules.rules.iter().enumerate() {
            if self.rules.rules.iter().take(place).any(|earlier| earlier.name == rule.name) {
                faults.push(RuleFault::NameStandsTwice(rule.name.clone()));
            }
            for lifted in rule.grants.iter().flat_map(|grant| &grant.lifts) {
                if !self.rules.rules.iter().any(|rule| rule.name == *lifted) {
                    faults.push(RuleFault::RuleIsUnknown(lifted.clone()));
                }
            }
        }
        self.rules.searches = self.searches.into();
        if faults.is_empty() { Ok(self.rules) } else { Err(faults) }
    }
}

impl Rules {
    /// Every tag that stands in a rule or grant: all of them are taken off the subject before a message goes on.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        fn gather(condition: &Condition, tags: &mut Vec<String>) {
            match condition {
                Condition::SubjectTag(own) => tags.extend(own.iter().cloned()),
                Condition::Any(inner) | Condition::All(inner) | Condition::Not(inner) => {
                    inner.iter().for_each(|condition| gather(condition, tags));
                }
                Condition::Subject(_)
                | Condition::HeaderIs(..)
                | Condition::HeaderMatches(..)
                | Condition::Sensitivity(_)
                | Condition::Label(_)
                | Condition::From(_)
                | Condition::FromDomain(_)
                | Condition::To(_)
                | Condition::ToDomain(_)
                | Condition::SizeOver(_)
                | Condition::Attachment(_)
                | Condition::MediaType(_)
                | Condition::Contains(_) => {}
            }
        }
        let mut tags = Vec::new();
        for rule in &self.rules {
            rule.conditions.iter().for_each(|condition| gather(condition, &mut tags));
            tags.extend(rule.grants.iter().map(|grant| grant.tag.clone()));
        }
        tags
    }

    /// The names of all rules, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }
}
