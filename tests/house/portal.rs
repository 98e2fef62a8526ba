//! The web door, as a browser meets it: real sockets, its own cookies, no scripts.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, Response, StatusCode};
use sealgate::identity::{Begun, ElectronicId, Finished, LoginFault, Visitor, Visitors, WayBack};
use sealgate::mail::{Address, QueueId};
use sealgate::mailboxes::{Deposit, Identified, PersonId, PostBox, Sent, Stored, StoredId};
use sealgate::net::{Clock, ServerTls, Shutdown, Time};
use sealgate::portal::{Deps, Owner, PortalSettings, ProviderName, Server};
use sealgate::queue::{Answer, AnswerIntake, ReceptionError};
use sealgate::records::Journal;
use sealgate::scan::{Clamd, Scanner, ScannerSettings};
use sealgate::store::{Bodies, Embedded, Files, RowsHandle, Table, Transaction};
use sealgate::telemetry::Metrics;
use sealgate::texts::{Language, Zone};
use sealgate::vault::{Identity, Token, Vault};

use crate::pdf::{Paper, in_order};

const NOON: i64 = 1_795_521_600_000; // 2026-11-24T12:00:00Z
const DAY: Duration = Duration::from_secs(24 * 3600);

/// An e-ID that believes whoever is named in the code.
struct Credulous(Mutex<HashMap<String, String>>);

#[async_trait]
impl ElectronicId for Credulous {
    async fn begin(&self, provider: &str, return_to: String) -> Result<Begun, LoginFault> {
        if provider != "bankid" {
            return Err(LoginFault::NoSuchProvider);
        }
        let mut pending = self.0.lock().unwrap();
        let state = format!("state{}", pending.len());
        pending.insert(state.clone(), return_to);
        Ok(Begun { location: format!("https://op.example/authorize?state={state}"), binding: format!("b-{state}") })
    }

    async fn finish(&self, _: &str, back: WayBack, binding: &str) -> Result<Finished, LoginFault> {
        let refused = |why: &str| LoginFault::Refused(why.to_owned());
        let state = back.state.ok_or_else(|| refused("no state"))?;
        if binding != format!("b-{state}") {
            return Err(refused("another browser"));
        }
        let return_to = self.0.lock().unwrap().remove(&state).ok_or_else(|| refused("unknown state"))?;
        let name = back.code.ok_or_else(|| refused("no code"))?;
        let number = name.strip_prefix("number").map(|number| format!("se-personnummer {number}"));
        let (provider, issuer) = ("bankid".to_owned(), "https://op.example".to_owned());
        let who = Identified { provider, issuer, subject: name.clone(), name, level: "loa3".into(), number };
        Ok(Finished { who, return_to })
    }
}

/// Remembers logins for half an hour.
struct Remembered(Mutex<HashMap<String, (Identified, PersonId)>>, Clock);

impl Visitors for Remembered {
    fn begin(&self, who: Identified, person: PersonId, _: Language) -> Option<String> {
        let mut all = self.0.lock().unwrap();
        let token = format!("session{}", all.len());
        all.insert(token.clone(), (who, person));
        Some(token)
    }

    fn find(&self, token: &str) -> Option<Visitor> {
        let (who, person) = self.0.lock().unwrap().get(token).cloned()?;
        let now = self.1.now();
        let ends_at_last = now.after(Duration::from_secs(8 * 3600));
        Some(Visitor { who, person, csrf: format!("csrf-{token}"), ends: now.after(DAY / 48), ends_at_last })
    }

    fn end(&self, token: &str) {
        self.0.lock().unwrap().remove(token);
    }
}

/// Takes answers, or none.
struct Taken(Mutex<Vec<Answer>>, Mutex<bool>, PostBox, RowsHandle);

#[async_trait]
impl AnswerIntake for Taken {
    fn has_room(&self) -> bool {
        !*self.1.lock().unwrap()
    }

    async fn answer(&self, answer: Answer) -> Result<QueueId, ReceptionError> {
        if *self.1.lock().unwrap() {
            return Err(ReceptionError::Unavailable("the test says so".into()));
        }
        let message = StoredId { message: answer.message, place: answer.recipient };
        let found = self.2.find(message).unwrap().unwrap();
        let id = QueueId::from_parts(1, sealgate::vault::random_octets().unwrap());
        let sent = Sent {
            id,
            answers: message,
            sent: NOON,
            expires: found.expires.unix_ms(),
            to: "Bygglov".into(),
            subject: answer.subject.clone(),
            text: answer.text.clone(),
            files: answer.attachments.iter().map(|file| file.file_name.clone()).collect(),
        };
        let person = found.person.unwrap();
        let mark = self.2.answering(person, &sent, &answer.form).unwrap();
        let change = move |tx: &mut dyn Transaction| {
            mark(tx)?;
            PostBox::draft_sent(tx, person, message)
        };
        self.3.commit(Box::new(change)).await.map_err(|fault| ReceptionError::Unavailable(fault.to_string()))?;
        self.0.lock().unwrap().push(answer);
        Ok(id)
    }
}

struct House {
    _folder: tempfile::TempDir,
    post_box: PostBox,
    rows: RowsHandle,
    bodies: Arc<Bodies>,
    vault: Vault,
    journal: Journal,
    clock: Clock,
    taken: Arc<Taken>,
    base: String,
    shutdown: Shutdown,
    deposited: Mutex<u64>,
}

impl House {
    async fn open() -> Self {
        Self::open_with(None, None).await
    }

    async fn open_with(tls: Option<ServerTls>, scanner: Option<Scanner>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows: RowsHandle = Arc::new(Embedded::open(&folder.path().join("rows.redb")).unwrap());
        let files = Files::open(&folder.path().join("bodies")).unwrap();
        let bodies = Arc::new(Bodies::new(Arc::clone(&rows), Arc::new(files)));
        let own = [Identity::generate().unwrap()];
        let clock = Clock::set_to(Time::from_unix_ms(NOON));
        let vault = Vault::open(&folder.path().join("keys"), &own, &[], clock.now()).unwrap();
        let journal = Journal::new(Arc::clone(&rows), vault.clone(), clock.clone());
        let post_box = PostBox::new(
            Arc::clone(&rows),
            Arc::clone(&bodies),
            vault.clone(),
            journal.clone(),
            clock.clone(),
            Metrics::default(),
        );
        let taken = Arc::new(Taken(Mutex::default(), Mutex::default(), post_box.clone(), Arc::clone(&rows)));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let deps = Deps {
            post_box: post_box.clone(),
            answers: Arc::clone(&taken) as Arc<dyn AnswerIntake>,
            electronic_id: Arc::new(Credulous(Mutex::default())),
            visitors: Arc::new(Remembered(Mutex::default(), clock.clone())),
            tls,
            scanner,
            metrics: Metrics::default(),
            clock: clock.clone(),
        };
        let server = Server::bind(settings(), deps).await.unwrap();
        let base = format!("{scheme}://localhost:{}", server.local_address().unwrap().port());
        let shutdown = Shutdown::new();
        tokio::spawn(server.run(shutdown.clone()));
        let deposited = Mutex::new(0);
        Self { _folder: folder, post_box, rows, bodies, vault, journal, clock, taken, base, shutdown, deposited }
    }

    /// Puts a message into a post box: its link's token and its id.
    async fn deposit(&self, to: &str, number: Option<&str>, message: &[u8]) -> (String, StoredId) {
        self.deposit_from("Anna Berg", to, number, message).await
    }

    async fn deposit_from(&self, author: &str, to: &str, number: Option<&str>, message: &[u8]) -> (String, StoredId) {
        let mut upload = self.post_box.upload().unwrap();
        upload.write(message).await.unwrap();
        let mut body = upload.finish().await.unwrap();
        let count = {
            let mut deposited = self.deposited.lock().unwrap();
            *deposited += 1;
            *deposited
        };
        let address: Address = to.parse().unwrap();
        let stored = Stored {
            address,
            sender: Some("anna.berg@sundby.example".parse().unwrap()),
            author: author.into(),
            return_mailbox: "bygg@sundby.example".parse().unwrap(),
            department: Some("Bygglov".into()),
            subject: "Komplettering av bygglov för Storgatan 1".into(),
            message_id: None,
            references: Vec::new(),
            language: Language::Sv,
            number: number.map(str::to_owned),
            head: b"X-Head: ours\r\n".to_vec(),
            skip: 0,
            body: body.body_ref().clone(),
        };
        let id = StoredId { message: QueueId::from_parts(count, [1; 10]), place: 0 };
        let now = self.clock.now();
        let deposit = Deposit { id, now, expires: now.after(30 * DAY), person: None, stored };
        let prepared = self.post_box.prepare(deposit).unwrap();
        let token = prepared.token().to_string();
        let change = move |tx: &mut dyn Transaction| {
            body.record(tx)?;
            prepared.write(tx)
        };
        self.rows.commit(Box::new(change)).await.unwrap();
        (token, id)
    }

    fn browser(&self) -> Browser {
        let plain = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = plain.danger_accept_invalid_certs(true).build().unwrap();
        Browser { client, base: self.base.clone(), cookies: BTreeMap::new(), site: None }
    }

    fn events(&self) -> Vec<(String, String)> {
        let all = self.journal.from(0, 1_000).unwrap();
        all.into_iter().map(|event| (event.kind.as_str().to_owned(), event.detail)).collect()
    }

    fn is_open(&self, id: StoredId) -> bool {
        self.post_box.find(id).unwrap().unwrap().milestones.opened.is_some()
    }

    async fn plain(&self, body: &sealgate::mailboxes::DraftFile) -> Vec<u8> {
        let locked = self.bodies.read_whole(&body.body, 1 << 30).await.unwrap();
        self.vault.unlock(body.body.epoch, &locked).unwrap().to_vec()
    }
}

fn settings() -> PortalSettings {
    PortalSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        url: "https://sakra.sundby.example".into(),
        organisation: Owner {
            name: "Sundby kommun".into(),
            contact: Some("Kontaktcenter 0000-720 00".into()),
            website: Some("https://www.sundby.example/sakra-meddelanden".into()),
        },
        language: Language::Sv,
        zone: Zone::default(),
        retention: 30 * DAY,
        max_upload: 1_000_000,
        trusted_proxies: Vec::new(),
        providers: vec![
            ProviderName { id: "bankid".into(), name: "BankID".into(), help: Some("https://bankid.example/".into()) },
            ProviderName { id: "freja".into(), name: "Freja+".into(), help: None },
        ],
        max_connections: 100,
    }
}

#[derive(Clone)]
struct Browser {
    client: reqwest::Client,
    base: String,
    cookies: BTreeMap<String, String>,
    /// Where its requests are from, if it tells (Fetch Metadata).
    site: Option<&'static str>,
}

impl Browser {
    async fn ask(&mut self, method: Method, path: &str, body: Option<(String, Vec<u8>)>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(site) = self.site {
            request = request.header("sec-fetch-site", site);
        }
        if let Some((media_type, octets)) = body {
            request = request.header("content-type", media_type).body(octets);
        }
        let response = request.send().await.unwrap();
        for field in response.headers().get_all("set-cookie") {
            let field = field.to_str().unwrap();
            assert!(field.starts_with("__Host-"), "{field}");
            assert!(field.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{field}");
            let (name, value) = field.split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => drop(self.cookies.remove(name)),
                _ => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        response
    }

    async fn get(&mut self, path: &str) -> Response {
        self.ask(Method::GET, path, None).await
    }

    async fn page(&mut self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    }

    /// The reply form: its address carries its token.
    async fn form(&mut self, path: &str) -> String {
        let away = self.get(path).await;
        let to = location(&away).to_owned();
        assert!(to.starts_with(&format!("{}?", path.split('?').next().unwrap())) && to.contains("once="), "{to}");
        self.page(&to).await
    }

    async fn post(&mut self, path: &str, form: &str) -> Response {
        self.ask(Method::POST, path, Some(("application/x-www-form-urlencoded".into(), form.into()))).await
    }

    /// Logs in through a link, as a browser would be led; the last answer.
    async fn log_in(&mut self, query: &str, name: &str) -> Response {
        let away = self.get(&format!("/login/bankid{query}")).await;
        assert_eq!(away.status(), StatusCode::SEE_OTHER);
        let state = away.headers()["location"].to_str().unwrap().rsplit('=').next().unwrap().to_owned();
        self.get(&format!("/callback/bankid?code={name}&state={state}&iss=https://op.example")).await
    }

    fn csrf(&self) -> String {
        format!("csrf-{}", self.cookies["__Host-session"])
    }

    async fn answer(&mut self, path: &str, fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> Response {
        let mut body = Vec::new();
        let (token, once) = (self.csrf(), Token::random().unwrap().to_string());
        let own = [("csrf", token.as_str()), ("once", once.as_str())];
        let own = own.iter().filter(|(name, _)| fields.iter().all(|(given, _)| given != name));
        for (name, value) in own.chain(fields) {
            body.extend_from_slice(
                format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
            );
        }
        for (name, octets) in files {
            body.extend_from_slice(
                format!("--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/html\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(octets);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        self.ask(Method::POST, path, Some(("multipart/form-data; boundary=XX".into(), body))).await
    }
}

fn location(response: &Response) -> &str {
    response.headers()["location"].to_str().unwrap()
}

const LETTER: &str = "From: anna.berg@sundby.example\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHej Åsa!\r\n\r\nVi behöver en ritning till.\r\n\r\n> Tidigare fråga\r\n--a\r\n\
Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hej <b>Åsa</b>!</p><script>alert(1)</script><img src=\"https://spy.example/x.png\">\
<p>Vi behöver en ritning till. <a href=\"https://www.sundby.example/bygglov\">Läs mer</a>.</p>\r\n--a--\r\n\
--m\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''Situationsplan%20%C3%A5r%201.pdf\r\n\
Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjcK\r\n--m\r\nContent-Type: text/html; name=sida.html\r\n\
Content-Disposition: attachment; filename=sida.html\r\n\r\n<script>alert(2)</script>\r\n--m--\r\n";

#[tokio::test]
async fn a_notices_link_is_a_locator_and_never_a_key() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut scanner = house.browser();
    let known = scanner.page(&format!("/m/{token}")).await;
    assert_eq!(scanner.ask(Method::HEAD, &format!("/m/{token}"), None).await.status(), StatusCode::OK);
    let unknown = scanner.page("/m/aaaaaaaaaaaaaaaaaaaaaaaaaa").await;
    assert_eq!(known.replace(&token, "T"), unknown.replace("aaaaaaaaaaaaaaaaaaaaaaaaaa", "T"));
    assert!(known.contains("Sundby kommun") && known.contains(&format!("/login/bankid?m={token}")));
    assert!(known.contains("Logga in för att läsa meddelandet."));
    assert!(!known.contains("Storgatan") && !known.contains("Anna"));
    assert!(scanner.cookies.is_empty() && house.events().is_empty() && !house.is_open(id));
    assert_eq!(scanner.get("/m/short").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_first_e_id_through_the_link_may_read_and_nobody_else() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let link = format!("?m={token}");
    let mut eva = house.browser();
    let arrived = eva.log_in(&link, "Eva").await;
    assert_eq!((arrived.status(), location(&arrived)), (StatusCode::SEE_OTHER, &*format!("/messages/{id}")));
    assert_eq!(eva.ask(Method::HEAD, &format!("/messages/{id}"), None).await.status(), StatusCode::OK);
    assert!(!house.is_open(id), "a look ahead is no reading");
    let inbox = eva.page("/inbox").await;
    assert!(inbox.contains("Oläst") && inbox.contains("Storgatan 1") && inbox.contains("24 december 2026 kl. 13.00"));
    assert!(inbox.contains("Anna Berg, Bygglov, Sundby kommun</p>"), "{inbox}");
    let page = eva.page(&format!("/messages/{id}")).await;
    assert!(house.is_open(id));
    assert!(page.contains("Hej Åsa!") && page.contains("<blockquote>&#62; Tidigare fråga"), "{page}");
    assert!(!eva.page("/inbox").await.contains("Oläst"));
    house.deposit_from("Bygglov", "eva@live.example", None, LETTER.as_bytes()).await;
    let inbox = eva.page("/inbox").await;
    assert!(
        inbox.contains(" Bygglov, Sundby kommun</p>") && !inbox.contains("Bygglov, Bygglov"),
        "no name twice: {inbox}"
    );

    // Another person, an unknown link, an expired message and a wrong number look the same.
    let mut pages = Vec::new();
    let (numbered, _) = house.deposit("ove@live.example", Some("se-personnummer 198501012382"), b"A: b\r\n\r\nc").await;
    for (link, name) in [(token.as_str(), "Mallory"), ("aaaaaaaaaaaaaaaaaaaaaaaaaa", "Mallory"), (&numbered, "number1")]
    {
        let mut stranger = house.browser();
        let refused = stranger.log_in(&format!("?m={link}"), name).await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
        pages.push(refused.text().await.unwrap());
        let other = stranger.get(&format!("/messages/{id}")).await;
        assert_eq!(other.status(), StatusCode::NOT_FOUND);
    }
    house.clock.advance(31 * DAY);
    let late = house.browser().log_in(&link, "Mallory").await;
    assert_eq!(late.status(), StatusCode::NOT_FOUND);
    pages.push(late.text().await.unwrap());
    let same: Vec<String> = pages.iter().map(|page| page.split("?code=").next().unwrap().to_owned()).collect();
    assert!(same.windows(2).all(|pair| pair[0] == pair[1]));
    let reasons: Vec<String> =
        house.events().into_iter().filter(|(kind, _)| kind == "login-refused").map(|(_, detail)| detail).collect();
    let said = |reason: &str| reasons.iter().filter(|said| said.contains(reason)).count();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert_eq!([said("another person"), said("leads to no"), said("number"), said("expired")], [1, 1, 1, 1]);
    assert_eq!(eva.get(&format!("/messages/{id}")).await.status(), StatusCode::NOT_FOUND, "retention is over");
}

#[tokio::test]
async fn mail_is_shown_without_its_teeth() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let html = eva.get(&format!("/messages/{id}/html")).await;
    let policy = html.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("sandbox ") && policy.contains("default-src 'none'") && !policy.contains("allow-scripts")
    );
    let html = html.text().await.unwrap();
    assert!(html.contains("<b>Åsa</b>") && !html.contains("script") && !html.contains("spy.example"), "{html}");

    let pdf = eva.get(&format!("/messages/{id}/attachments/1")).await;
    let header = |name: &str| pdf.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/pdf");
    assert!(header("content-disposition").ends_with("filename*=UTF-8''Situationsplan%20%C3%A5r%201.pdf"));
    assert!(header("content-disposition").starts_with("attachment; "));
    assert!(header("content-security-policy").starts_with("sandbox;"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(pdf.bytes().await.unwrap(), &b"%PDF-1.7\n"[..]);
    let page = eva.get(&format!("/messages/{id}/attachments/2")).await;
    assert_eq!(page.headers()["content-type"], "application/octet-stream");
    assert_eq!(eva.get(&format!("/messages/{id}/attachments/3")).await.status(), StatusCode::NOT_FOUND);
    let original = eva.get(&format!("/messages/{id}/original")).await.bytes().await.unwrap();
    assert_eq!(original, [b"X-Head: ours\r\n", LETTER.as_bytes()].concat());
    let paper = eva.get(&format!("/messages/{id}/pdf")).await;
    assert_eq!(paper.headers()["content-type"], "application/pdf");
    let text = Paper::from(&paper.bytes().await.unwrap()).text();
    let said = ["Anna Berg, Bygglov, Sundby kommun", "Hej Åsa!", "2 bifogade filer", "Situationsplan år 1.pdf"];
    in_order(&text, &said);
    assert_eq!(house.events().iter().filter(|(kind, _)| kind == "fetched").count(), 4);
}

/// Labels are in the language the page has; the message is in its sender's.
#[tokio::test]
async fn a_saved_message_is_accessible_in_the_readers_language() {
    let house = House::open().await;
    let letter = LETTER.replace("Vi behöver en ritning till.", "Ærø og Ålborg, blåbær på öen: ÆØÅ ÄÖ.");
    let (token, id) = house.deposit("eva@live.example", None, letter.as_bytes()).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    for (language, from, received, files) in [
        ("sv", "Från", "Mottaget", "2 bifogade filer"),
        ("da", "Fra", "Modtaget", "2 vedhæftede filer"),
        ("en", "From", "Received", "2 attached files"),
    ] {
        let page = eva.page(&format!("/messages/{id}?lang={language}")).await;
        assert!(page.contains(from) && page.contains(received) && page.contains(files), "{page}");
        let saved = eva.get(&format!("/messages/{id}/pdf")).await;
        let paper = Paper::from(&saved.bytes().await.unwrap());
        paper.is_accessible(language);
        let said = [
            "Komplettering av bygglov för Storgatan 1",
            from,
            "Anna Berg, Bygglov, Sundby kommun",
            received,
            "Hej Åsa!",
            "Ærø og Ålborg, blåbær på öen: ÆØÅ ÄÖ.",
            "> Tidigare fråga",
            files,
            "Situationsplan år 1.pdf (PDF, ",
        ];
        in_order(&paper.text(), &said);
    }
}

#[tokio::test]
async fn a_large_file_streams_and_broken_mail_is_offered_as_it_stands() {
    let house = House::open().await;
    let file: Vec<u8> = (0..3_000_000_u32).map(|place| b'a' + (place % 23) as u8).collect();
    let lines: Vec<&[u8]> = file.chunks(75).collect();
    let head = b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Disposition: attachment; filename=\"../x.bin\"\r\n\r\n";
    let message = [&head[..], &lines.join(&b"\r\n"[..]), b"\r\n--m--\r\n"].concat();
    let (token, id) = house.deposit("eva@live.example", None, &message).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let got = eva.get(&format!("/messages/{id}/attachments/1")).await;
    assert!(got.headers()["content-disposition"].to_str().unwrap().contains("\"x.bin\""));
    assert!(got.bytes().await.unwrap() == lines.join(&b"\r\n"[..]));
    let broken =
        b"Content-Type: text/plain; charset=nonsense\r\nContent-Transfer-Encoding: base64\r\n\r\n!!\0\xff not base64";
    let (token, id) = house.deposit("eva@live.example", None, broken).await;
    let csrf = eva.csrf();
    let landing = eva.page(&format!("/m/{token}")).await;
    assert!(landing.contains("Du är inloggad som Eva. Öppna meddelandet") && !landing.contains("Logga in för att"));
    let opened = eva.post(&format!("/m/{token}"), &format!("csrf={csrf}")).await;
    assert_eq!(location(&opened), format!("/messages/{id}"));
    let page = eva.page(&format!("/messages/{id}")).await;
    assert!(page.contains("kan inte visas") && page.contains("/original"), "{page}");
}

#[tokio::test]
async fn an_answer_is_kept_until_it_is_taken() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let path = format!("/messages/{id}/reply");
    let form = eva.form(&path).await;
    assert!(form.contains("value=\"SV: Komplettering av bygglov") && form.contains("&#62; Hej Åsa!"), "{form}");
    assert!(form.contains("Den 24 november 2026 kl. 13.00 skrev Anna Berg:"));

    let text = [("subject", "SV: Ritning"), ("text", "Här är den.\r\nEva"), ("action", "save")];
    let saved = eva.answer(&path, &text, &[("C:\\x\\plan.pdf", b"%PDF-1.7\n"), ("", b"")]).await;
    assert_eq!(location(&saved), format!("{path}?saved=1"));
    let person = house.post_box.find(id).unwrap().unwrap().person.unwrap();
    let draft = house.post_box.draft(person, id).unwrap().unwrap();
    assert_eq!((draft.text.as_str(), draft.files[0].name.as_str()), ("Här är den.\nEva", "plan.pdf"));
    assert_eq!(draft.files[0].media_type, "application/pdf");
    assert_eq!(house.plain(&draft.files[0]).await, b"%PDF-1.7\n");
    assert!(eva.page("/drafts").await.contains("SV: Ritning"));

    // Too large: the text is kept, the file is not.
    let text = [("subject", "SV: Ritning"), ("text", "Ny text"), ("action", "send")];
    let large = eva.answer(&path, &text, &[("stor.bin", &vec![0; 1_000_000])]).await;
    assert_eq!(large.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(large.text().await.unwrap().contains("1\u{a0}MB"));
    let draft = house.post_box.draft(person, id).unwrap().unwrap();
    assert_eq!((draft.text.as_str(), draft.files.len()), ("Ny text", 1));

    *house.taken.1.lock().unwrap() = true;
    let text = [("subject", ""), ("text", "Sista"), ("action", "send")];
    let refused = eva.answer(&path, &text, &[]).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = refused.text().await.unwrap();
    assert!(page.contains("kunde inte tas emot just nu") && page.contains(">\nSista</textarea>"), "{page}");
    assert_eq!(house.post_box.draft(person, id).unwrap().unwrap().text, "Sista");
    // Nor is there room for files: what is written stands in the page and in the draft.
    let refused = eva.answer(&path, &[("text", "Nästa"), ("action", "save")], &[("karta.pdf", b"%PDF-1.7\n")]).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = refused.text().await.unwrap();
    assert!(page.contains("Filer kan inte tas emot") && page.contains(">\nNästa</textarea>"), "{page}");
    let draft = house.post_box.draft(person, id).unwrap().unwrap();
    assert_eq!((draft.text.as_str(), draft.files.len()), ("Nästa", 1));
    *house.taken.1.lock().unwrap() = false;
    let sent = eva.answer(&path, &text, &[]).await;
    assert_eq!(location(&sent), format!("/messages/{id}/sent"));
    assert!(eva.page(&format!("/messages/{id}/sent")).await.contains("Bygglov, Sundby kommun"));
    let taken = house.taken.0.lock().unwrap().clone();
    let [answer] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((answer.message, answer.recipient, answer.author.as_str()), (id.message, 0, "Eva"));
    assert_eq!(answer.subject, "SV: Komplettering av bygglov för Storgatan 1");
    assert_eq!((answer.attachments[0].file_name.as_str(), answer.number_verified), ("plan.pdf", false));

    eva.answer(&path, &[("text", "En gång till"), ("action", "save")], &[("plan.pdf", b"%PDF-1.7\n")]).await;
    let file = house.post_box.draft(person, id).unwrap().unwrap().files[0].body.id;
    let remove = format!("remove-{file:032x}");
    eva.answer(&path, &[("text", "Sista"), ("action", &remove)], &[]).await;
    assert!(house.post_box.draft(person, id).unwrap().unwrap().files.is_empty());
    eva.answer(&path, &[("text", ""), ("action", "discard")], &[]).await;
    assert!(house.post_box.draft(person, id).unwrap().is_none());
    let nothing = eva.answer(&path, &[("text", "\n> citat"), ("action", "send")], &[]).await;
    assert_eq!(nothing.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

fn once(form: &str) -> String {
    form.split("name=\"once\" value=\"").nth(1).expect("a form that can be sent").split('"').next().unwrap().to_owned()
}

/// Two clicks, two windows, Back and Send again: one answer. What was changed meanwhile is not lost either.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_sent_once() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let path = format!("/messages/{id}/reply");
    let form = once(&eva.form(&path).await);
    assert_ne!(form, once(&eva.form(&path).await), "another token for each page");
    let person = house.post_box.find(id).unwrap().unwrap().person.unwrap();
    let answers = || house.taken.0.lock().unwrap().len();
    let fields = [("once", form.as_str()), ("subject", "SV: Ritning"), ("text", "Tack!"), ("action", "send")];
    let mut clicks = [eva.clone(), eva.clone(), eva.clone()];
    let sent = clicks.each_mut().map(|browser| browser.answer(&path, &fields, &[("plan.pdf", b"%PDF-1.7\n")]));
    for response in futures_util::future::join_all(sent).await {
        assert_eq!(location(&response), format!("/messages/{id}/sent"));
    }
    assert_eq!(location(&eva.answer(&path, &fields, &[]).await), format!("/messages/{id}/sent"));
    assert_eq!(location(&eva.get(&format!("{path}?once={form}")).await), format!("/messages/{id}/sent"), "Back");
    assert_eq!(answers(), 1);
    assert!(house.post_box.draft(person, id).unwrap().is_none());

    let changed = [("once", form.as_str()), ("subject", "SV: Ritning"), ("text", "Tack! Och?"), ("action", "send")];
    let page = eva.answer(&path, &changed, &[]).await;
    assert_eq!(page.status(), StatusCode::CONFLICT);
    let page = page.text().await.unwrap();
    assert!(page.contains("redan skickat ett svar") && page.contains("Tack! Och?"), "{page}");
    assert_eq!(answers(), 1);
    let again = [("once", &*once(&page)), ("subject", "SV: Ritning"), ("text", "Tack! Och?"), ("action", "send")];
    assert_eq!(location(&eva.answer(&path, &again, &[]).await), format!("/messages/{id}/sent"));
    assert_eq!(answers(), 2);

    let forms = || house.rows.range(Table("mailboxes.forms"), Bound::Unbounded, Bound::Unbounded, 10).unwrap().len();
    assert_eq!(forms(), 2);
    let (ended, now) = (house.post_box.ending(id).unwrap().unwrap(), house.clock.now());
    house.rows.commit(Box::new(move |tx: &mut dyn Transaction| ended.write(tx, now, true))).await.unwrap();
    assert_eq!(forms(), 0, "they go with their message");
}

/// What a browser would send of a form that nobody touched.
fn untouched(form: &str) -> String {
    let text =
        form.split("<textarea").nth(1).unwrap().split_once(">\n").unwrap().1.split("</textarea>").next().unwrap();
    text.replace("&#62;", ">").replace('\n', "\r\n")
}

#[tokio::test]
async fn an_empty_answer_leaves_no_draft() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let path = format!("/messages/{id}/reply");
    let person = house.post_box.find(id).unwrap().unwrap().person.unwrap();
    let draft = || house.post_box.draft(person, id).unwrap().map(|draft| draft.text);
    let quote = untouched(&eva.form(&path).await);
    let subject = "SV: Komplettering av bygglov för Storgatan 1";
    for (subject, text) in
        [("", ""), (subject, &*quote), (subject, " \r\n"), ("Re: Komplettering av bygglov för Storgatan 1", "")]
    {
        let fields = [("subject", subject), ("text", text)];
        let sent = eva.answer(&path, &[&fields[..], &[("action", "send")]].concat(), &[]).await;
        assert_eq!(sent.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!sent.text().await.unwrap().contains("sparat som utkast"));
        let saved = eva.answer(&path, &[&fields[..], &[("action", "save")]].concat(), &[]).await;
        assert_eq!((location(&saved), draft()), (&*format!("{path}?saved=nothing"), None), "{subject} {text}");
    }
    let form = eva.form(&format!("{path}?saved=nothing")).await;
    assert!(form.contains("inget utkast att spara") && form.contains("&#62; Hej Åsa!") && form.contains(subject));

    // What stands between the lines of the quote, or in the subject alone, is written by somebody.
    let between = quote.replacen("> Hej", "> Ja! Hej", 1);
    for (subject, text) in [(subject, &*between), ("Ritning", "")] {
        let saved = eva.answer(&path, &[("subject", subject), ("text", text), ("action", "save")], &[]).await;
        assert_eq!((location(&saved), draft()), (&*format!("{path}?saved=1"), Some(text.replace("\r\n", "\n"))));
    }
    // Sent empty, a draft stays as it was; saved empty, it is gone with its files.
    eva.answer(&path, &[("text", "Hej"), ("action", "save")], &[("plan.pdf", b"%PDF-1.7\n")]).await;
    let file = house.post_box.draft(person, id).unwrap().unwrap().files[0].body.id;
    eva.answer(&path, &[("text", "Hej"), ("action", &*format!("remove-{file:032x}"))], &[]).await;
    eva.answer(&path, &[("text", ""), ("action", "send")], &[]).await;
    assert_eq!(draft().as_deref(), Some("Hej"));
    eva.answer(&path, &[("text", ""), ("action", "save")], &[]).await;
    assert_eq!(draft(), None);
}

#[tokio::test]
async fn what_was_typed_outlives_a_change_of_language() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let path = format!("/messages/{id}/reply");
    let form = eva.form(&path).await;
    assert!(
        form.contains("form=\"answer\" name=\"action\" value=\"language-da\"") && !form.contains("lang=da\""),
        "{form}"
    );

    let text = untouched(&form);
    let other = eva.answer(&path, &[("text", &text), ("action", "language-da")], &[]).await;
    assert_eq!(location(&other), format!("{path}?lang=da"), "nobody touched it");
    let form = eva.form(&format!("{path}?lang=da")).await;
    assert!(
        form.contains("<html lang=\"da\">") && form.contains("Den 24. november 2026 kl. 13.00 skrev"),
        "quoted anew: {form}"
    );

    let typed = [("subject", "Ritning"), ("text", "Hej"), ("action", "language-en")];
    let other = eva.answer(&path, &typed, &[("plan.pdf", b"%PDF-1.7\n")]).await;
    assert_eq!(location(&other), format!("{path}?saved=1&lang=en"));
    let form = eva.form(&format!("{path}?saved=1&lang=en")).await;
    for kept in ["<html lang=\"en\">", ">\nHej</textarea>", "value=\"Ritning\"", "plan.pdf"] {
        assert!(form.contains(kept), "{kept}: {form}");
    }
    let typed = [("text", "Hej igen"), ("action", "language-sv")];
    let large = eva.answer(&path, &typed, &[("stor.bin", &vec![0; 1_000_000])]).await;
    assert_eq!(large.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let large = large.text().await.unwrap();
    assert!(
        large.contains("<html lang=\"sv\">") && large.contains("Hej igen") && large.contains("plan.pdf"),
        "{large}"
    );
    assert!(eva.page("/inbox").await.contains("<html lang=\"sv\">"), "the choice is remembered");
}

#[tokio::test]
async fn what_was_typed_is_shown_again_when_the_login_is_over() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let path = format!("/messages/{id}/reply");
    eva.answer(&path, &[("text", "Sparat"), ("action", "save")], &[]).await;
    let (old, csrf) = (eva.cookies.clone(), eva.csrf());
    eva.post("/logout", &format!("csrf={csrf}")).await;
    eva.cookies = old;
    for (action, language, said) in [
        ("send", "sv", "Ditt svar har inte skickats"),
        ("save", "sv", "Du är inte inloggad längre"),
        ("language-da", "da", "Du er ikke logget ind længere"),
        ("language-en", "en", "Files that you had chosen"),
    ] {
        let fields = [("subject", "Ritning"), ("text", "Hej <Anna>"), ("action", action)];
        let page = eva.answer(&path, &fields, &[("plan.pdf", b"%PDF-1.7\n")]).await;
        assert_eq!(page.status(), StatusCode::FORBIDDEN);
        let page = page.text().await.unwrap();
        let back = format!("href=\"/login?back={path}\"");
        for shown in
            [said, "Hej &#60;Anna&#62;</textarea>", "value=\"Ritning\"", &back, &format!("<html lang=\"{language}\">")]
        {
            assert!(page.contains(shown), "{shown}: {page}");
        }
    }
    let login_first = format!("/login?back={path}");
    let nothing = eva.answer(&path, &[("text", ""), ("action", "send")], &[]).await;
    assert_eq!(location(&nothing), login_first);
    let mut lured = Browser { site: Some("cross-site"), ..eva.clone() };
    let words = lured.answer(&path, &[("text", "Call 0900-1"), ("action", "send")], &[]).await;
    assert_eq!(location(&words), login_first, "no stranger puts words on our pages");

    eva.log_in(&format!("?back={path}"), "Eva").await;
    let anew = eva.answer(&path, &[("csrf", &csrf), ("text", "Hej"), ("action", "send")], &[]).await;
    assert_eq!(anew.status(), StatusCode::FORBIDDEN);
    let anew = anew.text().await.unwrap();
    assert!(anew.contains("logged in anew since") && anew.contains(">\nHej</textarea>"), "{anew}");
    assert!(eva.form(&path).await.contains(">\nSparat</textarea>"), "the draft stands, and nothing else was kept");
    assert!(house.taken.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_file_with_malware_is_not_kept_and_the_rest_is() {
    let clamd = crate::scan::Clamd::start();
    let settings =
        ScannerSettings { clamd: Clamd::Tcp(clamd.address), max_size: 100_000, timeout: Duration::from_secs(20) };
    let house = House::open_with(None, Some(Scanner::new(settings, Metrics::default()))).await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut eva = house.browser();
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let path = format!("/messages/{id}/reply");
    let marked = format!("<p>{}</p>", crate::scan::MARKER);
    let large = vec![b'x'; 100_001];
    let mut answer = async |text: &str, name: &str, file: &[u8]| {
        let fields = [("text", text), ("action", "send")];
        let page = eva.answer(&path, &fields, &[("first.txt", b"clean"), (name, file)]).await;
        (page.status(), page.text().await.unwrap())
    };
    for (name, file, said) in
        [("marked.html", marked.as_bytes(), "Skadlig kod hittades"), ("large.bin", &large[..], "Filerna är större än")]
    {
        let (status, page) = answer("Hej Anna", name, file).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.contains(said) && page.contains(">\nHej Anna</textarea>"), "{page}");
        assert!(page.contains("first.txt") && !page.contains(name), "{page}");
    }
    clamd.stop();
    let (status, page) = answer("Hej Anna", "second.txt", b"clean").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("kunde inte kontrolleras") && !page.contains("second.txt"), "{page}");
    assert!(house.taken.0.lock().unwrap().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn forms_need_their_token_and_pages_a_login() {
    let house = House::open().await;
    let (token, id) = house.deposit("eva@live.example", None, LETTER.as_bytes()).await;
    let mut eva = house.browser();
    let first = eva.get(&format!("/messages/{id}")).await;
    assert_eq!(location(&first), format!("/login?back=/messages/{id}"));
    eva.log_in(&format!("?m={token}"), "Eva").await;
    let path = format!("/messages/{id}/reply");
    let forged = eva.ask(
        Method::POST,
        &path,
        Some((
            "multipart/form-data; boundary=X".into(),
            b"--X\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nwrong\r\n--X--\r\n".to_vec(),
        )),
    );
    assert_eq!(forged.await.status(), StatusCode::FORBIDDEN);
    for form in ["/logout", "/stay", &format!("/m/{token}")] {
        assert_eq!(eva.post(form, "csrf=wrong").await.status(), StatusCode::FORBIDDEN, "{form}");
    }
    for form in ["", "csrf=%ff", &"x".repeat(100_000)] {
        let unreadable = eva.post("/stay", form).await;
        assert!(unreadable.status().is_client_error());
        assert!(unreadable.text().await.unwrap().contains("<h1>"), "people get a page");
    }
    let unreadable = eva.get(&format!("/messages/{id}/attachments/first")).await;
    assert_eq!(unreadable.status(), StatusCode::NOT_FOUND);
    assert_eq!(location(&eva.post("/stay", &format!("csrf={}&back=//evil.example", eva.csrf())).await), "/inbox");
    let old = eva.cookies.clone();
    let out = eva.post("/logout", &format!("csrf={}", eva.csrf())).await;
    assert_eq!(out.headers()["clear-site-data"], "\"cache\", \"cookies\", \"storage\"");
    assert!(eva.cookies.is_empty());
    eva.cookies = old;
    assert_eq!(location(&eva.get("/inbox").await), "/login?back=/inbox", "the login ended on the server");

    let mut other = house.browser();
    other.get("/login/bankid").await;
    other.cookies.clear();
    let stolen = other.get("/callback/bankid?code=Eva&state=state1").await;
    assert_eq!(stolen.status(), StatusCode::BAD_REQUEST);
    assert_eq!(other.get("/login/nobody").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let house = House::open().await;
    let mut browser = house.browser();
    for path in ["/", "/login", "/nowhere", "/m/x", "/accessibility", "/inbox", "/login/bankid"] {
        let response = browser.get(path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("strict-transport-security"), "max-age=63072000; includeSubDomains", "{path}");
        assert!(!header("content-security-policy").contains("unsafe"), "{path}");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
    }
    let page = browser.page("/login?back=/inbox&lang=da").await;
    assert!(page.contains("<html lang=\"da\">") && page.contains("href=\"/login?back=/inbox&#38;lang=en\""), "{page}");
    assert!(browser.page("/accessibility").await.contains("Tilgængelighed"), "the choice is remembered");
    let css = page.split("href=\"").find(|part| part.starts_with("/static/")).unwrap().split('"').next().unwrap();
    let sheet = browser.get(css).await;
    assert!(sheet.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let mut last = StatusCode::OK;
    for _ in 0..70 {
        last = browser.get("/login").await.status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn behind_tls_both_http_versions_are_spoken_and_the_end_is_orderly() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let tls = ServerTls::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let house = House::open_with(Some(tls), None).await;
    let mut browser = house.browser();
    let response = browser.get("/login").await;
    assert_eq!((response.status(), response.version()), (StatusCode::OK, reqwest::Version::HTTP_2));
    let old = reqwest::Client::builder().http1_only().danger_accept_invalid_certs(true).build().unwrap();
    let response = old.get(format!("{}/login", house.base)).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_11);
    house.shutdown.begin();
    assert!(house.shutdown.finished(Duration::from_secs(10)).await);

    let elsewhere = PortalSettings { listen: "0.0.0.0:0".parse().unwrap(), ..settings() };
    let deps = Deps {
        post_box: house.post_box.clone(),
        answers: Arc::clone(&house.taken) as Arc<dyn AnswerIntake>,
        electronic_id: Arc::new(Credulous(Mutex::default())),
        visitors: Arc::new(Remembered(Mutex::default(), house.clock.clone())),
        tls: None,
        scanner: None,
        metrics: Metrics::default(),
        clock: house.clock.clone(),
    };
    assert!(Server::bind(elsewhere, deps).await.is_err(), "no plain HTTP off loopback");
}
