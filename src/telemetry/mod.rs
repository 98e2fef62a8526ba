//! What operations can watch: numbers, and logs without personal data.

mod metric;
mod log;

pub use log::{LogFormat, LogFormatFault, start_log};
pub use metric::{Labels, Metrics};
