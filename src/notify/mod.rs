//! Telling people, by mail: notices to recipients, receipts and reports to senders.

mod letter;
mod letters;
mod by_mail;
mod reporter;

pub use by_mail::{House, Mailer, Post, Sender, TlsReported};
pub use letter::{Block, Letterhead, Sheet};
pub use letters::{
    About, NoticeFacts, ReceiptLine, ReportKind, ReportLine, answer_lost, expired, held, notice, notice_answered,
    notice_failed, opened, reason_of, reason_unsaid, recalled, receipt, report, safe_answer, sealed_failed, unopened,
};
pub use reporter::Reporter;
