//! Raising the scene, walking it, and leaving it to be clicked through.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, ensure};

use crate::demo::provider_page::serve;
use crate::demo::scene::Scene;
use crate::demo::walk::walk;
use crate::fault::told;
use crate::net::Shutdown;

/// How long the parts may take to come to an end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the demo in its place. With `once` it ends after the walk.
///
/// # Errors
/// The first step that did not hold.
pub async fn run(once: bool, place: Place) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    let until = if place.is_ours { ", until the demo ends" } else { "" };
    say(&format!("Everything is kept in {}{until}", place.path.display()));
    let outcome = in_place(once, &place.path, &shutdown).await;
    shutdown.begin();
    shutdown.finished(PATIENCE).await;
    outcome
}

async fn in_place(once: bool, dir: &Path, shutdown: &Shutdown) -> anyhow::Result<()> {
    let scene = Scene::raise(dir, shutdown).await?;
    say("Two organisations, their gateways, and the stand-ins around them are up. The loop, step by step:");
    walk(&scene, &|step| say(&format!("  ok  {step}"))).await?;
    say("Every step held.");
    if once {
        return Ok(());
    }
    let provider = serve(
        "Live Mail (stand-in)",
        "What arrived outside, at the recipient's mail provider.".into(),
        scene.provider.clone(),
        shutdown,
    )
    .await?;
    let inside = serve(
        "Sundby mail server (stand-in)",
        "What arrived inside, in the organisation's own mailboxes.".into(),
        scene.sundby.mail_server.clone(),
        shutdown,
    )
    .await?;
    say("");
    say("Click through it (the portal's certificate is the demo's own: your browser will warn about it once):");
    say(&format!(
        "  http://{provider}/   the recipient's mail provider: open a notice, follow its link, log in as Eva Rätt"
    ));
    say(&format!("  {}/   the portal", scene.sundby.portal));
    say(&format!("  http://{inside}/   the organisation's mailboxes: receipts and answers"));
    say(&format!("  {}/   the e-ID", scene.e_id.issuer()));
    say("");
    say("Send a message of your own:");
    say(&format!(
        "  printf 'From: anna.berg@sundby.example\\nTo: eva@live.example\\nSubject: [sikker] Hello\\n\\nOnly for you.\\n' | curl -s smtp://{} --mail-from anna.berg@sundby.example --mail-rcpt eva@live.example --upload-file - --crlf -v 2>&1 | grep queued",
        scene.sundby.outbound
    ));
    say("");
    say("See what became of it, by the id it was queued as:");
    let program = std::env::current_exe().unwrap_or_else(|_| "sealgate".into());
    for verb in ["message list", "message trace ID", "queue list", "audit verify"] {
        say(&format!("  {} --config {} {verb}", program.display(), scene.sundby.dir.join("sealgate.toml").display()));
    }
    say("");
    say("Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// Writes a line to standard output; a reader that went away is no fault of the demo.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// In a folder that a demo may write into.
const MARK: &str = "made-by-sealgate-demo";

/// Where a demo keeps everything.
pub struct Place {
    path: PathBuf,
    is_ours: bool,
}

impl Place {
    /// A folder somebody named: one that is not there or empty, or that an earlier demo made. What stands anywhere else
    /// is not the demo's to change.
    ///
    /// # Errors
    /// It is another folder, or cannot be made.
    pub fn at(dir: &Path) -> anyhow::Result<Self> {
        let prepare = || {
            std::fs::create_dir_all(dir)?;
            let is_new = std::fs::read_dir(dir)?.next().is_none();
            if is_new {
                std::fs::write(dir.join(MARK), "")?;
            }
            Ok((std::fs::canonicalize(dir)?, is_new || dir.join(MARK).exists()))
        };
        let (path, may) = prepare().map_err(|fault: std::io::Error| anyhow!(told(dir, &fault)))?;
        ensure!(may, "{}: neither empty nor made by a demo; name another folder", dir.display());
        Ok(Self { path, is_ours: false })
    }

    /// A folder of its own, removed afterwards.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn fresh() -> anyhow::Result<Self> {
        let random: String = crate::vault::random_octets::<6>()?.iter().map(|octet| format!("{octet:02x}")).collect();
        let path = std::env::temp_dir().join(format!("sealgate-demo-{random}"));
        std::fs::create_dir(&path)?;
        Ok(Self { path, is_ours: true })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
