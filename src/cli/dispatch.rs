//! From the words to the verb, and from its outcome to the exit code.

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::args::{Cli, Verb};
use crate::cli::audit;
use crate::cli::certificate;
use crate::cli::check;
use crate::cli::demo;
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain;
use crate::cli::init;
use crate::cli::key;
use crate::cli::message;
use crate::cli::print;
use crate::cli::queue;
use crate::cli::recipient;
use crate::cli::run;
use crate::cli::settings;
use crate::cli::tunnel;
use crate::config;
use crate::fault::told;

/// Reads the words, does what they say, tells how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(fault) => {
            let _ = fault.print();
            return ExitCode::from(if fault.use_stderr() { Exit::Usage as u8 } else { 0 });
        }
    };
    let outcome = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(dispatch(cli)),
        Err(fault) => Err(Failure::new(Exit::Software, fault.to_string())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                print::fault(&failure.text);
            }
            ExitCode::from(failure.exit)
        }
    }
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let path = config::find(cli.config);
    let json = cli.json;
    if json && let Some(verb) = without_json(&cli.verb) {
        return Err(Failure::new(
            Exit::Usage,
            format!("--json is for what lists or shows something; `{verb}` does not"),
        ));
    }
    match cli.verb {
        Verb::Run { roles } => run::run(&path, &roles).await,
        Verb::Check { no_files } => check::check(&path, no_files, json).await,
        Verb::Explain(words) => explain::explain(&path, &words, json).await,
        Verb::Init { dir, name, domain, systemd } => init::init(&dir, &name, &domain, systemd),
        Verb::Demo { once, dir } => demo::demo(once, dir).await,
        Verb::Queue(verb) => queue::queue(&path, &verb, json).await,
        Verb::Message(verb) => message::message(&path, &verb, json).await,
        Verb::Recipient(verb) => recipient::recipient(&path, &verb, json).await,
        Verb::Key(verb) => key::key(&path, &verb, json).await,
        Verb::Audit(verb) => audit::audit(&path, &verb, json).await,
        Verb::Config(verb) => settings::show(&path, &verb, json),
        Verb::Completions { shell } => {
            // In memory first: the library panics where a reader goes away.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sealgate", &mut script);
            print::line(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
        Verb::Man { dir } => manual(dir.as_deref()),
        Verb::Tunnel(verb) => tunnel::tunnel(&path, &verb, json).await,
        Verb::Certificate(verb) => certificate::certificate(&path, &verb, json).await,
        Verb::Account(_) | Verb::Backup(_) | Verb::Restore(_) => {
            Err(Failure::new(Exit::Unavailable, "this verb is not served yet"))
        }
    }
}

/// The verb's name, if it has nothing that could be said in JSON.
fn without_json(verb: &Verb) -> Option<&'static str> {
    match verb {
        Verb::Run { .. } => Some("run"),
        Verb::Init { .. } => Some("init"),
        Verb::Demo { .. } => Some("demo"),
        Verb::Completions { .. } => Some("completions"),
        Verb::Man { .. } => Some("man"),
        _ => None,
    }
}

/// All manual pages: into a folder, or one behind another to standard output, as `man -l -` takes them.
fn manual(dir: Option<&Path>) -> Result<(), Failure> {
    if let Some(dir) = dir {
        let write = || {
            std::fs::create_dir_all(dir)?;
            clap_mangen::generate_to(Cli::command(), dir)
        };
        return write().map_err(|fault: std::io::Error| Failure::new(Exit::CannotCreate, told(dir, &fault)));
    }
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    render(&command, &mut pages).map_err(|fault| Failure::new(Exit::Software, fault.to_string()))?;
    print::line(String::from_utf8_lossy(&pages).trim_end());
    Ok(())
}

/// The page of a command, and behind it those of the commands below it.
fn render(command: &clap::Command, pages: &mut Vec<u8>) -> std::io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(pages)?;
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| render(below, pages))
}
