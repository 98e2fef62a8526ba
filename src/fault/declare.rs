//! The declaration of sections and of settings with a few fixed words.

/// Declares a section once: a struct whose fields are its settings.
///
/// ```text
/// settings! {
///     /// What the section is for.
///     pub struct Outbound {
///         /// A setting that must be written.
///         listen: SocketAddr,
///         /// One that has a default, as TOML writes it.
///         max_message_size: Size = "100 MiB",
///         /// One that may be left out.
///         require: Option<Require>,
///     }
/// }
/// ```
///
/// `named "id"` after the struct's name says which setting names the section where there are several of its kind.
/// The doc comments are the reference's words. Needs `At`, `Key`, `Keys`, `Place`, `Reader`, `Section`, `Setting` and `Value` of
/// `crate::fault` in scope.
macro_rules! settings {
    ($(
        $(#[doc = $section:literal])+
        pub struct $name:ident $(named $label:literal)? {
            $( $(#[doc = $meaning:literal])+ $field:ident : $type:ty $(= $default:expr)? ),* $(,)?
        }
    )+) => {$(
        $(#[doc = $section])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            /// Where the section stands.
            pub place: Place,
            $( $(#[doc = $meaning])+ pub $field: $type, )*
        }

        impl Setting for $name {
            fn form() -> String {
                "a table".to_owned()
            }

            fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
                let keys = <Self as Setting>::keys()?;
                let mut section = Section::open(value, at, &keys)?;
                $( let $field = section.take::<$type>(stringify!($field), settings!(@default $($default)?)); )*
                Some(Self { place: section.place(), $( $field: $field?, )* })
            }

            fn show(&self) -> Option<toml::Value> {
                let mut table = toml::Table::new();
                $(
                    if let Some(value) = Setting::show(&self.$field) {
                        let name = stringify!($field);
                        table.insert(name.strip_prefix("r#").unwrap_or(name).to_owned(), value);
                    }
                )*
                (!table.is_empty()).then_some(toml::Value::Table(table))
            }

            fn stand_in() -> Option<Self> {
                Reader::stand_in()
            }

            fn keys() -> Option<Keys> {
                const KEYS: &[Key] = &[
                    $( Key {
                        name: stringify!($field),
                        default: settings!(@default $($default)?),
                        meaning: concat!($($meaning),+),
                        form: <$type as Setting>::form,
                        optional: || <$type as Setting>::absent().is_some(),
                        below: <$type as Setting>::keys,
                    }, )*
                ];
                Some(Keys {
                    meaning: concat!($($section),+),
                    keys: KEYS,
                    named_by: settings!(@label $($label)?),
                    several: false,
                })
            }
        }
    )+};
    (@default) => { None };
    (@default $default:expr) => { Some(stringify!($default)) };
    (@label) => { None };
    (@label $label:literal) => { Some($label) };
}

/// Declares a setting that is one of a few words.
///
/// ```text
/// words! {
///     /// What it chooses.
///     pub enum Reveal {
///         /// The organisation alone.
///         Organisation = "organisation",
///         /// The department too.
///         Department = "department",
///     }
/// }
/// ```
///
/// Needs `TextSetting` and `UnknownWord` of `crate::fault` in scope.
macro_rules! words {
    ($(
        $(#[doc = $doc:literal])+
        pub enum $name:ident {
            $(#[doc = $first_doc:literal])+ $first:ident = $first_word:literal
            $(, $(#[doc = $other_doc:literal])+ $other:ident = $other_word:literal)* $(,)?
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $first_doc])+ $first,
            $( $(#[doc = $other_doc])+ $other, )*
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $first_word => Ok(Self::$first),
                    $( $other_word => Ok(Self::$other), )*
                    _ => Err(UnknownWord),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    Self::$first => $first_word,
                    $( Self::$other => $other_word, )*
                })
            }
        }

        impl TextSetting for $name {
            const FORM: &'static str =
                concat!("one of \"", $first_word, "\"" $(, ", \"", $other_word, "\"")*);
        }
    )+};
}

pub(crate) use settings;
pub(crate) use words;
