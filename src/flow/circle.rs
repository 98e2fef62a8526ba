//! Mail that goes in a circle is refused before it is looked at.

use crate::flow::house::{House, door};
use crate::flow::passes::Passes;
use crate::flow::settings::Settings;
use crate::mail::Header;
use crate::mail::limits;
use crate::queue::{Origin, ReceptionError};
use crate::telemetry::Labels;

impl House {
    /// How often a message has been here, if that and the number of its hops may be.
    pub(crate) fn passes_of(
        &self,
        settings: &Settings,
        origin: Origin,
        header: &Header,
    ) -> Result<Passes, ReceptionError> {
        let refused = |text: &str| ReceptionError::Refused { status: "5.4.6", text: text.to_owned() };
        if header.all("Received").count() > limits::HOPS {
            return Err(refused("too many hops: the mail goes in a circle"));
        }
        let passes = Passes::of(self.vault.index(), &settings.hostname, header);
        if passes.are_too_many() {
            tracing::error!(
                door = door(origin),
                passes = passes.count(),
                "a message comes back to us again and again and is refused: whoever we hand mail to hands it back"
            );
            self.metrics.refused.get_or_create(&Labels::of("loop")).inc();
            return Err(refused("the mail has been here too often: it goes in a circle"));
        }
        Ok(passes)
    }
}
