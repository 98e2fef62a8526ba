//! The aliases of an answer (RFC 1034 §3.6.2, RFC 6672).

use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// Aliases that are followed from one name.
pub(crate) const ALIASES: usize = 8;

/// Where the aliases of an answer lead from the asked name.
pub(crate) struct Chain<'a> {
    /// In the order in which they are followed, at most [`ALIASES`].
    pub aliases: Vec<&'a Record>,
    /// The name behind the last one.
    pub end: Name,
}

impl<'a> Chain<'a> {
    /// Follows the aliases until a record of the kind that was asked for. Whatever else stands in an answer, it says nothing
    /// of what was asked.
    pub(crate) fn of(asked: &Name, kind: RecordType, answers: &'a [Record]) -> Self {
        let (mut aliases, mut end) = (Vec::new(), asked.clone());
        while aliases.len() < ALIASES {
            let here = |of: RecordType| answers.iter().find(|it| it.name == end && it.record_type() == of);
            let (None, Some(alias)) = (here(kind), here(RecordType::CNAME)) else { break };
            let Some(target) = target_of(&alias.data) else { break };
            aliases.push(alias);
            end = target;
        }
        Self { aliases, end }
    }
}

/// What an alias stands for.
pub(crate) fn target_of(data: &RData) -> Option<Name> {
    match data {
        RData::CNAME(target) => Some(target.0.clone()),
        _ => None,
    }
}
