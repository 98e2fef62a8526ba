//! From what is written in the file to what each module is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use zeroize::Zeroizing;

use crate::cms::{Certificate, Crl, Imported, Pool};
use crate::config::{
    ChannelName, ChoosableBy, CipherWord, Condition as Written, Content, Dkim, DmarcWish, Forwarded, Inbound,
    KeySource, KeyTransportWord, Ldap, ListPlace, Outbound, OwnCertificate, ProtectionName, Provider, RecipientSource,
    Reveal, Rule as WrittenRule, Settings, StrangersWord, SubjectWord, TunnelTrust, Unknown, UnknownRevocation,
    Unreachable,
};
use crate::delivery::{
    self, Asked, Callout, ConfiguredKey, Directory, DirectorySettings, DomainRoute, Internet, KeySettings, ListFault,
    Login, RecipientList,
};
use crate::directory::{self, NumberType};
use crate::fault::Secret;
use crate::flow;
use crate::identity::{self, ClaimNames, Oidc};
use crate::mail::Address;
use crate::net::{Clock, Rate, Roots};
use crate::notify;
use crate::policy::{
    Channel, Chooser, Condition, Departments, Grant, Pattern, Protection, Rule, Rules, RulesBuilder, Search,
};
use crate::portal::{Owner, PortalSettings, ProviderName};
use crate::sealing::{CipherWish, SealWish, SealWishes, SubjectWish, TransportWish};
use crate::sender_auth::SigningKey;
use crate::smtpd::{DoorSettings, RequiredHeader, Requirement};

/// The rules, compiled.
///
/// # Errors
/// What is wrong with them together; what is wrong with each was told when the file was read.
pub fn rules(settings: &Settings) -> anyhow::Result<Rules> {
    let mut builder = RulesBuilder::new(settings.organisation.domains.clone(), settings.hostname.clone())
        .departments(departments(settings))
        .number_domains(settings.policy.number_domains.clone())
        .channels(settings.policy.channels.iter().copied().map(channel).collect());
    for written in &settings.rule {
        let rule = rule(&mut builder, written);
        builder.rule(rule);
    }
    builder.build().map_err(|faults| {
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow!("the rules cannot be used: {}", told.join("; "))
    })
}

fn departments(settings: &Settings) -> Departments {
    let chooser = |department: &crate::config::Department| match department.choosable_by {
        ChoosableBy::All => Chooser::All,
        ChoosableBy::Members => Chooser::Members(department.members.iter().map(Address::folded).collect()),
    };
    settings.department.iter().map(|department| (department.id.to_lowercase(), chooser(department))).collect()
}

fn rule(builder: &mut RulesBuilder, written: &WrittenRule) -> Rule {
    let conditions = written.r#if.as_ref().map(|condition| conditions(builder, condition)).unwrap_or_default();
    Rule {
        conditions,
        protect: written.protect.map(protection),
        text: written.text.clone(),
        retention: written.retention,
        reply_to: written.reply_to.as_ref().map(|id| id.to_lowercase()),
        channels: (!written.channels.is_empty()).then(|| written.channels.iter().copied().map(channel).collect()),
        grants: written.grants.as_ref().map(|grants| Grant { tag: grants.tag.clone(), lifts: grants.lifts.clone() }),
        ..Rule::named(written.name.clone())
    }
}

/// All that is written in one table must hold together.
fn conditions(builder: &mut RulesBuilder, written: &Written) -> Vec<Condition> {
    let mut all = Vec::new();
    let mut group = |builder: &mut RulesBuilder, inner: &[Written], make: fn(Vec<Condition>) -> Condition| {
        if !inner.is_empty() {
            all.push(make(inner.iter().map(|condition| Condition::All(conditions(builder, condition))).collect()));
        }
    };
    group(builder, &written.any, Condition::Any);
    group(builder, &written.all, Condition::All);
    group(builder, &written.not, Condition::Not);
    if !written.subject_tag.is_empty() {
        all.push(Condition::SubjectTag(written.subject_tag.clone()));
    }
    if !written.subject.is_empty() {
        all.push(Condition::Any(
            written.subject.iter().map(|pattern| Condition::Subject(pattern.regex().clone())).collect(),
        ));
    }
    if let Some(name) = &written.header {
        let matches =
            written.matches.iter().map(|pattern| Condition::HeaderMatches(name.clone(), pattern.regex().clone()));
        let mut ways: Vec<Condition> = matches.collect();
        if !written.is.is_empty() {
            ways.push(Condition::HeaderIs(name.clone(), written.is.clone()));
        }
        all.push(Condition::Any(ways));
    }
    if !written.sensitivity.is_empty() {
        all.push(Condition::Sensitivity(written.sensitivity.clone()));
    }
    if !written.label.is_empty() {
        all.push(Condition::Label(written.label.iter().map(|label| label.as_str().to_owned()).collect()));
    }
    let patterns = |addresses: &[Address]| addresses.iter().map(|address| Pattern::new(&address.folded())).collect();
    if !written.from.is_empty() {
        all.push(Condition::From(patterns(&written.from)));
    }
    if !written.from_domain.is_empty() {
        all.push(Condition::FromDomain(written.from_domain.clone()));
    }
    if !written.to.is_empty() {
        all.push(Condition::To(patterns(&written.to)));
    }
    if !written.to_domain.is_empty() {
        all.push(Condition::ToDomain(written.to_domain.clone()));
    }
    if let Some(size) = written.size_over {
        all.push(Condition::SizeOver(size.0));
    }
    let texts = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
    if !written.attachment.is_empty() {
        all.push(Condition::Attachment(texts(&written.attachment)));
    }
    if !written.media_type.is_empty() {
        all.push(Condition::MediaType(texts(&written.media_type)));
    }
    if !written.contains.is_empty() {
        let searches = written.contains.iter().map(|content| match content {
            Content::Number(kind) => Search::Number(*kind),
            Content::Pattern(pattern) => Search::Text(pattern.regex().clone()),
        });
        all.push(Condition::Contains(searches.map(|search| builder.search(search)).collect()));
    }
    all
}

fn protection(name: ProtectionName) -> Protection {
    match name {
        ProtectionName::Plain => Protection::Plain,
        ProtectionName::Tls => Protection::Tls,
        ProtectionName::Secure => Protection::Secure,
        ProtectionName::Hold => Protection::Hold,
        ProtectionName::Refuse => Protection::Refuse,
    }
}

fn channel(name: ChannelName) -> Channel {
    match name {
        ChannelName::Tunnel => Channel::Tunnel,
        ChannelName::Personal => Channel::Personal,
        ChannelName::Pickup => Channel::Pickup,
    }
}

/// What the path of a message is told.
///
/// # Errors
/// What is wrong with the rules together.
pub fn flow_settings(settings: &Settings) -> anyhow::Result<flow::Settings> {
    let portal = settings.portal.as_ref();
    let outbound = settings.smtpd.outbound.as_ref();
    let inbound = settings.smtpd.inbound.as_ref();
    let department = |d: &crate::config::Department| {
        (d.id.to_lowercase(), flow::Department { names: d.name.clone(), address: d.address.clone() })
    };
    let departments: BTreeMap<_, _> = settings.department.iter().map(department).collect();
    Ok(flow::Settings {
        hostname: settings.hostname.clone(),
        domains: settings.organisation.domains.clone(),
        language: settings.organisation.language,
        organisation: settings.organisation.name.clone(),
        rules: Arc::new(rules(settings)?),
        unknown_matches: settings.policy.unknown == Unknown::Match,
        refuse_unreachable: settings.policy.unreachable == Unreachable::Refuse,
        has_portal: portal.is_some(),
        numbers: numbers(settings),
        // Each door has its own limit; this one bounds what is kept.
        max_message_size: [
            outbound.map(|door| door.max_message_size.0),
            settings.smtpd.inbound.as_ref().map(|door| door.max_message_size.0),
        ]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(100 << 20),
        secret_header: outbound.and_then(|o| o.require.as_ref()?.header.as_ref()).map(|header| header.name.clone()),
        departments,
        default_department: settings.default_department().map(|d| d.id.to_lowercase()),
        portal_url: portal.map(|portal| portal.url.to_string().trim_end_matches('/').to_owned()).unwrap_or_default(),
        retention: portal.map_or(std::time::Duration::from_secs(30 * 86_400), |portal| portal.retention),
        providers: settings.identity.provider.iter().map(provider).collect(),
        reveal_department: settings.notify.reveal == Reveal::Department,
        remind_after: settings.notify.remind_after,
        zone: settings.organisation.timezone.zone().clone(),
        rotate_every: settings.vault.rotate_every,
        lifetime: settings.queue.maximal_lifetime,
        verifies_tls: settings.delivery.verifies_tls(),
        each_domain: settings.delivery.internet == Internet::Mx,
        forwards: outbound.is_some_and(|door| door.forwarded == Forwarded::Srs),
        subject_marks: inbound.map(|door| door.subject_marks.clone()).unwrap_or_default(),
        dmarc_refuses: inbound.is_some_and(|door| door.dmarc == DmarcWish::Reject),
        trusted_sealers: inbound.map(|door| door.trusted_arc_sealers.clone()).unwrap_or_default(),
        trusted_peers: inbound.map(|door| door.trusted_peers.clone()).unwrap_or_default(),
        seal: seal_wishes(settings),
    })
}

/// How partners want their mail sealed.
fn seal_wishes(settings: &Settings) -> SealWishes {
    let usual = &settings.smime;
    let wish = |cipher, transport, subject| SealWish {
        cipher: match cipher {
            CipherWord::Auto => CipherWish::Auto,
            CipherWord::Aes256Gcm => CipherWish::Aes256Gcm,
            CipherWord::Aes256Cbc => CipherWish::Aes256Cbc,
            CipherWord::Aes128Cbc => CipherWish::Aes128Cbc,
        },
        transport: match transport {
            KeyTransportWord::Oaep => TransportWish::Oaep,
            KeyTransportWord::Pkcs1 => TransportWish::Pkcs1,
        },
        subject: match subject {
            SubjectWord::Hidden => SubjectWish::Hidden,
            SubjectWord::Neutral => SubjectWish::Neutral,
            SubjectWord::Open => SubjectWish::Open,
        },
    };
    let of = settings.tunnel.iter().map(|tunnel| {
        let (cipher, transport) = (tunnel.cipher.unwrap_or(usual.cipher), tunnel.key_transport);
        let transport = transport.unwrap_or(usual.key_transport);
        (tunnel.domain.clone(), wish(cipher, transport, tunnel.subject.unwrap_or(usual.subject)))
    });
    SealWishes { usual: wish(usual.cipher, usual.key_transport, usual.subject), of: of.collect() }
}

/// Kinds of national numbers that a login can show.
#[must_use]
pub fn numbers(settings: &Settings) -> Vec<NumberType> {
    let told = settings.identity.provider.iter().filter(|provider| provider.claims.number.is_some());
    told.filter_map(|provider| provider.number_type).flat_map(NumberType::shown_with).copied().collect()
}

fn provider(provider: &Provider) -> (String, Option<String>) {
    (provider.name.clone(), provider.help.as_ref().map(ToString::to_string))
}

/// What letters show.
///
/// # Errors
/// There is no address to write from.
pub fn house(settings: &Settings) -> anyhow::Result<notify::House> {
    let sender = settings.notice_sender().context("notify.from: no address to write from")?;
    Ok(notify::House {
        sender: notify::Sender {
            hostname: settings.hostname.clone(),
            name: sender.name.unwrap_or_else(|| settings.organisation.name.clone()),
            address: sender.address,
            lifetime: settings.queue.maximal_lifetime,
            report_lifetime: settings.queue.report_lifetime.min(settings.queue.maximal_lifetime),
        },
        domains: settings.organisation.domains.clone(),
        head: notify::Letterhead {
            organisation: settings.organisation.name.clone(),
            language: settings.organisation.language,
            contact: settings.organisation.contact.clone(),
            website: settings.organisation.website.as_ref().map(ToString::to_string),
            zone: settings.organisation.timezone.zone().clone(),
        },
    })
}

/// What the web door is told.
#[must_use]
pub fn portal(settings: &Settings, door: &crate::config::Portal) -> PortalSettings {
    let name = |provider: &Provider| ProviderName {
        id: provider.id.clone(),
        name: provider.name.clone(),
        help: provider.help.as_ref().map(ToString::to_string),
    };
    PortalSettings {
        listen: door.listen,
        url: door.url.to_string().trim_end_matches('/').to_owned(),
        organisation: Owner {
            name: settings.organisation.name.clone(),
            contact: settings.organisation.contact.clone(),
            website: settings.organisation.website.as_ref().map(ToString::to_string),
        },
        language: settings.organisation.language,
        zone: settings.organisation.timezone.zone().clone(),
        retention: door.retention,
        max_upload: door.max_upload.0,
        trusted_proxies: door.trusted_proxies.clone(),
        providers: settings.identity.provider.iter().map(name).collect(),
        max_connections: count(door.max_connections.get()),
    }
}

/// The e-ID providers, with their secrets read.
///
/// # Errors
/// A secret cannot be read, or a provider would be spoken to in the clear.
pub fn electronic_id(settings: &Settings, url: &str, clock: &Clock) -> anyhow::Result<Oidc> {
    let mut providers = Vec::new();
    for written in &settings.identity.provider {
        let secret = Zeroizing::new(
            read_secret(&written.client_secret)
                .with_context(|| format!("identity.provider.{}.client_secret", written.id))?,
        );
        let secret = Zeroizing::new(String::from_utf8_lossy(&secret).trim().to_owned());
        providers.push(identity::Provider {
            id: written.id.clone(),
            issuer: written.issuer.to_string(),
            client_id: written.client_id.clone(),
            client_secret: secret,
            scopes: written.scopes.clone(),
            acr_values: written.acr_values.clone(),
            accept_acr: written.accept_acr.clone(),
            claims: ClaimNames {
                number: written.claims.number.clone(),
                name: written.claims.name.clone(),
                level: written.claims.level.clone(),
            },
            number_type: written.number_type,
        });
    }
    Ok(Oidc::new(providers, url, clock.clone())?)
}

/// What the keys that sign are told. A key that cannot be read here is named with the reason.
#[must_use]
pub fn key_settings(settings: &Settings) -> KeySettings {
    let read = |dkim: &Dkim| {
        let pem = Zeroizing::new(read_secret(&dkim.key).map_err(|fault| format!("{fault:#}"))?);
        SigningKey::from_pem(&pem).map(Arc::new).map_err(|fault| fault.to_string())
    };
    let configured = |dkim: &Dkim| ConfiguredKey {
        domain: dkim.domain.clone(),
        selector: dkim.selector.to_string(),
        key: read(dkim),
    };
    let dns = settings.delivery.for_delivery(&settings.hostname).dns;
    KeySettings { ours: settings.author_domains(), configured: settings.dkim.iter().map(configured).collect(), dns }
}

/// … and that all of them can be read.
///
/// # Errors
/// One cannot: mail would leave unsigned.
pub fn sound_key_settings(settings: &Settings) -> anyhow::Result<KeySettings> {
    let told = key_settings(settings);
    for key in &told.configured {
        if let Err(fault) = &key.key {
            anyhow::bail!("dkim.{:?}.key ({}): {fault}", key.domain.as_str(), key.selector);
        }
    }
    Ok(told)
}

/// What the directory is told. What cannot be read here is left out, and said: `sealgate check` tells all of it.
#[must_use]
pub fn directory_settings(settings: &Settings) -> directory::DirectorySettings {
    let mut told = directory::DirectorySettings::default();
    if let Some(trust) = &settings.trust {
        let read = trust.roots.iter().flat_map(|file| imported(&file.path, &file.written).certificates);
        told.trust.roots = read.collect::<Pool>();
        for place in &trust.crls {
            match place {
                ListPlace::File(file) => {
                    let lists: Vec<Crl> = imported(&file.path, &file.written).lists;
                    told.trust.lists.extend(lists);
                }
                ListPlace::Url(url) => told.trust.list_urls.push(url.clone()),
            }
        }
        told.trust.grace = trust.grace;
        told.trust.unknown = match trust.unknown_revocation {
            UnknownRevocation::Refuse => directory::WhenUnknown::Refuse,
            UnknownRevocation::Use => directory::WhenUnknown::Use,
        };
        told.trust.strangers = match trust.strangers {
            StrangersWord::Ask => directory::Strangers::Ask,
            StrangersWord::Trusted => directory::Strangers::Trusted,
        };
    }
    for tunnel in &settings.tunnel {
        let all = imported(&tunnel.certificate.path, &tunnel.certificate.written).certificates;
        let is_authority = |it: &Certificate| it.basic_constraints().ok().flatten().is_some_and(|it| it.ca);
        let (issuers, leaves): (Vec<_>, Vec<_>) = all.into_iter().partition(is_authority);
        // A certificate that signs itself may say that it is an authority's; alone in its file it is the partner's.
        let (issuers, leaves) = if leaves.is_empty() { (leaves, issuers) } else { (issuers, leaves) };
        told.issuers.extend(issuers);
        told.tunnels.push(directory::ConfiguredTunnel {
            domain: tunnel.domain.clone(),
            certificates: leaves,
            is_pinned: tunnel.trust == TunnelTrust::Pinned,
            told_by: tunnel.certificate.written.clone(),
        });
    }
    told.own = settings.own_certificate.iter().filter_map(own_key).collect();
    told.ours.clone_from(&settings.organisation.domains);
    told
}

fn own_key(own: &OwnCertificate) -> Option<directory::OwnKey> {
    let KeySource::Secret(secret) = &own.key else { return None };
    let chain = imported(&own.certificate.path, &own.certificate.written).certificates;
    let octets = read_secret(secret).map(Zeroizing::new);
    let octets =
        octets.inspect_err(|fault| tracing::warn!(%fault, "a key of [[own_certificate]] cannot be read")).ok()?;
    let key = Imported::read(&octets, None).ok()?.keys.pop()?;
    let belongs = chain.first().is_some_and(|leaf| key.belongs_to(leaf));
    belongs.then(|| directory::OwnKey {
        scope: own.r#for.0.clone(),
        chain,
        key: key.key(),
        told_by: own.certificate.written.clone(),
    })
}

fn imported(path: &std::path::Path, written: &str) -> Imported {
    let read = std::fs::read(path).map_err(|fault| fault.to_string());
    let read = read.and_then(|octets| Imported::read(&octets, None).map_err(|fault| fault.to_string()));
    read.unwrap_or_else(|fault| {
        tracing::warn!(file = written, fault, "a file with certificates cannot be read");
        Imported::default()
    })
}

/// What delivery is told, logins and pinned roots read.
///
/// # Errors
/// A file cannot be read.
pub fn delivery(settings: &Settings) -> anyhow::Result<delivery::Settings> {
    let written = &settings.delivery;
    let mut routes = Vec::new();
    for route in &written.route {
        let roots = route.ca_file.as_ref().map(|file| Roots::read(&file.path)).transpose();
        let built = Arc::new(DomainRoute {
            next_hop: route.next_hop.clone(),
            login: read_login(route.login.as_ref(), &route.place.of("login"))?,
            tls: route.level(),
            names: route.names.clone(),
            roots: roots.with_context(|| route.place.of("ca_file"))?,
        });
        routes.extend(route.domains.iter().map(|pattern| (pattern.clone(), Arc::clone(&built))));
    }
    Ok(delivery::Settings {
        login: read_login(written.login.as_ref(), "delivery.login")?,
        routes: routes.into_iter().collect(),
        ..written.for_delivery(&settings.hostname)
    })
}

fn read_login(secret: Option<&Secret>, key: &str) -> anyhow::Result<Option<Login>> {
    let Some(secret) = secret else { return Ok(None) };
    let octets = Zeroizing::new(read_secret(secret).with_context(|| key.to_owned())?);
    let login = std::str::from_utf8(&octets).unwrap_or_default().parse();
    Ok(Some(login.with_context(|| key.to_owned())?))
}

/// A secret from its file or systemd credential.
///
/// # Errors
/// It cannot be read.
pub fn read_secret(secret: &Secret) -> anyhow::Result<Vec<u8>> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
    let path = secret
        .path(credentials.as_deref())
        .context("no $CREDENTIALS_DIRECTORY: this credential is given by systemd")?;
    std::fs::read(&path).with_context(|| path.display().to_string())
}

/// What the outbound door is told.
#[must_use]
pub fn outbound(settings: &Settings, door: &Outbound) -> DoorSettings {
    let require = door.require.as_ref();
    DoorSettings {
        require: Requirement {
            header: require.and_then(|r| r.header.as_ref()).map(|h| RequiredHeader::new(&h.name, &h.value)),
            client_certificate: require.is_some_and(|r| r.client_certificate.is_some()),
        },
        max_message_size: door.max_message_size.0,
        max_recipients: count(door.max_recipients.get()),
        max_sessions: count(door.max_sessions.get()),
        max_sessions_per_client: count(door.max_sessions_per_client.get()),
        idle_timeout: door.idle_timeout,
        session_timeout: door.session_timeout,
        offers_require_tls: !settings.delivery.inner_plaintext,
        ..DoorSettings::outbound(settings.hostname.clone(), door.listen, door.allow.clone())
    }
}

/// What the inbound door is told.
#[must_use]
pub fn inbound(settings: &Settings, door: &Inbound) -> DoorSettings {
    DoorSettings {
        max_message_size: door.max_message_size.0,
        max_recipients: count(door.max_recipients.get()),
        max_sessions: count(door.max_sessions.get()),
        max_sessions_per_client: count(door.max_sessions_per_client.get()),
        idle_timeout: door.idle_timeout,
        session_timeout: door.session_timeout,
        trusted_peers: door.trusted_peers.clone(),
        proxy_protocol: door.proxy_protocol,
        greeting_pause: door.greeting_pause,
        connections: Rate::per_minute(door.max_connections_per_minute),
        messages: Rate::per_hour(door.max_messages_per_hour),
        refusals: Rate::per_hour(door.max_refusals_per_hour),
        offers_require_tls: !settings.delivery.inner_plaintext,
        ..DoorSettings::inbound(settings.hostname.clone(), door.listen)
    }
}

/// Who knows our recipients. The mail server is the one of the start, as for mail.
///
/// # Errors
/// What cannot be read: the list, a certificate, a password.
pub fn recipients(settings: &Settings, started: &Settings) -> anyhow::Result<Asked> {
    let Some(door) = &settings.smtpd.inbound else { return Ok(Asked::Nobody) };
    match (&door.recipients, &door.ldap) {
        (RecipientSource::Callout, _) => {
            let callout = Callout::new(started.delivery.for_delivery(&started.hostname)).context("delivery")?;
            Ok(Asked::MailServer(Arc::new(callout)))
        }
        (RecipientSource::List(file), _) => {
            let told = |faults: Vec<ListFault>| {
                let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
                anyhow!("smtpd.inbound.recipients: {}: {}", file.written, told.join("; "))
            };
            RecipientList::read(&file.path).map(Asked::List).map_err(told)
        }
        (RecipientSource::Ldap, Some(ldap)) => directory(ldap).map(Arc::new).map(Asked::Directory),
        (RecipientSource::Ldap, None) => Err(anyhow!("smtpd.inbound.ldap: no directory is named")),
    }
}

fn directory(ldap: &Ldap) -> anyhow::Result<Directory> {
    let bind = match (&ldap.bind_dn, &ldap.password) {
        (Some(name), Some(password)) => {
            let octets = Zeroizing::new(read_secret(password).context("smtpd.inbound.ldap.password")?);
            let password = std::str::from_utf8(&octets).context("smtpd.inbound.ldap.password")?;
            Some((name.clone(), Zeroizing::new(password.trim_end_matches(['\r', '\n']).to_owned())))
        }
        (Some(_) | None, _) => None,
    };
    let told = DirectorySettings {
        url: ldap.url.base(),
        start_tls: ldap.start_tls,
        bind,
        base: ldap.base.clone(),
        filter: ldap.filter.clone(),
        patience: ldap.timeout,
    };
    let ca_file = ldap.ca_file.as_ref().map(|file| file.path.as_path());
    Directory::new(told, ca_file).context("smtpd.inbound.ldap.ca_file")
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
