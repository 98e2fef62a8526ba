//! `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::net::Shutdown;
use crate::telemetry::Metrics;

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
}

/// Serves the three pages until the end begins.
///
/// # Errors
/// What the listener says.
pub async fn serve_health(
    listener: TcpListener,
    readiness: Arc<dyn Readiness>,
    metrics: Metrics,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let pages = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(numbers))
        .with_state(Watch { readiness, metrics });
    axum::serve(listener, pages).with_graceful_shutdown(async move { shutdown.begun().await }).await
}

async fn readyz(State(watch): State<Watch>) -> impl IntoResponse {
    match watch.readiness.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n"))),
    }
}

async fn numbers(State(watch): State<Watch>) -> impl IntoResponse {
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], watch.metrics.render())
}
