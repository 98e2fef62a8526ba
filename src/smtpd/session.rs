//! One session: read a command, let its verb answer, write the reply.

use crate::net::{ServerTls, Stream};
use crate::smtp::{Command, CommandFault, Reply, Xclient};
use crate::smtpd::bdat;
use crate::smtpd::data;
use crate::smtpd::door::{Client, Door, Limit, Scene};
use crate::smtpd::greet;
use crate::smtpd::mail_from;
use crate::smtpd::parting::Parting;
use crate::smtpd::rcpt_to;
use crate::smtpd::starttls;
use crate::smtpd::state::State;
use crate::smtpd::texts;
use crate::smtpd::wire::{Wait, Wire};
use crate::smtpd::xclient;

/// Lines that are no command we know, before the session ends.
const UNKNOWN_COMMANDS: u32 = 10;
/// Commands in a wrong form or out of place, spoilt messages among them, before the session ends.
const PROTOCOL_FAULTS: u32 = 3;
/// Senders, recipients and messages refused for good, before the session ends: who tries names shall not try many.
const REFUSALS: u32 = 100;

/// What went wrong since a message was last taken.
#[derive(Debug, Default)]
struct Faults {
    unknown: u32,
    protocol: u32,
    refusals: u32,
}

/// What makes a conversation begin anew.
enum Anew {
    /// A handshake is to come.
    BehindTls(ServerTls),
    /// The peer tells for whom it speaks from now on.
    ForClient(Xclient),
}

/// Runs a session from the greeting to the last word; its client's place is held until then.
pub(crate) async fn run(door: Door, stream: Stream, client: Client) {
    let (name, ip) = (door.name(), client.ip);
    let mut scene = Scene::of(door, client, &stream);
    let mut wire = Wire::new(stream, scene.door.shutdown.clone(), scene.settings().session_timeout);
    let mut begun = greet(&scene, &mut wire).await;
    let parting = loop {
        let anew = match begun {
            Ok(()) => converse(&scene, &mut wire).await,
            Err(parting) => Err(parting),
        };
        if wire.take_proxy_header() {
            scene.tell_of_proxy_header();
        }
        match anew {
            Ok(Anew::BehindTls(tls)) => match wire.start_tls(&tls).await {
                Ok(behind_tls) => {
                    wire = behind_tls;
                    // What came in the clear, anybody may have said (RFC 3207 §4.2).
                    scene.client.stand_for_itself();
                    scene = Scene::of(scene.door, scene.client, wire.stream());
                }
                Err(parting) => break parting,
            },
            Ok(Anew::ForClient(told)) => {
                begun = xclient::proceed(&mut scene, told);
                if begun.is_ok() {
                    wire.say(&greet::greeting(&scene));
                }
            }
            Err(parting) => {
                wire.part(parting).await;
                break parting;
            }
        }
    };
    if parting.is_suspicious() {
        tracing::warn!(door = name, peer = %ip, reason = %parting, "session ended");
    } else {
        tracing::debug!(door = name, peer = %ip, reason = %parting, "session ended");
    }
}

/// Says the greeting, to strangers after a pause.
async fn greet(scene: &Scene, wire: &mut Wire) -> Result<(), Parting> {
    let pause = scene.settings().greeting_pause;
    if !pause.is_zero() && !scene.client.is_trusted {
        wire.expect_silence(pause).await?;
    }
    wire.say(&greet::greeting(scene));
    Ok(())
}

/// Talks until the end, or until the conversation begins anew.
async fn converse(scene: &Scene, wire: &mut Wire) -> Result<Anew, Parting> {
    let mut state = State::Connected;
    let mut faults = Faults::default();
    loop {
        let wait = if state.is_in_transaction() { Wait::InTransaction } else { Wait::Idle };
        if wait == Wait::Idle && scene.door.shutdown.has_begun() {
            return Err(Parting::Stopping);
        }
        let reply = match wire.command(scene.settings().idle_timeout, wait).await? {
            Err(CommandFault::OtherProtocol) => return Err(Parting::OtherProtocol),
            Err(CommandFault::ChunkSizeUnreadable) => return Err(Parting::ChunkSizeUnreadable),
            Err(fault) => texts::of_command(fault),
            Ok(Command::Quit) => return Err(Parting::Quit),
            Ok(Command::StartTls) => match starttls::check(scene) {
                Ok(tls) => return starttls::proceed(wire).await.map(|()| Anew::BehindTls(tls)),
                Err(reply) => reply,
            },
            Ok(Command::Xclient(told)) => match xclient::check(scene, &state) {
                Ok(()) => return Ok(Anew::ForClient(told)),
                Err(reply) => reply,
            },
            Ok(command) => {
                let is_message = matches!(command, Command::Data | Command::Bdat(_));
                let (next, reply) = obey(scene, wire, state, command).await?;
                state = next;
                // Who brings mail may err now and then.
                if is_message && reply.is_positive() {
                    faults = Faults::default();
                }
                reply
            }
        };
        wire.say(&reply);
        faults.count(scene, &reply)?;
    }
}

/// Lets the verb answer.
async fn obey(scene: &Scene, wire: &mut Wire, state: State, command: Command) -> Result<(State, Reply), Parting> {
    Ok(match command {
        Command::Ehlo(name) => greet::proceed(scene, name, true),
        Command::Helo(name) => greet::proceed(scene, name, false),
        Command::Mail(mail) => match mail_from::check(scene, &state, &mail) {
            Ok(()) => mail_from::proceed(scene, state, mail).await?,
            Err(reply) => (state, reply),
        },
        Command::Rcpt(to) => match rcpt_to::check(scene, &state, &to) {
            Ok(address) => rcpt_to::proceed(scene, state, to, address).await,
            Err(reply) => (state, reply),
        },
        Command::Data => match data::check(&state) {
            Ok(()) => data::proceed(scene, wire, state).await?,
            Err(reply) => (state, reply),
        },
        Command::Bdat(chunk) => match bdat::check(&state) {
            Ok(()) => bdat::proceed(scene, wire, state, chunk).await?,
            Err(reply) => {
                bdat::swallow(scene, wire, chunk).await?;
                (state, reply)
            }
        },
        Command::Rset => (state.reset(), texts::OK),
        Command::Noop => (state, texts::OK),
        Command::Vrfy => (state, texts::CANNOT_VERIFY),
        Command::Help => (state, texts::HELP),
        // QUIT, STARTTLS and XCLIENT end the conversation before they come here.
        Command::Unserved | Command::Quit | Command::StartTls | Command::Xclient(_) => (state, texts::NOT_SERVED),
    })
}

impl Faults {
    /// Counts what a reply tells of.
    fn count(&mut self, scene: &Scene, reply: &Reply) -> Result<(), Parting> {
        match reply.code() {
            500 | 502 => self.unknown += 1,
            501 | 503 | 555 => self.protocol += 1,
            550 if *reply == texts::BARE_LINE_END => self.protocol += 1,
            // What is put off does not count: 452 to the recipients beyond the limit is the usual course of a long list.
            500.. => {
                self.refusals += 1;
                if !scene.may_be_refused() {
                    return Err(Parting::TooOften(Limit::Refusals));
                }
            }
            _ => {}
        }
        let too_many =
            self.unknown >= UNKNOWN_COMMANDS || self.protocol >= PROTOCOL_FAULTS || self.refusals >= REFUSALS;
        if too_many { Err(Parting::TooManyFaults) } else { Ok(()) }
    }
}
