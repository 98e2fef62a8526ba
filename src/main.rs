//! The `sealgate` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealgate::cli::main()
}
