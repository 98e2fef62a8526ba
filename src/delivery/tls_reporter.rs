//! Reports on TLS (RFC 8460): once a day each domain that asks for it is told what came of TLS with it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::Full;
use hyper::{Request, header};
use tokio::time::timeout;

use crate::delivery::https::{Https, HttpsFault};
use crate::delivery::smtp::{KeptTally, TlsTally};
use crate::mail::{DateRange, Domain, ReportPlace, TlsReport, postmaster_of, report_places};
use crate::net::{DnsFault, Shutdown, Steadiness};
use crate::notify::{Mailer, TlsReported};
use crate::queue::{PreparedItem, QueueError, Schedule};
use crate::store::{RowsHandle, StoreError, Transaction};
use crate::telemetry::{Labels, Metrics};

/// How often what was counted is kept, and looked through for what is to be told.
const EVERY: Duration = Duration::from_secs(300);
/// Domains that are told in one round, and at the same time.
const DOMAINS: usize = 500;
const AT_ONCE: usize = 8;
/// How long a place has to take a report.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells domains.
pub struct TlsReporter {
    /// What was counted.
    pub tally: TlsTally,
    /// How places are asked for and called.
    pub https: Https,
    /// Who writes letters.
    pub mailer: Mailer,
    /// Who is rung when there are some.
    pub schedule: Schedule,
    /// Where both are kept.
    pub rows: RowsHandle,
    /// Whether the time can be relied on.
    pub steadiness: Steadiness,
    /// What operations watch.
    pub metrics: Metrics,
}

/// Why a domain was not told, or not wholly: it is tried again.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Dns(#[from] DnsFault),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
enum UploadFault {
    #[error(transparent)]
    Https(#[from] HttpsFault),
    #[error("the place answered {0}")]
    Status(hyper::StatusCode),
}

impl TlsReporter {
    /// Keeps and tells until the end begins.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.begun() => return,
            }
            let kept = self.tally.write().await;
            // What is under way when the end begins is done again: who takes a report twice knows it by its id.
            let told = tokio::select! {
                told = self.tell_all() => told,
                () = shutdown.begun() => return,
            };
            if let Err(fault) = kept.and(told) {
                tracing::warn!(%fault, "what was counted of TLS cannot be kept, or not told; it is tried again");
            }
        }
    }

    /// Keeps what was counted, and tells the domains whose time has come.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub async fn round(&self) -> Result<(), StoreError> {
        self.tally.write().await?;
        self.tell_all().await
    }

    async fn tell_all(&self) -> Result<(), StoreError> {
        if !self.steadiness.holds() {
            return Ok(());
        }
        let due = self.tally.due(DOMAINS)?;
        let told = due.into_iter().map(|kept| async move {
            if let Err(fault) = self.tell(kept).await {
                tracing::info!(%fault, "a domain could not be told of TLS with it; it is tried again");
            }
        });
        futures_util::stream::iter(told).buffer_unordered(AT_ONCE).collect::<()>().await;
        Ok(())
    }

    /// Tells all places of one domain that were not told yet. Without a record at `_smtp._tls` nobody asked.
    async fn tell(&self, mut kept: KeptTally) -> Result<(), Fault> {
        let asked = self.https.dns.texts(&format!("_smtp._tls.{}", kept.tallied.domain)).await;
        let places = match &asked {
            Ok(told) => report_places(&told.records),
            Err(_) => Vec::new(),
        };
        let reported = self.reported(&kept);
        let (mut letters, mut is_whole) = (Vec::new(), asked.is_ok());
        for place in places {
            let name = place.to_string();
            if kept.tallied.told.contains(&name) {
                continue;
            }
            match &place {
                ReportPlace::Mail(address) => {
                    letters.push(self.mailer.prepare_tls_report(address.clone(), &reported).await?);
                    kept.tallied.told.push(name);
                }
                ReportPlace::Https(host, path) => match self.upload(host, path, &reported.report).await {
                    Ok(()) => {
                        self.count("by-https");
                        kept.tallied.told.push(name);
                    }
                    Err(fault) => {
                        self.count("failed");
                        is_whole = false;
                        tracing::info!(%fault, "a report on TLS was not taken");
                    }
                },
            }
        }
        self.settle(kept, letters, is_whole).await?;
        asked.map(|_| ()).map_err(Fault::from)
    }

    /// The letters, and that they are written, are one transaction: none is written twice.
    async fn settle(&self, mut kept: KeptTally, letters: Vec<PreparedItem>, is_whole: bool) -> Result<(), StoreError> {
        let count = letters.len();
        let settled = if is_whole {
            TlsTally::ended(&kept)
        } else {
            kept.tallied.put_off(self.mailer.now());
            self.tally.kept(&kept)?
        };
        let change = move |tx: &mut dyn Transaction| {
            letters.into_iter().try_for_each(|letter| letter.write(tx))?;
            settled(tx)
        };
        self.rows.commit(Box::new(change)).await?;
        (0..count).for_each(|_| self.count("by-mail"));
        if count > 0 {
            self.schedule.ring();
        }
        Ok(())
    }

    fn reported(&self, kept: &KeptTally) -> TlsReported {
        let house = self.mailer.house();
        let (tallied, submitter) = (&kept.tallied, house.sender.address.domain());
        let report = TlsReport {
            organization_name: house.head.organisation.clone(),
            date_range: DateRange::of_day(tallied.day),
            contact_info: postmaster_of(submitter).map_or_else(String::new, |address| address.to_string()),
            report_id: format!("{}@{}", kept.name(), house.sender.hostname),
            policies: tallied.policies.clone(),
        };
        TlsReported { report, domain: tallied.domain.clone(), day: tallied.day }
    }

    /// By `POST` (RFC 8460 §5.4).
    async fn upload(&self, host: &Domain, path: &str, report: &TlsReport) -> Result<(), UploadFault> {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/tlsrpt+gzip")
            .body(Full::new(Bytes::from(report.compressed())));
        let request = request.map_err(|fault| HttpsFault::Name(fault.to_string()))?;
        let said = timeout(PATIENCE, self.https.ask(host, request)).await.map_err(|_| HttpsFault::TooLate)??;
        let status = said.head.status();
        if status.is_success() { Ok(()) } else { Err(UploadFault::Status(status)) }
    }

    fn count(&self, kind: &'static str) {
        self.metrics.tls_reports.get_or_create(&Labels::of(kind)).inc();
    }
}
