//! Calls endpoints: HTTP/1.1, over TLS but where the settings say otherwise, to addresses that may be called. It follows
//! no redirect and uses no proxy, so what is checked is what is dialed.

mod answer;
mod connect;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{HOST, HeaderMap, RETRY_AFTER};
use hyper::{Method, Request};
use reqwest::{Body, Url};

pub use self::answer::{Answer, CallError};
pub use self::connect::Client;
#[cfg(test)]
pub use self::connect::Resolver;

/// More of an answer is not read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// So much of it is kept, for operators.
const ANSWER_KEPT: usize = 1024;
/// The longest pause an endpoint may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// A line to one endpoint; keeps its connection for the next call.
pub struct Line {
    client: Arc<Client>,
    kept: Option<SendRequest<Body>>,
}

impl Line {
    pub fn new(client: Arc<Client>) -> Self {
        Line { client, kept: None }
    }

    /// Sends one POST.
    ///
    /// # Errors
    /// There was no answer in time; whether the endpoint has seen the request is unknown.
    pub async fn post(&mut self, url: &Url, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
        let timeout = self.client.timeout;
        let posted = tokio::time::timeout(timeout, self.post_in_time(url, headers, body)).await;
        posted.unwrap_or(Err(CallError::TimedOut(timeout)))
    }

    async fn post_in_time(&mut self, url: &Url, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
        // Taken: whatever ends this call early closes the connection.
        if let Some(mut kept) = self.kept.take()
            && kept.ready().await.is_ok()
            && let Ok(answer) = self.exchange(kept, url, headers, body).await
        {
            return Ok(answer);
        }
        // An idle connection may be closed by the other side at any time: that says nothing about the endpoint.
        let fresh = self.client.connect(url).await?;
        self.exchange(fresh, url, headers, body).await
    }

    async fn exchange(
        &mut self,
        mut sender: SendRequest<Body>,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Answer, CallError> {
        let broken = |error: &dyn std::fmt::Display| CallError::Broken(error.to_string());
        let mut request = Request::new(Body::from(body.to_vec()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = connect::path_and_query(url).parse().map_err(|error| broken(&error))?;
        *request.headers_mut() = headers.clone();
        let host = connect::authority(url).parse().map_err(|error| broken(&error))?;
        request.headers_mut().insert(HOST, host);
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let (text, whole) = read(response.into_body()).await.map_err(|error| broken(&error))?;
        if whole {
            self.kept = Some(sender);
        }
        Ok(Answer { status, retry_after, text })
    }
}

/// Seconds only: a date would need the endpoint's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The beginning of a body, and whether it was read to its end.
async fn read(mut body: Incoming) -> Result<(String, bool), hyper::Error> {
    let (mut kept, mut seen) = (Vec::new(), 0);
    let mut body = std::pin::Pin::new(&mut body);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(bytes) = frame?.into_data() else { continue };
        seen += bytes.len();
        let room = ANSWER_KEPT - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if seen > ANSWER_BYTES_MAX {
            return Ok((String::from_utf8_lossy(&kept).into_owned(), false));
        }
    }
    Ok((String::from_utf8_lossy(&kept).into_owned(), true))
}
