//! A directory of our recipients: LDAP (RFC 4511), one search for each.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchOptions, SearchResult, ldap_escape};
use rustls::ClientConfig;
use tokio::sync::{Mutex, Semaphore};
use zeroize::Zeroizing;

use crate::mail::Address;
use crate::net::{ClientTls, ClientTlsError};
use crate::policy::{RecipientCheck, Standing};

/// Searches at the same time.
const SEARCHES: usize = 20;
/// What stands for the address in a filter.
const ADDRESS: &str = "{address}";
/// Result codes, RFC 4511 §4.1.9.
const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// Where the directory is, and how it is asked.
pub struct DirectorySettings {
    /// `ldap://host:port` or `ldaps://host:port`.
    pub url: String,
    /// TLS by StartTLS (RFC 4511 §4.14).
    pub start_tls: bool,
    /// Name and password to bind with; `None` for nobody.
    pub bind: Option<(String, Zeroizing<String>)>,
    /// Below which entry to search.
    pub base: String,
    /// What to search for.
    pub filter: Filter,
    /// How long each step may take.
    pub patience: Duration,
}

/// A search filter (RFC 4515) with a place for the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

/// The text is no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterFault {
    /// Every recipient would be known, or none.
    #[error("{{address}} does not stand in the filter")]
    AddressMissing,
    /// RFC 4515 §3 has no such form.
    #[error("not an LDAP filter")]
    FormInvalid,
}

/// Asks a directory.
pub struct Directory {
    settings: DirectorySettings,
    tls: Arc<ClientConfig>,
    /// The session in use; each search is a message of its own in it.
    session: Mutex<Option<Ldap>>,
    places: Semaphore,
}

impl Filter {
    /// The filter that finds this recipient. What an address may have and a filter understands otherwise is escaped.
    fn of(&self, recipient: &Address) -> String {
        self.0.replace(ADDRESS, &ldap_escape(recipient.to_string()))
    }
}

impl FromStr for Filter {
    type Err = FilterFault;

    fn from_str(text: &str) -> Result<Self, FilterFault> {
        if !text.contains(ADDRESS) {
            return Err(FilterFault::AddressMissing);
        }
        ldap3::parse_filter(text.replace(ADDRESS, "a@b")).map_err(|()| FilterFault::FormInvalid)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Directory {
    /// Where it is and what is searched for, without who asks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DirectorySettings { url, base, filter, .. } = &self.settings;
        write!(f, "{url} {base:?} {filter}")
    }
}

impl Directory {
    /// A directory by these settings; its certificate is verified by the system's roots and those of `ca_file`.
    ///
    /// # Errors
    /// `ca_file` is unreadable or has no root.
    pub fn new(settings: DirectorySettings, ca_file: Option<&Path>) -> Result<Self, ClientTlsError> {
        let tls = ClientTls::new(ca_file)?.verifying();
        Ok(Self { settings, tls, session: Mutex::default(), places: Semaphore::new(SEARCHES) })
    }

    async fn search(&self, filter: &str) -> Result<Standing, LdapError> {
        let (mut ldap, is_reused) = self.session().await?;
        let first = self.search_in(&mut ldap, filter).await;
        let first = match first {
            Err(_) if is_reused => {
                self.forget().await;
                let (mut fresh, _) = self.session().await?;
                self.search_in(&mut fresh, filter).await
            }
            said => said,
        };
        if first.is_err() {
            self.forget().await;
        }
        first
    }

    async fn search_in(&self, ldap: &mut Ldap, filter: &str) -> Result<Standing, LdapError> {
        // One is enough to know; a second would be none of our business.
        let options = SearchOptions::new().sizelimit(1);
        let search = ldap.with_timeout(self.settings.patience).with_search_options(options);
        let SearchResult(entries, result) = search.search(&self.settings.base, Scope::Subtree, filter, ["1.1"]).await?;
        let is_found = entries.iter().any(|entry| !entry.is_ref() && !entry.is_intermediate());
        match result.rc {
            SUCCESS | SIZE_LIMIT_EXCEEDED if is_found => Ok(Standing::Known),
            SUCCESS => Ok(Standing::Unknown),
            SIZE_LIMIT_EXCEEDED => Ok(Standing::Known),
            _ => Err(LdapError::from(result)),
        }
    }

    /// The session in use, or a new one. Whoever comes while it is opened waits for it.
    async fn session(&self) -> Result<(Ldap, bool), LdapError> {
        let mut slot = self.session.lock().await;
        if let Some(open) = slot.as_mut()
            && !open.is_closed()
        {
            return Ok((open.clone(), true));
        }
        let how = LdapConnSettings::new()
            .set_conn_timeout(self.settings.patience)
            .set_starttls(self.settings.start_tls)
            .set_config(Arc::clone(&self.tls));
        let (connection, mut ldap) = LdapConnAsync::with_settings(how, &self.settings.url).await?;
        tokio::spawn(async move {
            if let Err(fault) = connection.drive().await {
                tracing::debug!(%fault, "the session with the directory ended");
            }
        });
        if let Some((name, password)) = &self.settings.bind {
            ldap.with_timeout(self.settings.patience).simple_bind(name, password).await?.success()?;
        }
        *slot = Some(ldap.clone());
        Ok((ldap, false))
    }

    async fn forget(&self) {
        *self.session.lock().await = None;
    }
}

#[async_trait]
impl RecipientCheck for Directory {
    async fn standing(&self, recipient: &Address) -> Standing {
        let Ok(_place) = self.places.acquire().await else {
            return Standing::Undecided("the directory is asked no more".to_owned());
        };
        match self.search(&self.settings.filter.of(recipient)).await {
            Ok(standing) => standing,
            Err(LdapError::LdapResult { result }) => {
                Standing::Undecided(format!("the directory: result code {}{}", result.rc, meaning_of(result.rc)))
            }
            Err(fault) => Standing::Undecided(format!("the directory: {fault}")),
        }
    }
}

/// What a result code (RFC 4511 §4.1.9) says of the settings.
fn meaning_of(code: u32) -> &'static str {
    match code {
        7 | 8 | 13 => ": it wants another way to bind, or TLS",
        32 => ": there is no entry `base`",
        34 => ": `base` or `bind_dn` is no distinguished name",
        48 | 49 => ": it does not take `bind_dn` and `password`",
        50 => ": `bind_dn` may not search there",
        51 | 52 => ": it is busy or unavailable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::admission::directory::*;

    #[test]
    fn what_a_sender_writes_cannot_leave_its_place_in_the_filter() {
        let filter: Filter = "(|(mail={address})(proxyAddresses=smtp:{address}))".parse().unwrap();
        let of = |address: &str| filter.of(&address.parse().unwrap());
        assert_eq!(of("anna@sundby.example"), "(|(mail=anna@sundby.example)(proxyAddresses=smtp:anna@sundby.example))");
        let hostile = of("\"*)(uid=*\\\\\"@sundby.example");
        assert!(hostile.starts_with("(|(mail=\"\\2a\\29\\28uid=\\2a\\5c\\5c\"@sundby.example)"), "{hostile}");
        assert!(ldap3::parse_filter(&hostile).is_ok());
    }

    #[test]
    fn a_filter_has_a_place_for_the_address() {
        assert_eq!("(mail=*)".parse::<Filter>(), Err(FilterFault::AddressMissing));
        for text in ["((mail={address})", "(&(mail={address})", "{address}"] {
            assert_eq!(text.parse::<Filter>(), Err(FilterFault::FormInvalid), "{text}");
        }
    }
}
