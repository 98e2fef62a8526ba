//! The command line: words in, exit code out.

mod args;
mod exit;
mod print;
mod house;
mod run;
mod check;
mod explain;
mod init;
mod demo;
mod queue;
mod message;
mod recipient;
mod brought;
mod certificate;
mod tunnel;
mod key;
mod audit;
mod settings;
mod dispatch;

pub use dispatch::main;
