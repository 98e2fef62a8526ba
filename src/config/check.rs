//! The checks that look at several settings: what each says alone may be right, and together wrong.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::sections::{
    ChoosableBy, Delivery, DeliveryRoute, Department, Inbound, Portal, ProtectionName, Provider, RecipientSource,
    TunnelTrust, Validation,
};
use crate::config::settings::Settings;
use crate::delivery::{Internet, NextHop, TlsLevel};
use crate::fault::Reader;
use crate::mail::{Domain, DomainPattern};
use crate::net::fault_of_resolver;
use crate::scan::Clamd;

/// How long a client may be let wait for the greeting; many give up after five minutes (RFC 5321 §4.5.3.2.1).
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What to do about a name server whose AD bit is not believed.
pub(crate) const RESOLVER: &str = "run a resolver that validates on this machine, such as Unbound, and name it: `dns = [\"127.0.0.1:53\"]`; or leave `dnssec` out: answers are validated here then";

/// Reports what does not fit together.
pub(crate) fn check(settings: &Settings, reader: &mut Reader) {
    check_names(settings, reader);
    check_doors(settings, reader);
    check_scan(settings, reader);
    check_delivery(settings, reader);
    if let Some(inbound) = &settings.smtpd.inbound {
        check_recipients(settings, inbound, reader);
    }
    check_queue(settings, reader);
    if let Some(portal) = &settings.portal {
        check_portal(portal, reader);
        if settings.notify.remind_after >= portal.retention {
            let hint = "the sender is told only when it is too late; make it shorter";
            reader.warning("notify.remind_after", "not shorter than portal.retention", hint);
        }
    }
    for provider in &settings.identity.provider {
        check_provider(provider, reader);
    }
    check_departments(settings, reader);
    check_secure_can_be_served(settings, reader);
}

/// Reports every name that stands twice, letter case aside.
pub(crate) fn report_twins<'n>(reader: &mut Reader, names: impl IntoIterator<Item = (&'n str, String)>) {
    let mut seen = BTreeSet::new();
    for (name, key) in names {
        if !seen.insert(name.to_lowercase()) {
            reader.fault(&key, format!("there are two of this name: {name:?}"), "give each its own name");
        }
    }
}

fn check_names(settings: &Settings, reader: &mut Reader) {
    let organisation = &settings.organisation;
    if organisation.domains.is_empty() && !reader.is_faulty("organisation.domains") {
        reader.fault(
            "organisation.domains",
            "no mail domain is ours",
            "write `domains = [\"sundby.example\"]`: mail from other domains is not taken at the outbound door",
        );
    }
    if organisation.domains.contains(&settings.hostname) && !reader.is_faulty("hostname") {
        reader.fault(
            "hostname",
            "a mail domain of the organisation cannot be the gateway's own name",
            "give the gateway a name of its own, such as gw.sundby.example: its service addresses live there",
        );
    }
    let known = !reader.is_faulty("hostname") && !reader.is_faulty("organisation.domains");
    if let Some(from) = settings.notify.from.as_ref().filter(|_| known) {
        let domain = from.address.domain();
        if *domain != settings.hostname && !organisation.domains.contains(domain) {
            reader.warning(
                "notify.from",
                format!("{domain} is not a domain of the organisation"),
                "recipients are told to trust the organisation's own domain; add it to organisation.domains or use one of those",
            );
        }
    }
    let selectors: Vec<_> =
        settings.dkim.iter().map(|dkim| (format!("{}._domainkey.{}", dkim.selector, dkim.domain), dkim)).collect();
    report_twins(reader, selectors.iter().map(|(name, dkim)| (name.as_str(), dkim.place.of("selector"))));
    if known {
        for dkim in &settings.dkim {
            let signs = |ours: &Domain| *ours == dkim.domain || ours.as_str().ends_with(&format!(".{}", dkim.domain));
            if !settings.author_domains().iter().any(signs) {
                reader.fault(
                    &dkim.place.of("domain"),
                    format!("{} is no domain of ours, nor above one", dkim.domain),
                    "write one of organisation.domains, or a domain above: nobody else's mail is signed",
                );
            }
        }
    }
    check_trust(settings, reader);
    report_twins(reader, settings.tunnel.iter().map(|tunnel| (tunnel.domain.as_str(), tunnel.place.of("domain"))));
}

/// Certificates that nobody could believe, and those for whom we have no mail.
fn check_trust(settings: &Settings, reader: &mut Reader) {
    let has_roots = settings.trust.as_ref().is_some_and(|trust| !trust.roots.is_empty()) || reader.is_faulty("trust");
    for tunnel in settings.tunnel.iter().filter(|tunnel| tunnel.trust == TunnelTrust::Roots && !has_roots) {
        reader.fault(
            &tunnel.place.of("certificate"),
            "nobody is trusted about it",
            "write [trust] with `roots`, or `trust = \"pinned\"` here: then this very certificate is trusted",
        );
    }
    if !reader.is_faulty("organisation.domains") {
        let domains = &settings.organisation.domains;
        for own in settings.own_certificate.iter().filter(|own| !domains.contains(own.r#for.0.domain())) {
            let hint = "write one of organisation.domains, or a mailbox there";
            reader.fault(&own.place.of("for"), format!("{} is not ours", own.r#for), hint);
        }
        for tunnel in settings.tunnel.iter().filter(|tunnel| domains.contains(&tunnel.domain)) {
            let hint = "name the partner's domain; a certificate of ours goes to [[own_certificate]]";
            reader.fault(&tunnel.place.of("domain"), format!("{} is ours", tunnel.domain), hint);
        }
    }
}

fn check_doors(settings: &Settings, reader: &mut Reader) {
    let doors = listeners(settings);
    for (place, (key, address)) in doors.iter().enumerate() {
        let meets = |(_, other): &&(&str, SocketAddr)| share_a_port(*address, *other);
        if let Some((earlier, _)) = doors.iter().take(place).find(meets) {
            reader.fault(key, format!("{address} is taken by {earlier}"), "give each door its own port or address");
        }
    }
    if settings.smtpd.outbound.is_none() && settings.smtpd.inbound.is_none() && !reader.is_faulty("smtpd") {
        reader.warning("smtpd", "no SMTP door is open", "write [smtpd.outbound] with `listen`");
    }
    if let Some(inbound) = &settings.smtpd.inbound {
        check_inbound(inbound, reader);
    }
    if settings.tls.is_some() || reader.is_faulty("tls") {
        return;
    }
    let hint = "write [tls] with `certificate` and `key`";
    if let Some(portal) = &settings.portal {
        reader.fault(&portal.place.of("listen"), "the portal has no certificate", hint);
    }
    if let Some(inbound) = &settings.smtpd.inbound {
        reader.fault(&inbound.place.of("listen"), "the inbound door has no certificate", hint);
    }
    if let Some(outbound) = &settings.smtpd.outbound
        && !outbound.listen.ip().to_canonical().is_loopback()
        && !settings.delivery.inner_plaintext
    {
        reader.fault(
            &outbound.place.of("listen"),
            "the outbound door is off loopback and has no certificate",
            "write [tls], or `inner_plaintext = true` in [delivery] if that network is safe by other means",
        );
    }
}

fn check_scan(settings: &Settings, reader: &mut Reader) {
    let Some(scan) = &settings.scan else { return };
    if let Clamd::Tcp(address) = &scan.clamd
        && !address.ip().to_canonical().is_loopback()
        && !settings.delivery.inner_plaintext
    {
        reader.fault(
            &scan.place.of("clamd"),
            "messages would go there in the clear",
            "run clamd on this machine, or write `inner_plaintext = true` in [delivery] if that network is safe by other means",
        );
    }
}

fn check_inbound(inbound: &Inbound, reader: &mut Reader) {
    if inbound.proxy_protocol && inbound.trusted_peers.is_empty() {
        reader.fault(
            &inbound.place.of("proxy_protocol"),
            "nobody is trusted with it",
            "name the proxy in `trusted_peers`: a header of anybody else is not believed",
        );
    }
    if inbound.greeting_pause > LONGEST_PAUSE {
        reader.fault(
            &inbound.place.of("greeting_pause"),
            "longer than a minute",
            "write a few seconds: honest mail servers wait for it too, each in a place of its own",
        );
    }
}

/// Every address we listen at, with its key.
pub(crate) fn listeners(settings: &Settings) -> Vec<(&'static str, SocketAddr)> {
    let outbound = settings.smtpd.outbound.as_ref().map(|door| ("smtpd.outbound.listen", door.listen));
    let inbound = settings.smtpd.inbound.as_ref().map(|door| ("smtpd.inbound.listen", door.listen));
    let portal = settings.portal.as_ref().map(|door| ("portal.listen", door.listen));
    let control = settings.control.listen.map(|listen| ("control.listen", listen));
    [outbound, inbound, portal, control].into_iter().flatten().collect()
}

/// Port 0 asks the system for any free port and meets nobody.
fn share_a_port(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

fn check_delivery(settings: &Settings, reader: &mut Reader) {
    let hops = [
        ("delivery.mail_server".to_owned(), Some(&settings.delivery.mail_server)),
        ("delivery.internet".to_owned(), smarthost(&settings.delivery.internet)),
    ];
    let of_routes = settings.delivery.route.iter().map(|route| (route.place.of("next_hop"), route.next_hop.as_ref()));
    for (key, hop) in hops.into_iter().chain(of_routes).filter_map(|(key, hop)| Some((key, hop?))) {
        if let Some((door, _)) = listeners(settings).into_iter().find(|(_, listen)| is_ours(hop, *listen)) {
            reader.fault(
                &key,
                format!("this is our own {door}"),
                "mail would go round in circles: name the other host's port",
            );
        }
    }
    let without_smarthost = [
        ("delivery.smarthost_enforces_tls", settings.delivery.smarthost_enforces_tls),
        ("delivery.login", settings.delivery.login.is_some()),
    ];
    for (key, _) in
        without_smarthost.into_iter().filter(|(_, is_set)| *is_set && settings.delivery.internet == Internet::Mx)
    {
        reader.warning(key, "there is no smarthost", "leave it out with `internet = \"mx\"`");
    }
    check_resolvers(&settings.delivery, reader);
    for route in &settings.delivery.route {
        check_route(settings, route, reader);
    }
    let routed = settings
        .delivery
        .route
        .iter()
        .flat_map(|route| route.domains.iter().map(|pattern| (pattern.to_string(), route.place.of("domains"))));
    let routed: Vec<(String, String)> = routed.collect();
    let mut seen = BTreeSet::new();
    for (pattern, key) in &routed {
        if !seen.insert(pattern) {
            reader.fault(key, format!("{pattern} has a route already"), "name each domain in one route");
        }
    }
}

/// Whoever validates in our stead is on this machine and has a trust anchor of its own.
fn check_resolvers(delivery: &Delivery, reader: &mut Reader) {
    if delivery.dnssec == Validation::Own {
        return;
    }
    for fault in delivery.dns.iter().filter_map(|server| fault_of_resolver(*server)) {
        reader.fault("delivery.dns", fault, RESOLVER);
    }
    if delivery.dns_trust_anchor.is_some() {
        reader.fault(
            "delivery.dns_trust_anchor",
            "nothing is validated here with `dnssec = \"resolver\"`",
            "give it to the resolver (Unbound's `trust-anchor-file`), or leave `dnssec` out",
        );
    }
}

/// A route that says what cannot be, or says nothing.
fn check_route(settings: &Settings, route: &DeliveryRoute, reader: &mut Reader) {
    let key = |name| route.place.of(name);
    if route.domains.is_empty() && !reader.is_faulty(&key("domains")) {
        reader.fault(&key("domains"), "a route for no domain", "write `domains = [\"partner.example\"]`");
    }
    let ours = |pattern: &&DomainPattern| settings.organisation.domains.contains(pattern.domain());
    if let Some(pattern) = route.domains.iter().find(|pattern| !pattern.is_below() && ours(pattern)) {
        reader.fault(
            &key("domains"),
            format!("{pattern} is a domain of the organisation"),
            "its mail goes to delivery.mail_server",
        );
    }
    // One that cannot be read is told of already.
    let has_hop = route.next_hop.is_some() || reader.is_faulty(&key("next_hop"));
    if let Some(login) = &route.login {
        if !has_hop {
            reader.fault(&key("login"), format!("nobody to sign on at: {login}"), "write `next_hop`");
        }
        if route.tls.is_some() && route.level() != TlsLevel::Verified {
            let hint = "write `tls = \"verified\"`, or leave it out: whoever gets a password has to prove who it is";
            reader.fault(&key("tls"), "a login needs verified TLS", hint);
        }
    }
    if !has_hop && settings.delivery.internet != Internet::Mx && !reader.is_faulty("delivery.internet") {
        let hint = "write `next_hop`: what the smarthost does for these domains cannot be seen from here";
        reader.fault(&key("domains"), "all mail goes to the smarthost, this route or not", hint);
    }
    let is_verified = route.level() == TlsLevel::Verified || route.login.is_some();
    for (name, _) in [("ca_file", route.ca_file.is_some()), ("names", !route.names.is_empty())]
        .into_iter()
        .filter(|(_, is_set)| *is_set && !is_verified)
    {
        reader.fault(&key(name), "no certificate is looked at", "write `tls = \"verified\"`");
    }
    if !has_hop && route.tls.is_none() && route.login.is_none() && !reader.is_faulty(&route.place.key) {
        reader.warning(&key("domains"), "the route says nothing", "write `next_hop` or `tls`");
    }
}

fn check_recipients(settings: &Settings, inbound: &Inbound, reader: &mut Reader) {
    let Some(ldap) = &inbound.ldap else {
        if inbound.recipients == RecipientSource::Ldap && !reader.is_faulty("smtpd.inbound.ldap") {
            let hint = "write [smtpd.inbound.ldap] with `url` and `base`";
            reader.fault(&inbound.place.of("recipients"), "no directory is named", hint);
        }
        return;
    };
    if inbound.recipients != RecipientSource::Ldap {
        reader.warning(
            &ldap.place.key,
            "nobody asks this directory",
            "write `recipients = \"ldap\"` in [smtpd.inbound]",
        );
    }
    let (url, of) = (&ldap.url, |name| ldap.place.of(name));
    let is_tls = url.scheme == "ldaps" || ldap.start_tls;
    if !matches!(url.scheme.as_str(), "ldap" | "ldaps") || url.login.is_some() || !matches!(url.rest.as_str(), "" | "/")
    {
        reader.fault(
            &of("url"),
            format!("not ldap:// or ldaps:// and a host: {url}"),
            "write \"ldaps://ldap.sundby.example\"",
        );
    } else if url.scheme == "ldaps" && ldap.start_tls {
        reader.fault(&of("start_tls"), "ldaps:// is TLS from the first byte", "leave it out, or write ldap://");
    } else if !is_tls && !url.host.is_loopback() && !settings.delivery.inner_plaintext {
        let hint = "write ldaps://, or `start_tls = true`";
        reader.fault(&of("url"), "off loopback, the directory would be asked in the clear", hint);
    }
    if ldap.bind_dn.is_some() != ldap.password.is_some() {
        reader.fault(&of("bind_dn"), "`bind_dn` and `password` stand together", "write both, or neither");
    }
}

fn smarthost(internet: &Internet) -> Option<&NextHop> {
    match internet {
        Internet::Mx => None,
        Internet::Smarthost(hop) => Some(hop),
    }
}

fn is_ours(hop: &NextHop, listen: SocketAddr) -> bool {
    let door = listen.ip();
    let same_host = match hop.host.parse::<IpAddr>() {
        Ok(ip) => ip == door || (ip.is_loopback() && door.is_unspecified()),
        Err(_) => hop.host == "localhost" && (door.is_loopback() || door.is_unspecified()),
    };
    same_host && hop.port == listen.port()
}

fn check_queue(settings: &Settings, reader: &mut Reader) {
    let queue = &settings.queue;
    if queue.minimal_backoff > queue.maximal_backoff {
        reader.fault("queue.minimal_backoff", "longer than queue.maximal_backoff", "the first wait is the shortest");
    }
    if queue.maximal_backoff > queue.maximal_lifetime {
        reader.fault(
            "queue.maximal_backoff",
            "longer than queue.maximal_lifetime",
            "mail would be given up before it is tried again",
        );
    }
    if queue.maximal_backoff > queue.report_lifetime {
        reader.fault("queue.maximal_backoff", "longer than queue.report_lifetime", "nothing would be tried twice");
    }
    if queue.delay_warning >= queue.maximal_lifetime {
        reader.warning(
            "queue.delay_warning",
            "not shorter than queue.maximal_lifetime",
            "nobody is told that mail is late",
        );
    }
}

fn check_portal(portal: &Portal, reader: &mut Reader) {
    if portal.url.scheme != "https" {
        reader.fault(
            &portal.place.of("url"),
            format!("not https: {}", portal.url),
            "links in notices must be safe to follow",
        );
    }
    if portal.url.login.is_some() || !matches!(portal.url.rest.as_str(), "" | "/") {
        reader.fault(
            &portal.place.of("url"),
            format!("more than a host and a port: {}", portal.url),
            "the portal has a host name of its own, such as https://sakra.sundby.example",
        );
    }
    if portal.session_idle > portal.session_lifetime {
        reader.fault(
            &portal.place.of("session_idle"),
            "longer than portal.session_lifetime",
            "no login can be idle for longer than it lasts",
        );
    }
}

fn check_provider(provider: &Provider, reader: &mut Reader) {
    let key = |name| provider.place.of(name);
    if !is_plain_word(&provider.id) {
        reader.fault(
            &key("id"),
            format!("not fit for a web address: {:?}", provider.id),
            "use letters a-z, digits and hyphens",
        );
    }
    if provider.issuer.scheme != "https" && !(provider.issuer.scheme == "http" && provider.issuer.host.is_loopback()) {
        reader.fault(
            &key("issuer"),
            format!("not https: {}", provider.issuer),
            "only on loopback may an issuer be http",
        );
    }
    if !provider.scopes.iter().any(|scope| scope == "openid") {
        reader.fault(&key("scopes"), "without the scope openid", "add \"openid\" (OpenID Connect Core §3.1.2.1)");
    }
    if provider.accept_acr.is_empty() && !reader.is_faulty(&key("accept_acr")) {
        reader.fault(
            &key("accept_acr"),
            "no level is accepted",
            "name the levels that may open messages, as the provider writes them",
        );
    }
    let stray = provider.acr_values.iter().find(|asked| !provider.accept_acr.contains(asked));
    if let Some(stray) = stray.filter(|_| !provider.accept_acr.is_empty()) {
        reader.fault(
            &key("acr_values"),
            format!("asks for a level that is not accepted: {stray:?}"),
            "add it to accept_acr, or do not ask for it",
        );
    }
    if provider.claims.number.is_some() && provider.number_type.is_none() {
        reader.fault(
            &key("number_type"),
            "claims.number is set, but not what kind of number it is",
            "write number_type",
        );
    }
}

fn check_departments(settings: &Settings, reader: &mut Reader) {
    let departments = &settings.department;
    report_twins(reader, departments.iter().map(|department| (department.id.as_str(), department.place.of("id"))));
    report_twins(reader, settings.identity.provider.iter().map(|each| (each.id.as_str(), each.place.of("id"))));
    let mut first_default: Option<&Department> = None;
    for department in departments {
        check_department(settings, department, reader);
        match first_default {
            Some(first) if department.default => reader.fault(
                &department.place.of("default"),
                format!("{:?} is the default already", first.id),
                "at most one department can be the default",
            ),
            None if department.default => first_default = Some(department),
            Some(_) | None => {}
        }
    }
}

fn check_department(settings: &Settings, department: &Department, reader: &mut Reader) {
    let key = |name| department.place.of(name);
    if department.id.chars().any(|c| c.is_whitespace() || matches!(c, '[' | ']' | '!' | ':')) {
        reader.fault(
            &key("id"),
            format!("not fit to stand in [svar: …]: {:?}", department.id),
            "use letters, digits and hyphens",
        );
    }
    if department.name.is_empty() && !reader.is_faulty(&key("name")) {
        reader.fault(&key("name"), "the department has no name", "write `name = { sv = \"…\" }`");
    }
    if !settings.organisation.domains.contains(department.address.domain()) && !reader.is_faulty("organisation.domains")
    {
        reader.warning(
            &key("address"),
            format!("{} is not a domain of the organisation", department.address.domain()),
            "answers go by delivery.mail_server; make sure it takes mail for this domain",
        );
    }
    if department.choosable_by == ChoosableBy::Members && department.members.is_empty() {
        reader.fault(
            &key("members"),
            "nobody may choose this department",
            "write `members`, or `choosable_by = \"all\"`",
        );
    }
}

/// The one way to serve a secure recipient in this release is the portal with an e-ID.
fn check_secure_can_be_served(settings: &Settings, reader: &mut Reader) {
    let Some(rule) = settings.rule.iter().find(|rule| rule.protect == Some(ProtectionName::Secure)) else {
        return;
    };
    if settings.portal.is_none() && !reader.is_faulty("portal") {
        reader.fault(&rule.place.of("protect"), "no portal can serve what is secure", "write [portal]");
    }
    if settings.identity.provider.is_empty() && !reader.is_faulty("identity") {
        reader.fault(
            &rule.place.of("protect"),
            "no e-ID can open what is secure",
            "write [[identity.provider]]: without one nobody could log in to read",
        );
    }
}

/// Letters, digits, hyphens and underscores of ASCII.
fn is_plain_word(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
