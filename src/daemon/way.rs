//! Which way mail would take, in words, for `explain`: what the configuration says. What the domain asks for itself is
//! known when the mail is delivered.

use std::net::IpAddr;

use crate::config::{Delivery, DeliveryRoute};
use crate::delivery::{Internet, NextHop, Protocol, TlsLevel};
use crate::mail::Domain;
use crate::policy::{ExplainedWay, Place, RecipientVerdict};

/// The way to a recipient to whom a message passes; `is_strict` where it may go over verified TLS alone. Says what
/// `delivery::Router` does.
pub fn way(written: &Delivery, recipient: &RecipientVerdict, is_strict: bool) -> ExplainedWay {
    let domain = recipient.address.domain();
    if recipient.place == Place::Inside {
        let least = if written.inner_plaintext { OFFERED } else { off_loopback(&written.mail_server) };
        let text = format!("to our own mail server {}", by_hop(&written.mail_server, least));
        return ExplainedWay { route: None, text };
    }
    let Some((pattern, route)) = written.route_of(domain) else {
        return ExplainedWay { route: None, text: usual(written, domain, TlsLevel::Opportunistic, is_strict) };
    };
    let (told, text) = match &route.next_hop {
        Some(hop) => {
            let hop = by_hop(hop, words_of(least_of(route)));
            (hop.clone(), format!("by {hop}"))
        }
        None => {
            let least = least_of(route);
            (format!("mx, {}", words_of(least)), usual(written, domain, least, is_strict))
        }
    };
    ExplainedWay { route: Some(format!("{pattern}: {told}")), text: format!("{text} (the route of {pattern})") }
}

const OFFERED: &str = "TLS where it is offered";
const VERIFIED: &str = "verified TLS";
const OFF_LOOPBACK: &str = "verified TLS, off loopback";
const ON_LOOPBACK: &str = "on this machine, where no TLS is asked for";

/// What is asked of a hop that must prove itself unless it is on this machine. Where a name leads shows at delivery.
fn off_loopback(hop: &NextHop) -> &'static str {
    match hop.host.parse::<IpAddr>() {
        Ok(address) if !address.to_canonical().is_loopback() => VERIFIED,
        Err(_) if hop.host != "localhost" => OFF_LOOPBACK,
        Ok(_) | Err(_) => ON_LOOPBACK,
    }
}

/// The least that a route asks for: who signs on is always sure of the peer.
fn least_of(route: &DeliveryRoute) -> TlsLevel {
    if route.login.is_some() { TlsLevel::Verified } else { route.level() }
}

fn words_of(least: TlsLevel) -> &'static str {
    match least {
        TlsLevel::Opportunistic => OFFERED,
        TlsLevel::Encrypt => "TLS",
        TlsLevel::Verified => VERIFIED,
    }
}

fn by_hop(hop: &NextHop, least: &str) -> String {
    let is_within_tls = hop.protocol == Protocol::Smtps && [OFFERED, ON_LOOPBACK].contains(&least);
    format!("{hop}, {}", if is_within_tls { "TLS" } else { least })
}

/// The way of `delivery.internet`.
fn usual(written: &Delivery, domain: &Domain, least: TlsLevel, is_strict: bool) -> String {
    match &written.internet {
        Internet::Smarthost(hop) if written.login.is_some() => format!("by the smarthost {}", by_hop(hop, VERIFIED)),
        Internet::Smarthost(hop) if written.smarthost_enforces_tls => {
            format!("by the smarthost {}", by_hop(hop, off_loopback(hop)))
        }
        Internet::Smarthost(hop) => format!("by the smarthost {}", by_hop(hop, OFFERED)),
        Internet::Mx => {
            let asked = match (least, is_strict) {
                (TlsLevel::Verified, _) => {
                    "verified TLS: by DANE, MTA-STS, or a certificate that the route takes, which shows at delivery"
                }
                (_, true) => "verified TLS by DANE or MTA-STS, which shows at delivery; else it waits",
                (TlsLevel::Encrypt, false) => {
                    "TLS; verified where the domain has DANE or MTA-STS, which shows at delivery"
                }
                (TlsLevel::Opportunistic, false) => {
                    "TLS where it is offered; verified where the domain has DANE or MTA-STS, which shows at delivery"
                }
            };
            format!("by MX of {domain}, {asked}")
        }
    }
}
