//! A browser of few abilities: follows redirects, keeps cookies, finds fields of forms.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};

/// Redirects followed in a row.
const REDIRECTS: usize = 10;

/// One person's browser.
pub(crate) struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

/// A page as it came.
pub(crate) struct Page {
    pub url: String,
    pub status: StatusCode,
    pub text: String,
}

impl Page {
    /// The first thing that stands between two marks.
    pub(crate) fn between(&self, before: &str, after: &str) -> Option<&str> {
        self.text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(found, _)| found)
    }
}

impl Browser {
    /// A browser that believes this certificate beside the usual ones.
    pub(crate) fn new(certificate: &[u8]) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([reqwest::Certificate::from_pem(certificate)?])
            .no_proxy()
            .build()?;
        Ok(Self { http, cookies: BTreeMap::new() })
    }

    /// Goes there, and wherever it is sent on to.
    pub(crate) async fn get(&mut self, url: &str) -> anyhow::Result<Page> {
        self.go(Method::GET, url, None).await
    }

    /// Sends a form with one text part for each field and perhaps a file.
    pub(crate) async fn post(
        &mut self,
        url: &str,
        fields: &[(&str, &str)],
        file: Option<(&str, &[u8])>,
    ) -> anyhow::Result<Page> {
        let boundary = "----demo-form-boundary";
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend_from_slice(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                    .as_bytes(),
            );
        }
        if let Some((name, octets)) = file {
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(octets);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        self.go(Method::POST, url, Some((format!("multipart/form-data; boundary={boundary}"), body))).await
    }

    async fn go(&mut self, method: Method, url: &str, body: Option<(String, Vec<u8>)>) -> anyhow::Result<Page> {
        let (mut method, mut url, mut body) = (method, url.to_owned(), body);
        for _ in 0..REDIRECTS {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mut request = self
                .http
                .request(method.clone(), &url)
                .header("Cookie", cookies.join("; "))
                .header("Accept-Language", "sv");
            if let Some((media_type, octets)) = body.take() {
                request = request.header("Content-Type", media_type).body(octets);
            }
            let response = request.send().await.with_context(|| format!("{method} {url}"))?;
            for field in response.headers().get_all("set-cookie") {
                let pair = field.to_str()?.split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    self.cookies.insert(name.to_owned(), value.to_owned());
                }
            }
            let status = response.status();
            if !status.is_redirection() {
                return Ok(Page { url, status, text: response.text().await? });
            }
            let location = response.headers().get("location").context("a redirect to nowhere")?.to_str()?.to_owned();
            url = join(&url, &location)?;
            method = Method::GET;
        }
        bail!("redirected in circles at {url}")
    }
}

/// An address as seen from another.
pub(crate) fn join(base: &str, location: &str) -> anyhow::Result<String> {
    Ok(reqwest::Url::parse(base)?.join(location)?.to_string())
}
