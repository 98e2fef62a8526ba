//! The numbers at `/metrics`, in OpenMetrics text.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What a number is about: a fixed word of ours, never anything from a message.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Labels {
    /// Which of a few kinds.
    pub kind: &'static str,
}

/// All numbers. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// SMTP sessions open now, by door.
    pub sessions: Family<Labels, Gauge>,
    /// Messages promised, by door.
    pub promised: Family<Labels, Counter>,
    /// Messages or recipients refused, by step.
    pub refused: Family<Labels, Counter>,
    /// Recipients by what was done for them: pass, tunnel, personal, pickup, hold, refuse.
    pub treated: Family<Labels, Counter>,
    /// Delivery attempts by outcome: delivered, deferred, failed.
    pub attempts: Family<Labels, Counter>,
    /// Letters sealgate wrote, by kind.
    pub written: Family<Labels, Counter>,
    /// What the malware scanner said: clean, found, too-large, fault.
    pub scanned: Family<Labels, Counter>,
    /// Reports on TLS to domains outside: by-mail, by-https, failed (of one place, this time).
    pub tls_reports: Family<Labels, Counter>,
    /// Portal events: login, refused, opened, answered.
    pub portal: Family<Labels, Counter>,
    /// Messages in the queue when the page was asked for, by where they stand.
    pub queue: Family<Labels, Gauge>,
    /// Age in seconds of the oldest that waits for nobody's decision.
    pub queue_oldest: Gauge,
    /// Whether no mail is taken, by the mark that is passed.
    pub stopped: Family<Labels, Gauge>,
    /// DKIM keys made here that could not be read at the start: they sign nothing.
    pub unreadable_keys: Gauge,
    /// Domains and mailboxes of ours whose last S/MIME certificate ends within 90d, 30d, 7d, or has ended.
    pub own_certificates_ending: Family<Labels, Gauge>,
    /// Recipients whose mail could not be sealed when it was tried: theirs, ours (the certificate at fault), failed.
    pub unsealed: Family<Labels, Counter>,
    /// Failures that nobody could be told of.
    pub untold: Counter,
    /// Rows and bodies set aside because they could not be read.
    pub corrupt: Counter,
}

impl Labels {
    /// About this kind.
    #[must_use]
    pub const fn of(kind: &'static str) -> Self {
        Self { kind }
    }
}

impl Metrics {
    /// The numbers as OpenMetrics text (its media type is `application/openmetrics-text; version=1.0.0; charset=utf-8`).
    #[must_use]
    pub fn render(&self) -> String {
        let mut registry = Registry::with_prefix("sealgate");
        registry.register("smtp_sessions", "SMTP sessions open now", self.sessions.clone());
        registry.register("messages_promised", "Messages taken with a 250", self.promised.clone());
        registry.register("refused", "Messages and recipients refused", self.refused.clone());
        registry.register("recipients_treated", "Recipients by what was done for them", self.treated.clone());
        registry.register("delivery_attempts", "Delivery attempts by outcome", self.attempts.clone());
        registry.register("letters_written", "Notices, receipts, reports and answers written", self.written.clone());
        registry.register("scanned", "What the malware scanner said", self.scanned.clone());
        registry.register("tls_reports", "Reports on TLS told to domains outside", self.tls_reports.clone());
        registry.register("portal_events", "What happened in the portal", self.portal.clone());
        registry.register("queue_messages", "Messages in the queue, by stage", self.queue.clone());
        registry.register(
            "queue_oldest_seconds",
            "Age of the oldest message in the queue that waits for nobody's decision",
            self.queue_oldest.clone(),
        );
        registry.register("stopped", "1 while no mail is taken, by the mark that is passed", self.stopped.clone());
        registry.register(
            "unreadable_keys",
            "DKIM keys made here that could not be read at the start and sign nothing",
            self.unreadable_keys.clone(),
        );
        registry.register(
            "own_certificates_ending",
            "Domains and mailboxes of ours whose last S/MIME certificate ends within this time",
            self.own_certificates_ending.clone(),
        );
        registry.register(
            "recipients_unsealed",
            "Recipients whose mail could not be sealed when it was tried, and waits",
            self.unsealed.clone(),
        );
        registry.register("untold_failures", "Failures that nobody could be told of", self.untold.clone());
        registry.register("corrupt", "Rows and bodies set aside because they could not be read", self.corrupt.clone());
        let mut page = String::new();
        // Writing into a string cannot fail.
        let _ = text::encode(&mut page, &registry);
        page
    }
}

#[cfg(test)]
mod tests {
    use crate::telemetry::metric::*;

    #[test]
    fn numbers_are_shown_as_openmetrics() {
        let metrics = Metrics::default();
        metrics.promised.get_or_create(&Labels::of("outbound")).inc();
        let page = metrics.render();
        assert!(page.contains("sealgate_messages_promised_total{kind=\"outbound\"} 1\n"), "{page}");
        assert!(page.ends_with("# EOF\n"));
    }
}
