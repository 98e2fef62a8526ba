//! Mail to a thousand domains, each with a host of its own, by Postfix and by sealgate in one run: messages a second from first
//! connection to last delivery, and CPU a message. Both ask the same name servers (Knot behind Unbound, started anew for each)
//! and deliver to one sink that listens at every address. `benches/run mx` runs it, as root: names and ports below 1024 are on
//! a network of its own. `benches/run mx 100 2` takes 100 domains and two messages for each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    missing_docs
)]

#[path = "../tests/house/name_server.rs"]
mod name_server;
#[path = "../tests/house/postfix.rs"]
mod postfix;
mod rig;

use std::fmt::Write;
use std::net::SocketAddr;

use sealgate::daemon::found;

use crate::name_server::NameServers;
use crate::postfix::Postfix;
// What the peers of the tests ask for stands there too.
use crate::rig as running;
use crate::rig::{SESSIONS, Sink, against_postfix, ask_by_the_system, family, foundation, letters, serve};

const REPEATS: usize = 3;
const SIZE: usize = 4 << 10;
/// Set inside the network of its own.
const INSIDE: &str = "SEALGATE_BENCH_INSIDE";

struct Load {
    domains: u64,
    messages: u64,
}

impl Load {
    /// What the command line says: how many domains, and how many messages for each.
    fn asked() -> Self {
        let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
        let domains = numbers.first().copied().unwrap_or(1_000);
        let each = numbers.get(1).copied().unwrap_or(5);
        // Every session sends as many.
        Self { domains, messages: (domains * each).div_ceil(SESSIONS) * SESSIONS }
    }

    /// The zone: each domain has a host, each host an address.
    fn zone(&self) -> String {
        let mut zone = String::new();
        for number in 0..self.domains {
            let (high, low) = (number / 250, number % 250 + 1);
            writeln!(zone, "d{number} MX 10 mx.d{number}\nmx.d{number} A 11.7.{high}.{low}").unwrap();
        }
        zone
    }

    /// One after the other, as mail comes: neighbours in time go to different domains.
    fn recipient(&self, session: u64, number: u64) -> String {
        format!("r{session}-{number}@d{}.unsigned", (number * SESSIONS + session) % self.domains)
    }
}

fn measure(load: &Load, sink: &Sink, door: SocketAddr, pids: impl Fn() -> Vec<u32>) -> (f64, f64) {
    let compose = letters("bench", SIZE, |session, number| load.recipient(session, number));
    rig::measure(sink, door, load.messages, compose, pids)
}

fn name_servers(load: &Load) -> NameServers {
    let servers = NameServers::start("", &load.zone(), ("", ""), &[]);
    // For Postfix, which asks those of the system.
    ask_by_the_system(servers.address());
    servers
}

fn by_postfix(load: &Load, sink: &Sink) -> (f64, f64) {
    let _servers = name_servers(load);
    let postfix = Postfix::with(|_| {
        (
            String::new(),
            "smtp_dns_support_level = enabled\nsmtp_host_lookup = dns\nsmtp_tls_security_level = may\n".to_owned(),
        )
    });
    let master = postfix.master();
    measure(load, sink, postfix.address, || family(master))
}

fn by_sealgate(load: &Load, sink: &Sink) -> (f64, f64) {
    let servers = name_servers(load);
    let folder = tempfile::tempdir().unwrap();
    let foundation = foundation();
    found(folder.path(), &foundation).unwrap();
    let file = folder.path().join("sealgate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, servers.instead_of_smarthost(&text)).unwrap();
    let (_stop, pid) = serve(&file, foundation.outbound);
    measure(load, sink, foundation.outbound, || vec![pid])
}

fn main() {
    if std::env::var_os(INSIDE).is_none() {
        return rig::go_inside(INSIDE);
    }
    let load = Load::asked();
    let sink = Sink::at("0.0.0.0:25".parse().unwrap());
    let (mut postfix, mut sealgate) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        postfix.push(by_postfix(&load, &sink));
        sealgate.push(by_sealgate(&load, &sink));
    }
    println!("{} messages of 4 KiB to {} domains, median of {REPEATS}", load.messages, load.domains);
    against_postfix("Postfix", &mut postfix, &mut sealgate);
}
