//! The stand-in mail provider's page: what arrived in a mailbox, links to click.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::demo::mail_stand_in::{Arrived, MailStandIn};
use crate::net::Shutdown;

#[derive(Clone)]
struct Page {
    title: &'static str,
    hint: String,
    mail: MailStandIn,
}

/// Serves a mailbox as a page; its address comes back.
pub(crate) async fn serve(
    title: &'static str,
    hint: String,
    mail: MailStandIn,
    shutdown: &Shutdown,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let pages = Router::new().route("/", get(show)).with_state(Page { title, hint, mail });
    let end = shutdown.clone();
    shutdown.spawn(async move {
        let served = axum::serve(listener, pages).with_graceful_shutdown(async move { end.begun().await }).await;
        if let Err(fault) = served {
            tracing::error!(%fault, "a stand-in's page stopped");
        }
    });
    Ok(address)
}

async fn show(State(page): State<Page>) -> Html<String> {
    let letters: String = page.mail.all().iter().rev().map(letter).collect();
    let letters = if letters.is_empty() { "<p>Nothing has arrived yet.</p>".to_owned() } else { letters };
    Html(format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title>\
         <style>body{{font:17px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}article{{border:1px solid #aaa;border-radius:6px;padding:.5rem 1rem;margin:1rem 0}}\
         h2{{font-size:1.1rem;margin:.3rem 0}}pre{{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}}</style></head>\
         <body><main><h1>{0}</h1><p>{1} Reload the page to see what is new.</p>{letters}</main></body></html>",
        escape(page.title),
        escape(&page.hint),
    ))
}

fn letter(arrived: &Arrived) -> String {
    let header = arrived.header();
    let field = |name: &str| escape(&header.text(name).unwrap_or_default());
    let to: Vec<String> = arrived.envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    format!(
        "<article><h2>{}</h2><p>From {}<br>To {}</p><pre>{}</pre></article>",
        field("Subject"),
        field("From"),
        escape(&to.join(", ")),
        linked(&arrived.text())
    )
}

/// Addresses of the web become links.
fn linked(text: &str) -> String {
    let word = |word: &str| {
        let shown = escape(word);
        if word.starts_with("https://") { format!("<a href=\"{shown}\">{shown}</a>") } else { shown }
    };
    text.split_inclusive(char::is_whitespace)
        .map(|piece| word(piece.trim_end()) + if piece.ends_with('\n') { "\n" } else { " " })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
