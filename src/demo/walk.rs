//! The main job, walked once: every step says on one line what was checked.

use std::path::Path;

use anyhow::{Context, ensure};

use crate::demo::browser::{Browser, Page, join};
use crate::demo::mail_stand_in::Arrived;
use crate::demo::scene::Scene;
use crate::mail::{Field, Header};

const SUBJECT: &str = "Bygglov Ekbacken 4";
const BODY: &str = "Hej Eva,\n\nditt bygglov för Ekbacken 4 är beviljat.\n\nHälsningar\nAnna Berg\n";
const ANSWER: &str = "Tack! Ritningen ligger bifogad. Åäö.";
const FILE: &[u8] = b"Ritning: ett hus med tv\xc3\xa5 v\xc3\xa5ningar\n";

/// Says a step.
type Say<'s> = &'s (dyn Fn(&str) + Sync);

/// Walks the loop.
pub(crate) async fn walk(scene: &Scene, say: Say<'_>) -> anyhow::Result<()> {
    let original = "<original@sundby.example>";
    let message = format!(
        "From: Anna Berg <anna.berg@sundby.example>\nTo: eva@live.example\nSubject: [sikker] {}\nMessage-ID: {original}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{BODY}",
        SUBJECT
    );
    let id = scene.sundby.send("anna.berg@sundby.example", "eva@live.example", &message).await?;
    say(&format!("a clerk tags a mail [sikker]; the gateway promises it: 250 queued as {id}"));

    let notice = scene.provider.wait_for("the notice", |mail| is_for(mail, "eva@live.example")).await?;
    ensure!(scene.provider.all().len() == 1, "more than the notice left");
    let told = String::from_utf8_lossy(&notice.octets).into_owned() + &notice.text();
    ensure!(!told.contains("Ekbacken") && !told.contains("beviljat"), "the notice tells of the content");
    let link = notice
        .text()
        .split_whitespace()
        .find(|word| word.contains("/m/"))
        .context("the notice has no link")?
        .to_owned();
    say("outside, only a neutral notice arrived: no subject, no content, one link");

    let receipt =
        scene.sundby.mail_server.wait_for("the receipt", |mail| is_for(mail, "anna.berg@sundby.example")).await?;
    ensure!(receipt.text().contains("bygg@sundby.example"), "the receipt does not name the return mailbox");
    say("the clerk has a receipt that says how it went and that answers go to bygg@sundby.example");

    let found = readable(&scene.sundby.dir.join("data"), &["Ekbacken", "beviljat", "eva@", "anna.berg"])?;
    ensure!(found.is_empty(), "readable on the disk: {found:?}");
    say("on the gateway's disk, no word of subject, text or address can be read");

    let mut eva = Browser::new(&scene.sundby.certificate)?;
    let read = log_in(&mut eva, &link, "eva").await?;
    ensure!(read.status.is_success() && read.text.contains("Ekbacken 4 är beviljat"), "Eva cannot read her message");
    say("the recipient follows the link, logs in with the e-ID and reads the message");

    let mut stranger = Browser::new(&scene.sundby.certificate)?;
    let refused = log_in(&mut stranger, &link, "adam").await?;
    ensure!(!refused.status.is_success() && !refused.text.contains("Ekbacken"), "a stranger got in");
    say("somebody else with the same link sees the one error page");

    answer(&mut eva, &read).await?;
    let answer = scene.sundby.mail_server.wait_for("the answer", |mail| is_for(mail, "bygg@sundby.example")).await?;
    let header = answer.header();
    ensure!(header.message_ids("In-Reply-To") == [original], "the answer is not threaded");
    ensure!(
        header.text("From").is_some_and(|from| from.contains("Eva Rätt via Sundby kommun")),
        "the answer does not say who wrote"
    );
    ensure!(answer.text().contains("Ritningen ligger bifogad"), "the answer's text is missing");
    ensure!(
        header.text("X-Sealgate-Origin").is_some_and(|origin| origin.contains("number=verified")),
        "nobody vouches for the answer"
    );
    say("the answer, with its file, is in the department's mailbox, threaded, and says who vouches for it");

    scene
        .sundby
        .mail_server
        .wait_for("the word that it was read", |mail| {
            is_for(mail, "anna.berg@sundby.example")
                && mail.header().text("Subject").is_some_and(|subject| subject.starts_with("Läst"))
        })
        .await?;
    say("the clerk hears that the message was read");

    reply_in_thread(scene, &header, &mut eva, &link).await?;
    say("the clerk answers the answer without any tag: it stays in the secure thread, to the same person");

    untouched(scene).await?;
    say("an untagged mail arrives outside byte for byte, but for the trace field on top");

    let message = "From: Bo Dahl <bo@nordby.example>\nTo: eva@live.example\nSubject: [sikker] Afgørelse\n\nTil dig.\n";
    scene.nordby.send("bo@nordby.example", "eva@live.example", message).await?;
    scene.provider.wait_for("the other organisation's notice", |mail| mail.text().contains("Nordby Kommune")).await?;
    say("another organisation's gateway does the same on its own");

    for organisation in [&scene.sundby, &scene.nordby] {
        let report = organisation.kept.journal.verify(None)?;
        ensure!(report.sound && report.events > 0, "{}: the chain of events is not sound", organisation.name);
    }
    say("every step is an event in a chain that verifies");
    Ok(())
}

async fn log_in(browser: &mut Browser, link: &str, person: &str) -> anyhow::Result<Page> {
    let landing = browser.get(link).await?;
    let login = landing.between("href=\"/login/", "\"").context("no e-ID to choose")?.replace("&amp;", "&");
    let e_id = browser.get(&join(link, &format!("/login/{login}"))?).await?;
    ensure!(e_id.text.contains("Stand-in e-ID"), "not sent to the e-ID");
    browser.get(&format!("{}&person={person}", e_id.url)).await
}

async fn answer(eva: &mut Browser, read: &Page) -> anyhow::Result<()> {
    let form_at = format!("{}/reply", read.url);
    let form = eva.get(&form_at).await?;
    let csrf = form.between("name=\"csrf\" value=\"", "\"").context("the form has no token")?.to_owned();
    let once = form.between("name=\"once\" value=\"", "\"").context("the form cannot be sent")?.to_owned();
    let subject = format!("Sv: {SUBJECT}");
    let fields =
        [("csrf", csrf.as_str()), ("once", &once), ("subject", &subject), ("text", ANSWER), ("action", "send")];
    let sent = eva.post(&form_at, &fields, Some(("ritning.txt", FILE))).await?;
    ensure!(sent.url.ends_with("/sent") && sent.status.is_success(), "the answer was not sent: {}", sent.url);
    Ok(())
}

async fn reply_in_thread(scene: &Scene, answer: &Header, eva: &mut Browser, link: &str) -> anyhow::Result<()> {
    let (_, thread) = answer.addresses("Reply-To").pop().context("the answer has no Reply-To")?;
    let id = answer.message_ids("Message-ID").pop().context("the answer has no Message-ID")?;
    let message = format!(
        "From: Bygglov <bygg@sundby.example>\nTo: {thread}\nSubject: Sv: {SUBJECT}\nIn-Reply-To: {id}\nMessage-ID: <second@sundby.example>\n\nTack, vi har fått ritningen.\n"
    );
    let before = scene.provider.all().len();
    scene.sundby.send("bygg@sundby.example", &thread.to_string(), &message).await?;
    scene.provider.wait_for("the second notice", |_| scene.provider.all().len() > before).await?;
    let inbox = eva.get(&join(link, "/inbox")?).await?;
    let messages = inbox.text.matches("href=\"/messages/").count();
    ensure!(messages >= 2, "Eva's inbox does not show both messages");
    Ok(())
}

async fn untouched(scene: &Scene) -> anyhow::Result<()> {
    let message = "From: Anna Berg <anna.berg@sundby.example>\nTo: Eva <eva@live.example>\nSubject: Lunch\nX-Odd:   two  blanks\n\nVi ses kl. 12.\n\n.\nEnsam punkt ovan.\n";
    scene.sundby.send("anna.berg@sundby.example", "eva@live.example", message).await?;
    let arrived = scene
        .provider
        .wait_for("the untagged mail", |mail| mail.header().text("Subject").as_deref() == Some("Lunch"))
        .await?;
    let sent = message.replace('\n', "\r\n");
    ensure!(arrived.octets.ends_with(sent.as_bytes()), "the untagged mail was changed");
    let trace = arrived.octets.get(..arrived.octets.len() - sent.len()).unwrap_or_default();
    // Beside the trace, the count of passes that stops mail in a circle.
    let is_ours = |field: Field<'_>| field.is("Received") || field.is("X-Sealgate-Loop");
    ensure!(Header::new(trace).fields().all(is_ours), "more was added than our own fields");
    Ok(())
}

fn is_for(mail: &Arrived, address: &str) -> bool {
    mail.envelope.recipients.iter().any(|recipient| recipient.address.to_string() == address)
}

/// Files below a folder in which one of these can be read.
fn readable(folder: &Path, words: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(readable(&path, words)?);
        } else if path.is_file() {
            let octets = std::fs::read(&path)?;
            let readable = |word: &&str| memchr::memmem::find(&octets, word.as_bytes()).is_some();
            found
                .extend(words.iter().filter(|word| readable(word)).map(|word| format!("{word} in {}", path.display())));
        }
    }
    Ok(found)
}
