//! Where clients reach the API, if not at the root of the address it listens on: a proxy may serve it below a path.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

tokio::task_local! {
    /// Of the request being answered; without a slash at its end.
    static BASE: Arc<str>;
}

/// A link to a path of the API, as clients must follow it: `/v1/…` itself, or below the public URL.
pub fn link(path: &str) -> String {
    base().map_or_else(|| path.to_owned(), |base| format!("{base}{path}"))
}

/// The public URL, if one is configured.
pub fn base() -> Option<Arc<str>> {
    BASE.try_with(Clone::clone).ok()
}

/// Answers the request with links below this URL.
pub async fn below(State(base): State<Arc<str>>, request: Request, next: Next) -> Response {
    BASE.scope(base, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn links_lie_below_the_public_url() {
        assert_eq!(link("/docs"), "/docs");
        let linked = BASE.scope("https://tickets.example/api".into(), async { link("/docs") }).await;
        assert_eq!(linked, "https://tickets.example/api/docs");
    }
}
