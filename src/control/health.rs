//! `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::net::{Clock, Shutdown};
use crate::queue::{Inspector, Marks, Stage};
use crate::telemetry::{Labels, Metrics};

/// Whether the house can take and promise mail.
#[async_trait]
pub trait Readiness: Send + Sync + 'static {
    /// `Ok` if it can, else every reason why not, one a line, without personal data.
    async fn ready(&self) -> Result<(), Vec<String>>;
}

#[derive(Clone)]
struct Watch {
    readiness: Arc<dyn Readiness>,
    metrics: Metrics,
    inspector: Inspector,
    marks: Marks,
    clock: Clock,
}

/// Serves the three pages until the end begins.
///
/// # Errors
/// What the listener says.
pub async fn serve_health(
    listener: TcpListener,
    readiness: Arc<dyn Readiness>,
    metrics: Metrics,
    inspector: Inspector,
    marks: Marks,
    clock: Clock,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let pages = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(numbers))
        .with_state(Watch { readiness, metrics, inspector, marks, clock });
    axum::serve(listener, pages).with_graceful_shutdown(async move { shutdown.begun().await }).await
}

async fn readyz(State(watch): State<Watch>) -> impl IntoResponse {
    match watch.readiness.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n"))),
    }
}

async fn numbers(State(watch): State<Watch>) -> impl IntoResponse {
    // For its number; whoever asks for readiness hears the rest.
    let _ = watch.marks.look();
    let (inspector, metrics, clock) = (watch.inspector.clone(), watch.metrics.clone(), watch.clock.clone());
    let counted = tokio::task::spawn_blocking(move || count_queue(&inspector, &metrics, &clock)).await;
    if let Err(fault) = counted {
        tracing::warn!(%fault, "the queue could not be counted");
    }
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], watch.metrics.render())
}

/// What waits is counted when somebody asks.
fn count_queue(inspector: &Inspector, metrics: &Metrics, clock: &Clock) {
    let census = match inspector.census() {
        Ok(census) => census,
        Err(fault) => return tracing::warn!(%fault, "the queue could not be counted"),
    };
    let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    for stage in Stage::ALL {
        let count = census.items.get(&stage).copied().unwrap_or_default();
        metrics.queue.get_or_create(&Labels::of(stage.as_str())).set(gauge(count));
    }
    let age = census.oldest.map_or(0, |oldest| clock.now().unix_ms().saturating_sub(oldest.unix_ms()).max(0) / 1_000);
    metrics.queue_oldest.set(age);
}
