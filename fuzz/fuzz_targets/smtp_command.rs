//! Whatever a line holds, reading it ends with a command or a fault, and a path that was taken is written and read again
//! as the same path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::smtp::{Command, ForwardPath};

fuzz_target!(|line: &[u8]| {
    match Command::parse(line) {
        Ok(Command::Mail(mail)) => {
            assert!(mail.envelope_id.is_none_or(|id| !id.contains(char::is_control)));
            let again = Command::parse(format!("MAIL FROM:{}", mail.path).as_bytes());
            assert!(matches!(again, Ok(Command::Mail(again)) if again.path == mail.path));
        }
        Ok(Command::Rcpt(to)) => {
            assert!(to.original.is_none_or(|original| !original.contains(char::is_control)));
            let ForwardPath::Mailbox(address) = to.path else { return };
            let again = Command::parse(format!("RCPT TO:<{address}>").as_bytes());
            assert!(matches!(again, Ok(Command::Rcpt(again)) if again.path == ForwardPath::Mailbox(address)));
        }
        Ok(Command::Ehlo(name) | Command::Helo(name)) => assert!(name.bytes().all(|octet| octet.is_ascii_graphic())),
        Ok(_) | Err(_) => {}
    }
});
