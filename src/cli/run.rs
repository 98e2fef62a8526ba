//! `sealgate run`.

use std::path::Path;

use crate::cli::exit::{Exit, Failure};
use crate::daemon::{self, RunFault};

/// The parts that can run apart from each other later; today every one runs in the one daemon.
const ROLES: [&str; 4] = ["smtpd", "portal", "delivery", "control"];

pub async fn run(path: &Path, roles: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = roles.iter().find(|role| !ROLES.contains(&role.as_str())) {
        return Err(Failure::new(Exit::Usage, format!("no role is called {unknown}; there are {}", ROLES.join(", "))));
    }
    if !roles.is_empty() && roles.len() < ROLES.len() {
        return Err(Failure::new(Exit::Unavailable, "running some roles alone is not served yet: leave --roles out"));
    }
    daemon::run(path).await.map_err(|fault| match fault {
        fault @ RunFault::Configuration(_) => Failure::new(Exit::Config, fault.to_string()),
        RunFault::Start(fault) => Failure::new(Exit::Unavailable, format!("{fault:#}")),
    })
}
