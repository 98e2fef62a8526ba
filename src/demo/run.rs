//! Raising the scene, walking it, and leaving it to be clicked through.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::demo::provider_page::serve;
use crate::demo::scene::Scene;
use crate::demo::walk::walk;
use crate::net::Shutdown;

/// How long the parts may take to come to an end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the demo: below `dir`, or in a directory of its own that is removed afterwards. With `once` it ends after the
/// walk.
///
/// # Errors
/// The first step that did not hold.
pub async fn run(once: bool, dir: Option<PathBuf>) -> anyhow::Result<()> {
    let own = match dir {
        Some(dir) => {
            std::fs::create_dir_all(&dir)?;
            Place { path: std::fs::canonicalize(dir)?, is_ours: false }
        }
        None => Place::fresh()?,
    };
    let shutdown = Shutdown::new();
    let outcome = in_place(once, &own.path, &shutdown).await;
    shutdown.begin();
    shutdown.finished(PATIENCE).await;
    outcome
}

async fn in_place(once: bool, dir: &Path, shutdown: &Shutdown) -> anyhow::Result<()> {
    say(&format!("Everything is kept in {}", dir.display()));
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
        "  printf 'From: anna.berg@sundby.example\\nTo: eva@live.example\\nSubject: [sikker] Hello\\n\\nOnly for you.\\n' | curl -s smtp://{} --mail-from anna.berg@sundby.example --mail-rcpt eva@live.example --upload-file - --crlf",
        scene.sundby.outbound
    ));
    say("");
    say("Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// Writes a line to standard output; a reader that went away is no fault of the demo.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Where the demo keeps everything.
struct Place {
    path: PathBuf,
    is_ours: bool,
}

impl Place {
    fn fresh() -> anyhow::Result<Self> {
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
