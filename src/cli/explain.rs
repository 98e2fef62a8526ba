//! `sealgate explain`.

use std::io;
use std::path::Path;

use crate::cli::args::Explain;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::{self, settings};
use crate::cli::print;
use crate::control::Request;
use crate::daemon;
use crate::mail::{Address, ReversePath};
use crate::policy::Sealables;

pub async fn explain(path: &Path, words: &Explain, json: bool) -> Result<(), Failure> {
    let settings = settings(path)?;
    let address = |text: &str| -> Result<Address, Failure> {
        text.parse().map_err(|fault| Failure::new(Exit::Usage, format!("{text}: {fault}")))
    };
    let from = match words.from.as_str() {
        "" | "<>" => ReversePath::Null,
        text => ReversePath::Mailbox(address(text)?),
    };
    let to = words.to.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
    let message = if words.message == Path::new("-") {
        daemon::read_message_from(io::stdin().lock(), Path::new("standard input"))
    } else {
        daemon::read_message(&words.message)
    };
    let message = message.map_err(|fault| Failure::new(Exit::BadInput, format!("{fault:#}")))?;
    let unsound = |fault: anyhow::Error| Failure::new(Exit::Config, format!("{fault:#}"));
    let author = daemon::author_of(&settings, &from, &message).map_err(unsound)?;
    let request = Request::CertificateKeys { recipients: to.clone(), author };
    // Certificates are known to the daemon, or lie in the store; without either all else is explained.
    let sealables: Vec<Sealables> = match house::request(path, request).await {
        Ok(answer) => serde_json::from_value(answer.value).unwrap_or_default(),
        Err(failure) => {
            if !(settings.tunnel.is_empty() && settings.own_certificate.is_empty()) {
                print::fault(&format!("certificates are not looked at: {}", failure.text));
            }
            Vec::new()
        }
    };
    let explanation = daemon::explain(&settings, &from, &to, &message, &sealables).map_err(unsound)?;
    if json {
        print::json(&serde_json::to_value(&explanation).unwrap_or_default());
        return Ok(());
    }
    for explained in &explanation.recipients {
        print::line(&explained.address);
        print::line(&format!("  treatment   {}", explained.treatment));
        print::line(&format!("  protection  {}, by the rule \"{}\"", explained.protection, explained.rule));
        if let Some(way) = &explained.way {
            print::line(&format!("  way         {way}"));
        }
        if let Some(certificate) = &explained.certificate {
            print::line(&format!("  certificate {certificate}"));
        }
        if let Some(mailbox) = &explained.return_mailbox {
            print::line(&format!("  answers to  {mailbox}"));
        }
        print::line(&format!("  subject     {}", explained.subject));
        for reason in &explained.reasons {
            print::line(&format!("  because     {reason}"));
        }
    }
    Ok(())
}
