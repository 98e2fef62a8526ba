//! A message between the wire and the house: counted, watched, and swallowed once it is refused.

use crate::queue::Receiving;
use crate::smtp::Reply;
use crate::smtpd::door::Scene;
use crate::smtpd::header_watch::HeaderWatch;
use crate::smtpd::texts;
use crate::smtpd::transaction::{Greeting, Transaction};
use crate::telemetry::Labels;

/// How many octets beyond the limit are swallowed for the sake of a proper reply; then the session ends.
const PATIENCE_OCTETS: u64 = 64 << 20;

/// A message that is coming in.
pub(crate) struct Intake {
    /// The house's end, or why the message is refused.
    course: Result<Box<dyn Receiving>, Reply>,
    watch: Option<HeaderWatch>,
    octets: u64,
    limit: u64,
}

impl Intake {
    /// Asks the house to receive the message; a no is kept for when the message has come.
    pub(crate) async fn begin(scene: &Scene, greeting: &Greeting, transaction: Transaction) -> Self {
        let settings = scene.settings();
        let peer = scene.peer(greeting, transaction.mail.smtputf8);
        let (envelope, size) = transaction.into_envelope();
        let asked = scene.door.reception.receive(settings.origin, &peer, envelope, size).await;
        Self {
            course: asked.map_err(|error| scene.explain("message", &error)),
            watch: settings.require.header.clone().map(HeaderWatch::new),
            octets: 0,
            limit: settings.max_message_size,
        }
    }

    /// Why the message is refused, if it is.
    pub(crate) fn refusal(&self) -> Option<&Reply> {
        self.course.as_ref().err()
    }

    /// Takes the next octets, or swallows them.
    pub(crate) async fn take(&mut self, scene: &Scene, octets: &[u8]) {
        self.octets = self.octets.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        if self.octets > self.limit {
            self.refuse(scene, texts::TOO_LARGE);
        }
        if self.watch.as_mut().is_some_and(|watch| !watch.look(octets)) {
            self.refuse(scene, texts::HEADER_WANTED);
        }
        let Ok(receiving) = &mut self.course else { return };
        if let Err(error) = receiving.write(octets).await {
            self.course = Err(scene.explain("message", &error));
        }
    }

    /// Refuses the message: the first reason counts, and what the house holds of it goes at once.
    pub(crate) fn refuse(&mut self, scene: &Scene, reply: Reply) {
        if self.course.is_ok() {
            tracing::info!(door = scene.door.name(), code = reply.code(), octets = self.octets, "message refused");
            scene.door.metrics.refused.get_or_create(&Labels::of("message")).inc();
            self.course = Err(reply);
        }
    }

    /// Whether so many octets more are beyond all patience.
    pub(crate) fn is_beyond_patience(&self, more: u64) -> bool {
        self.octets.saturating_add(more) > self.limit.saturating_add(PATIENCE_OCTETS)
    }

    /// All has come: has the message judged and promised.
    pub(crate) async fn finish(mut self, scene: &Scene) -> Reply {
        if self.watch.as_ref().is_some_and(|watch| !watch.has_found()) {
            self.refuse(scene, texts::HEADER_WANTED);
        }
        let receiving = match self.course {
            Ok(receiving) => receiving,
            Err(reply) => return reply,
        };
        match receiving.promise().await {
            Ok(id) => {
                scene.door.metrics.promised.get_or_create(&Labels::of(scene.door.name())).inc();
                tracing::info!(door = scene.door.name(), item.id = %id, octets = self.octets, "promised");
                texts::queued_as(id)
            }
            Err(error) => scene.explain("message", &error),
        }
    }
}
