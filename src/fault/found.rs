//! A fault, and all the faults of one configuration.

use std::fmt;

use serde::{Serialize, Serializer};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing starts with this.
    Fault,
    /// It starts, but not all that is written is done.
    Warning,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, as it was named to us.
    pub file: String,
    /// The line in it, counted from 1; `None` where what is wrong is that nothing stands there.
    pub line: Option<usize>,
    /// The whole path of the setting, as TOML would write it: `tunnel."kommune.example".certificate`. Empty where no
    /// setting is meant.
    pub key: String,
    /// What is wrong, in one line.
    pub cause: String,
    /// What to do about it, in one line; may be empty.
    pub hint: String,
    /// How bad it is.
    pub severity: Severity,
}

/// All that is wrong with a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// No faults.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Puts these in the order of the file.
    #[must_use]
    pub fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        Self(faults)
    }

    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        let place = self.0.partition_point(|known| (&known.file, known.line) <= (&fault.file, fault.line));
        self.0.insert(place, fault);
    }

    /// All of them, warnings too.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// Whether there is nothing to say at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing here stops a start: there are warnings at most.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.count(Severity::Fault) == 0
    }

    fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|fault| fault.severity == severity).count()
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self::new(faults.into_iter().collect())
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// As `sealgate check --json` prints it: `{"sound", "faults": […]}`.
impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Report<'f> {
            sound: bool,
            faults: &'f [Fault],
        }
        Report { sound: self.is_sound(), faults: &self.0 }.serialize(serializer)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match self.severity {
            Severity::Fault => f.write_str(": ")?,
            Severity::Warning => f.write_str(": warning: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.cause)?;
        if self.hint.is_empty() {
            return Ok(());
        }
        write!(f, "\n  hint: {}", self.hint)
    }
}

impl Fault {
    /// Place, key and cause in one line, for a log that tells severity and hint by itself.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        format!("{}{line}: {key}{}", self.file, self.cause)
    }
}

/// One fault after the other, then how many there are, without a line end at the last. Empty if there are none.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.0 {
            writeln!(f, "{fault}")?;
        }
        let counted = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            many => Some(format!("{many} {word}s")),
        };
        let faults = counted(self.count(Severity::Fault), "fault");
        let warnings = counted(self.count(Severity::Warning), "warning");
        match (faults, warnings) {
            (Some(faults), Some(warnings)) => write!(f, "{faults}, {warnings}"),
            (Some(only), None) | (None, Some(only)) => f.write_str(&only),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fault::found::*;

    fn fault(line: usize, key: &str, cause: &str, hint: &str) -> Fault {
        Fault {
            file: "sealgate.toml".into(),
            line: Some(line),
            key: key.into(),
            cause: cause.into(),
            hint: hint.into(),
            severity: Severity::Fault,
        }
    }

    #[test]
    fn faults_print_in_the_order_of_the_file_with_hints_and_a_count() {
        let faults = Faults::new(vec![
            fault(58, "smtpd.outbound.max_mesage_size", "unknown setting", "did you mean `max_message_size`?"),
            fault(
                41,
                "tunnel.\"kommune.example\".certificate",
                "file not found: certs/kommune.pem",
                "paths are relative to sealgate.toml; `sealgate certificate import` copies one into place",
            ),
        ]);
        assert_eq!(
            faults.to_string(),
            "sealgate.toml:41: tunnel.\"kommune.example\".certificate: file not found: certs/kommune.pem\n  \
             hint: paths are relative to sealgate.toml; `sealgate certificate import` copies one into place\n\
             sealgate.toml:58: smtpd.outbound.max_mesage_size: unknown setting\n  \
             hint: did you mean `max_message_size`?\n\
             2 faults"
        );
    }

    #[test]
    fn a_warning_alone_stops_nothing_and_says_so_in_json() {
        let warning = Fault { severity: Severity::Warning, line: None, ..fault(9, "imapd", "not served yet", "") };
        let faults: Faults = [warning].into_iter().collect();
        assert_eq!(faults.to_string(), "sealgate.toml: warning: imapd: not served yet\n1 warning");
        let json = serde_json::to_value(&faults).unwrap();
        assert_eq!(json["sound"], true);
        assert_eq!(json["faults"][0]["severity"], "warning");
        assert_eq!(json["faults"][0]["line"], serde_json::Value::Null);
    }
}
