//! The types of Rust and of mail as settings: texts, numbers, lists, maps.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use toml::de::DeValue;

use crate::fault::key::Keys;
use crate::fault::quantity::{read_duration, write_duration};
use crate::fault::reader::{At, Value};
use crate::fault::setting::{Setting, TextSetting};

impl TextSetting for crate::mail::Domain {
    const FORM: &'static str = "a domain name such as \"sundby.example\"";
    const STAND_IN: Option<&'static str> = Some("stand-in.invalid");
}

impl TextSetting for crate::mail::DomainPattern {
    const FORM: &'static str = "a domain such as \"partner.example\", or \".partner.example\" for all below it";
}

impl TextSetting for crate::mail::Address {
    const FORM: &'static str = "a mail address such as \"anna.berg@sundby.example\"";
}

impl TextSetting for crate::texts::Language {
    const FORM: &'static str = "one of \"sv\", \"da\", \"en\"";
}

impl TextSetting for std::net::SocketAddr {
    const FORM: &'static str = "an IP address and a port such as \"127.0.0.1:10025\" or \"[::1]:10025\"";
}

impl Setting for String {
    fn form() -> String {
        "a text".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let DeValue::String(text) = value else {
            at.wrong_kind(value, "a text");
            return None;
        };
        if text.trim().is_empty() {
            at.fault("the text is empty", "write something, or leave the setting out");
            return None;
        }
        if text.contains(['\r', '\n', '\0']) {
            at.fault("the text has more than one line", "write it in one line");
            return None;
        }
        Some(text.clone().into_owned())
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.clone()))
    }

    fn stand_in() -> Option<Self> {
        Some("stand-in".to_owned())
    }
}

impl Setting for bool {
    fn form() -> String {
        "true or false".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let DeValue::Boolean(yes) = value else {
            at.wrong_kind(value, "true or false");
            return None;
        };
        Some(*yes)
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::Boolean(*self))
    }
}

impl Setting for NonZeroU32 {
    fn form() -> String {
        "a whole number from 1".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let DeValue::Integer(number) = value else {
            at.wrong_kind(value, &Self::form());
            return None;
        };
        let read = u32::from_str_radix(number.as_str(), number.radix()).ok().and_then(Self::new);
        if read.is_none() {
            at.fault(format!("the number is too small or too large: {number}"), "write a whole number from 1");
        }
        read
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::Integer(i64::from(self.get())))
    }
}

impl Setting for u32 {
    fn form() -> String {
        "a whole number from 0".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let DeValue::Integer(number) = value else {
            at.wrong_kind(value, &Self::form());
            return None;
        };
        let read = Self::from_str_radix(number.as_str(), number.radix()).ok();
        if read.is_none() {
            at.fault(format!("the number is too small or too large: {number}"), "write a whole number from 0");
        }
        read
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::Integer(i64::from(*self)))
    }
}

impl Setting for Duration {
    fn form() -> String {
        "a time such as \"90s\", \"5m\", \"2h\", \"30d\" or \"1h 30m\"".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let DeValue::String(text) = value else {
            at.wrong_kind(value, &Self::form());
            return None;
        };
        let read = read_duration(text);
        match read {
            None => at.fault(format!("not a time: {text:?}"), format!("write {}", Self::form())),
            Some(Self::ZERO) => at.fault("the time is zero", format!("write {}", Self::form())),
            Some(_) => return read,
        }
        None
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(write_duration(*self)))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn form() -> String {
        T::form()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        T::read(value, at).map(Some)
    }

    fn show(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::show)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn keys() -> Option<Keys> {
        T::keys()
    }
}

/// A list. One value that is no section may stand for a list of one.
impl<T: Setting> Setting for Vec<T> {
    fn form() -> String {
        format!("a list, each {}", T::form())
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let DeValue::Array(elements) = value else {
            if value.is_table() {
                let hint = format!("write double brackets around the section's name: [[{}]]", at.place().key);
                at.fault("there may be several of these, so it is a list", hint);
                return None;
            }
            return T::read(value, at).map(|only| vec![only]);
        };
        let named_by = T::keys().and_then(|keys| keys.named_by);
        let mut read = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let stand_ins = at.reader.stand_ins;
            let inner = at.element(index, element, named_by);
            let value = inner.and_then(|mut inner| T::read(element.get_ref(), &mut inner));
            // One of several that is not whole would be mistaken for another.
            read.push(value.filter(|_| at.reader.stand_ins == stand_ins));
        }
        Some(read.into_iter().flatten().collect())
    }

    fn show(&self) -> Option<toml::Value> {
        let elements: Vec<_> = self.iter().filter_map(T::show).collect();
        (!elements.is_empty()).then_some(toml::Value::Array(elements))
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn keys() -> Option<Keys> {
        T::keys().map(|keys| Keys { several: true, ..keys })
    }
}

/// A table whose keys are values too: `{ sv = "Bygglov", en = "Building permits" }`.
impl<K: TextSetting + Ord, T: Setting> Setting for BTreeMap<K, T> {
    fn form() -> String {
        format!("a table {{ key = value, … }}, each key {}, each value {}", K::FORM, T::form())
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let DeValue::Table(table) = value else {
            at.wrong_kind(value, &Self::form());
            return None;
        };
        let mut read = Vec::with_capacity(table.len());
        for (key, value) in table.iter() {
            let Some(mut inner) = at.named(key.get_ref(), key.span()) else {
                read.push(None);
                continue;
            };
            let name = K::read(&DeValue::String(key.get_ref().clone()), &mut inner);
            let value = T::read(value.get_ref(), &mut inner);
            read.push(name.zip(value));
        }
        Some(read.into_iter().flatten().collect())
    }

    fn show(&self) -> Option<toml::Value> {
        let shown: toml::Table =
            self.iter().filter_map(|(key, value)| Some((key.to_string(), value.show()?))).collect();
        (!shown.is_empty()).then_some(toml::Value::Table(shown))
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}
