//! What is kept, opened: rows, bodies, keys. The daemon and the command line without a daemon both begin here.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::config::Settings;
use crate::daemon::bind::{directory_settings, flow_settings, house, key_settings};
use crate::delivery::{KeyKeeping, Keyring, StsKeeping, TlsTally};
use crate::directory::{Certificates, Directory, Evidences, MadeKeeping, MadeKeys};
use crate::flow::{Answers, Consigner, Current, Inward, Returns, Scanning, Sweeper, Tokens, Told};
use crate::mailboxes::PostBox;
use crate::net::{Clock, Steadiness};
use crate::notify::{Mailer, Reporter};
use crate::queue::{Backoff, Inspector, Marks, NoPauses, Schedule, Settlement, Spool};
use crate::records::{Journal, relied_on};
use crate::sealing::{Opener, Sealer};
use crate::store::{Bodies, Embedded, Files, RowsHandle, StoreError};
use crate::telemetry::Metrics;
use crate::vault::Vault;

/// How often, and how long apart, a store that another process holds is tried again: a command holds it for moments,
/// a daemon that stops for as long as its last sessions take.
const TURNS: u32 = 200;
const TURN: Duration = Duration::from_millis(50);

/// Everything that stands on the disk, and what reads and writes it.
#[derive(Clone)]
pub struct Kept {
    /// What is configured now.
    pub settings: Current,
    /// Rows.
    pub rows: RowsHandle,
    /// Bodies.
    pub bodies: Arc<Bodies>,
    /// The lock.
    pub vault: Vault,
    /// What happened.
    pub journal: Journal,
    /// Where messages are begun.
    pub spool: Spool,
    /// What recipients can read.
    pub post_box: PostBox,
    /// What service addresses stand for.
    pub tokens: Tokens,
    /// Where answers go.
    pub returns: Returns,
    /// What became of items.
    pub settlement: Settlement,
    /// Who is due.
    pub schedule: Schedule,
    /// The operator's look at the queue.
    pub inspector: Inspector,
    /// Who tells senders.
    pub reporter: Reporter,
    /// What stops mail before there is trouble.
    pub marks: Marks,
    /// The keys that sign what leaves.
    pub keyring: Keyring,
    /// Certificates of others and of ours.
    pub directory: Directory,
    /// What operations watch.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
    /// Whether it can be relied on.
    pub steadiness: Steadiness,
}

impl Kept {
    /// Opens what is kept below `data_dir`, or founds it.
    ///
    /// # Errors
    /// The store or a key cannot be opened: which, and why.
    pub fn open(settings: &Settings, clock: Clock) -> anyhow::Result<Self> {
        let folder = &settings.data_dir.path;
        refuse_as_root(folder)?;
        let own = settings.vault.identity_source().read().context("vault.identity")?;
        let file = folder.join("rows.redb");
        let opened = Embedded::open(&file).with_context(|| format!("the row store {}", file.display()));
        let rows: RowsHandle = Arc::new(opened?);
        let keys = folder.join("keys");
        Vault::check(&keys, &relied_on(&*rows).context("the row store")?).context("the vault")?;
        let vault =
            Vault::open(&keys, &own, &settings.vault.recovery_recipients(), clock.now()).context("the vault")?;
        let files = Files::open(&folder.join("bodies")).context("the bodies")?;
        let bodies = Arc::new(Bodies::new(Arc::clone(&rows), Arc::new(files)));
        // What was made anew must have its name after a power cut: each folder that names something is synced.
        for named in [folder.as_path(), &folder.join("bodies")] {
            std::fs::File::open(named)
                .and_then(|folder| folder.sync_all())
                .with_context(|| named.display().to_string())?;
        }
        let journal = Journal::new(Arc::clone(&rows), vault.clone(), clock.clone());
        let spool = Spool::new(Arc::clone(&bodies), vault.clone());
        let metrics = Metrics::default();
        let settlement = Settlement::new(
            Arc::clone(&rows),
            Arc::clone(&bodies),
            vault.clone(),
            journal.clone(),
            clock.clone(),
            metrics.clone(),
        );
        let keeping = KeyKeeping {
            folder: folder.join("dkim"),
            rows: Arc::clone(&rows),
            vault: vault.clone(),
            journal: journal.clone(),
            clock: clock.clone(),
        };
        let keyring = Keyring::open(keeping, &own, key_settings(settings)).context("the DKIM keys")?;
        metrics.unreadable_keys.set(i64::try_from(keyring.unreadable()).unwrap_or(i64::MAX));
        let keeping = MadeKeeping {
            folder: folder.join("certificates"),
            rows: Arc::clone(&rows),
            vault: vault.clone(),
            journal: journal.clone(),
            clock: clock.clone(),
        };
        let directory = Directory::new(
            Certificates::new(Arc::clone(&rows), journal.clone()),
            Evidences::new(Arc::clone(&rows)),
            MadeKeys::open(keeping, &own).context("the S/MIME keys")?,
            clock.clone(),
            directory_settings(settings),
        );
        let mailer = Mailer::new(spool.clone(), vault.clone(), journal.clone(), clock.clone(), house(settings)?);
        Ok(Self {
            settings: Current::new(flow_settings(settings)?),
            post_box: PostBox::new(
                Arc::clone(&rows),
                Arc::clone(&bodies),
                vault.clone(),
                journal.clone(),
                clock.clone(),
                metrics.clone(),
            ),
            tokens: Tokens::new(Arc::clone(&rows), vault.clone()),
            returns: Returns::new(Arc::clone(&rows), vault.clone()),
            schedule: Schedule::new(Arc::clone(&rows), vault.clone(), clock.clone(), settlement.clone()),
            inspector: Inspector::new(
                Arc::clone(&rows),
                Arc::clone(&bodies),
                vault.clone(),
                journal.clone(),
                clock.clone(),
            ),
            reporter: Reporter::new(mailer, journal.clone(), metrics.clone()),
            marks: Marks::new(
                Arc::clone(&rows),
                folder,
                settings.queue.max_entries.get().into(),
                settings.store.min_free.0,
                metrics.clone(),
            ),
            keyring,
            directory,
            settlement,
            spool,
            journal,
            vault,
            bodies,
            rows,
            metrics,
            steadiness: Steadiness::of(clock.clone()),
            clock,
        })
    }

    /// Opens what is kept; where another process has it open, waits up to ten seconds for it. `served` is asked
    /// before every try: once somebody serves what is kept, nothing is opened, and the answer is `None`.
    ///
    /// # Errors
    /// As [`Kept::open`]; so also when the other process does not end.
    pub async fn open_in_turn(
        settings: &Settings,
        clock: Clock,
        served: impl AsyncFn() -> bool,
    ) -> anyhow::Result<Option<Self>> {
        for _ in 1..TURNS {
            if served().await {
                return Ok(None);
            }
            match Self::open(settings, clock.clone()) {
                Err(fault) if matches!(fault.downcast_ref(), Some(StoreError::OpenElsewhere)) => {
                    tokio::time::sleep(TURN).await;
                }
                opened => return opened.map(Some),
            }
        }
        Self::open(settings, clock).map(Some)
    }

    /// Who does what time brings.
    #[must_use]
    pub fn sweeper(&self) -> Sweeper {
        Sweeper {
            settings: self.settings.clone(),
            rows: Arc::clone(&self.rows),
            vault: self.vault.clone(),
            post_box: self.post_box.clone(),
            spool: self.spool.clone(),
            reporter: self.reporter.clone(),
            journal: self.journal.clone(),
            schedule: self.schedule.clone(),
            tokens: self.tokens.clone(),
            policies: self.policies(),
            tally: TlsTally::new(self.policies()),
            told: self.told(),
            returns: self.returns.clone(),
            clock: self.clock.clone(),
            steadiness: self.steadiness.clone(),
        }
    }

    /// Who opens what came in, and shows it to this scanner.
    #[must_use]
    pub fn inward(&self, scanning: Option<Scanning>, backoff: Backoff) -> Inward {
        Inward {
            opener: Opener::new(Arc::clone(self.spool.bodies()), self.vault.clone(), self.directory.clone()),
            directory: self.directory.clone(),
            scanning,
            spool: self.spool.clone(),
            vault: self.vault.clone(),
            post_box: self.post_box.clone(),
            returns: self.returns.clone(),
            tokens: self.tokens.clone(),
            journal: self.journal.clone(),
            backoff,
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// What is remembered of the policies of domains.
    #[must_use]
    pub fn policies(&self) -> StsKeeping {
        StsKeeping {
            rows: Arc::clone(&self.rows),
            vault: self.vault.clone(),
            clock: self.clock.clone(),
            steadiness: self.steadiness.clone(),
        }
    }

    /// Who takes answers from the portal.
    #[must_use]
    pub fn answers(&self) -> Answers {
        Answers {
            settings: self.settings.clone(),
            rows: Arc::clone(&self.rows),
            vault: self.vault.clone(),
            spool: self.spool.clone(),
            post_box: self.post_box.clone(),
            tokens: self.tokens.clone(),
            journal: self.journal.clone(),
            schedule: self.schedule.clone(),
            marks: self.marks.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Who knows certificates, and who seals.
    #[must_use]
    pub fn consigner(&self) -> Consigner {
        Consigner {
            directory: self.directory.clone(),
            sealer: Sealer::new(Arc::clone(&self.bodies), self.vault.clone()),
            clock: self.clock.clone(),
        }
    }

    /// What was told today.
    #[must_use]
    pub fn told(&self) -> Told {
        Told::new(Arc::clone(&self.rows), self.vault.clone(), self.clock.clone())
    }

    /// The operator's desk, where nothing is delivered.
    #[must_use]
    pub fn desk(&self) -> crate::control::Desk {
        crate::control::Desk {
            inspector: self.inspector.clone(),
            schedule: self.schedule.clone(),
            pauses: Arc::new(NoPauses),
            post_box: self.post_box.clone(),
            ending: Arc::new(self.sweeper()),
            reporter: self.reporter.clone(),
            journal: self.journal.clone(),
            spool: self.spool.clone(),
            vault: self.vault.clone(),
            keys: Arc::new(self.keyring.clone()),
            trust: crate::control::TrustDesk { directory: self.directory.clone(), clock: self.clock.clone() },
            clock: self.clock.clone(),
        }
    }
}

/// What another user's daemon keeps is not for root to open: that user may have put links there that lead root elsewhere.
fn refuse_as_root(data_dir: &Path) -> anyhow::Result<()> {
    let (Ok(us), Ok(theirs)) = (std::fs::metadata("/proc/self"), std::fs::metadata(data_dir)) else { return Ok(()) };
    if us.uid() != 0 || theirs.uid() == 0 {
        return Ok(());
    }
    let user = name_of(theirs.uid());
    anyhow::bail!(
        "{} is kept by the user {user}, and root does not open it. Run this as that user: `runuser -u {user} -- sealgate …`; \
         where systemd hands the keys over: `systemd-run --pipe --wait --collect --property=User={user} \
         --property=LoadCredential=vault.key:/etc/sealgate/keys/vault.key sealgate …`",
        data_dir.display()
    )
}

/// The user's name, or the number if it has none.
fn name_of(user: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = user.to_string();
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(number.as_str()));
    line.and_then(|line| line.split(':').next()).map_or(number.clone(), str::to_owned)
}
