//! `[[identity.provider]]`: who tells us who someone is.

use crate::directory::NumberType;
use crate::fault::{At, Key, Keys, Place, Reader, Secret, Section, Setting, Url, Value, settings};

settings! {
    /// Who tells us who someone is.
    pub struct Identity {
        /// The e-ID providers, in the order the login page shows them.
        provider: Vec<Provider>,
    }

    /// An e-ID, through any OpenID Connect provider or broker.
    pub struct Provider named "id" {
        /// Its name in addresses: `/login/ID`, `/callback/ID`.
        id: String,
        /// Its name for people.
        name: String,
        /// Its issuer: where `/.well-known/openid-configuration` is found.
        issuer: Url,
        /// Who we are to it.
        client_id: String,
        /// Our secret there: a file nobody else may read, or `credential:NAME`.
        client_secret: Secret,
        /// The scopes asked for.
        scopes: Vec<String> = ["openid"],
        /// The levels asked for, best first.
        acr_values: Vec<String>,
        /// The levels taken; the answer must be one of them. At least one.
        accept_acr: Vec<String>,
        /// Which claims tell what.
        claims: Claims = {},
        /// What kind of number `claims.number` holds.
        number_type: Option<NumberType>,
        /// The page that tells how to get this e-ID, for the notice.
        help: Option<Url>,
    }

    /// Which claims of the ID token tell what.
    pub struct Claims {
        /// The national number; without it, this e-ID cannot open what is meant for one number.
        number: Option<String>,
        /// The person's name.
        name: String = "name",
        /// The organisation number of whom the person acts for.
        organisation: Option<String>,
        /// The level of assurance.
        level: String = "acr",
    }
}
