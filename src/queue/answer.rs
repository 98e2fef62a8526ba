//! What the portal may ask of the house: to carry an answer to its department.

use async_trait::async_trait;

use crate::mail::QueueId;
use crate::queue::reception::ReceptionError;
use crate::store::BodyRef;
use crate::vault::Token;

/// An answer written in the portal.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The message it answers.
    pub message: QueueId,
    /// Which of its recipients answers, counted from zero.
    pub recipient: u16,
    /// Who wrote it, as the e-ID says.
    pub author: String,
    /// The provider's id from the configuration.
    pub provider: String,
    /// The level of assurance: the `acr` value.
    pub level: String,
    /// The e-ID gave the national number that the sender had asked for, or any if none was asked for.
    pub number_verified: bool,
    /// Subject, one line.
    pub subject: String,
    /// Text, lines ended by LF or CRLF.
    pub text: String,
    /// Files, locked as they were uploaded.
    pub attachments: Vec<Attachment>,
    /// `sv`, `da` or `en`.
    pub language: String,
    /// The token of the form it was written in: a form is sent once.
    pub form: Token,
}

/// A file that goes with an answer.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Its name as uploaded, without any folder.
    pub file_name: String,
    /// Its media type by content.
    pub media_type: String,
    /// Its locked octets. They belong to the answer from now on.
    pub body: BodyRef,
}

/// The house as the portal's reply page sees it.
#[async_trait]
pub trait AnswerIntake: Send + Sync + 'static {
    /// Whether there is room for files that come with one. What is written alone is kept as long as it can be.
    fn has_room(&self) -> bool;

    /// Takes an answer and commits it durably, with the event and the message's new state in the same transaction. If
    /// its form was sent before, nothing is taken, and the id is that of the answer that was.
    ///
    /// # Errors
    /// The refusal; nothing is kept then, and the draft stays.
    async fn answer(&self, answer: Answer) -> Result<QueueId, ReceptionError>;
}
