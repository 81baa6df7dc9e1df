//! The one way of a command from the API to the log, and of its outcome back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::keys::{Claim, RecentKeys};
use super::lag_limit::LagLimit;
use super::lives::Lives;
use super::log_ends::LogEnds;
use super::lookups::Lookups;
use super::options::SubmitOptions;
use super::stored::Request;
use super::waiters::Waiters;
use crate::api::http::problem::{Kind, Problem, ProblemCode};
use crate::api::http::rate_limit::RateLimiter;
use crate::domain::{Body, Code, Command, Fingerprint, LanePartition, LogTime, Position, RequestId, UserId};
use crate::log::{AppendError, Log, NewRecord, Topic};
use crate::telemetry::spans::{self, Context, Span};
use crate::wire::headers::TRACEPARENT;
use crate::wire::{command, routing};

/// What submitting uses.
pub struct Sources {
    pub log: Arc<dyn Log>,
    pub lookups: Arc<Lookups>,
    pub waiters: Waiters,
    pub limiter: Arc<RateLimiter>,
    pub lag: LagLimit,
    pub ends: LogEnds,
    pub keys: RecentKeys,
    pub lives: Arc<Lives>,
    /// True while the feed brings outcomes.
    pub feed_running: watch::Receiver<bool>,
    /// The log must acknowledge a command within this time.
    pub append_timeout: Duration,
    pub shutdown: CancellationToken,
}

/// Publishes commands and waits for their outcomes.
pub struct Submission {
    pub(super) sources: Sources,
}

impl Submission {
    pub fn new(sources: Sources) -> Self {
        Submission { sources }
    }

    /// Publishes a user's command within the user's rate.
    pub async fn submit(&self, sender: &UserId, options: &SubmitOptions, body: Body) -> Result<Answer, Problem> {
        self.sources.limiter.take(sender)?;
        self.publish(sender, options, body).await
    }

    /// Publishes a command, once per key, and waits for its outcome as long as asked. `sender` is who acts; if the
    /// command is for another user, the request belongs to both.
    ///
    /// The waiter is registered before the store is asked, and the store is asked before the append: whichever way the
    /// outcome becomes known, it is not missed.
    pub async fn publish(&self, sender: &UserId, options: &SubmitOptions, body: Body) -> Result<Answer, Problem> {
        let Some(span) = options.span else { return self.publish_once(sender, options, body).await };
        let (kind, start) = (body.kind(), self.sources.lives.now());
        let answered = self.publish_once(sender, options, body).await;
        let mut attributes = vec![("turnstile.command", kind.to_string())];
        attributes.extend(answered.as_ref().ok().map(|answer| match answer {
            Answer::Decided(decided) => ("turnstile.request_id", decided.request_id.to_string()),
            Answer::Pending { request_id, .. } => ("turnstile.request_id", request_id.to_string()),
        }));
        Span {
            context: span.context,
            parent: span.parent,
            kind: spans::Kind::Server,
            name: format!("POST {kind}"),
            start_ms: start.0,
            end_ms: self.sources.lives.now().0,
            attributes,
            links: Vec::new(),
            failed: answered.is_err(),
        }
        .end();
        answered
    }

    async fn publish_once(&self, sender: &UserId, options: &SubmitOptions, body: Body) -> Result<Answer, Problem> {
        let received = self.sources.lives.now();
        let command = command_of(sender, options, body);
        let (request_id, fingerprint) = (command.request_id, command::fingerprint(&command));
        // Too many waits already: then 202 at once, which is always a right answer.
        let register = |wait| Some((self.sources.waiters.register(request_id, Some(fingerprint))?, wait));
        let waiter = options.wait.and_then(register);
        let stored = match options.key {
            Some(_) => self.stored(request_id).await.map_err(|_| unknown_before(request_id))?,
            None => None,
        };
        let position = match stored {
            Some(stored) if stored.fingerprint != fingerprint => return Err(key_reused(request_id)),
            Some(stored) => match stored.request {
                Request::Decided(decided) => return Ok(Answer::Decided(decided)),
                Request::Pending(_) => stored.position,
            },
            None => {
                let position = self.append_once(options, &command, fingerprint).await?;
                self.sources.lives.appended(request_id, received, position);
                position
            }
        };
        if let Some((waiter, wait)) = waiter
            && let Some(decision) = self.decision(request_id, waiter, wait.duration()).await
        {
            self.sources.lives.answered(request_id);
            // The outcome belongs to the request id; another command may have taken it.
            let own = decision.fingerprint == fingerprint;
            return if own { Ok(Answer::Decided(decision.request)) } else { Err(key_reused(request_id)) };
        }
        Ok(Answer::Pending { request_id, position })
    }

    /// Whether this very command is known to have been published under its key before.
    pub async fn is_repeat(&self, sender: &UserId, options: &SubmitOptions, body: &Body) -> Result<bool, Problem> {
        if options.key.is_none() {
            return Ok(false);
        }
        let command = command_of(sender, options, body.clone());
        let (request_id, fingerprint) = (command.request_id, command::fingerprint(&command));
        if self.sources.keys.has_appended(request_id, fingerprint) {
            return Ok(true);
        }
        self.sources.limiter.take(sender)?;
        Ok(self.sources.lookups.request(request_id).await?.is_some_and(|row| row.fingerprint == fingerprint))
    }

    async fn append_once(
        &self,
        options: &SubmitOptions,
        command: &Command,
        fingerprint: Fingerprint,
    ) -> Result<Position, Problem> {
        let (request_id, keys) = (command.request_id, &self.sources.keys);
        if options.key.is_none() {
            return self.append(command, options).await;
        }
        match keys.claim(request_id, fingerprint) {
            Claim::Append => {}
            Claim::Appended(position) => return Ok(position),
            Claim::Reused => return Err(key_reused(request_id)),
        }
        let appended = self.append(command, options).await;
        match &appended {
            Ok(position) => keys.appended(request_id, *position),
            // An unacknowledged record may be on the log: the key stays taken.
            Err(problem) if problem.code == ProblemCode::Kind(Kind::OutcomeUnknown) => {}
            Err(_) => keys.release(request_id),
        }
        appended
    }

    async fn append(&self, command: &Command, options: &SubmitOptions) -> Result<Position, Problem> {
        let Sources { log, lag, append_timeout, lives, .. } = &self.sources;
        let key = command.body.routing_key();
        let lane = key.lane();
        let key = key.to_string();
        let topic = Topic::Lane(lane);
        let place = LanePartition { lane, partition: routing::partition_for(&key, log.partitions().of(topic)) };
        lag.check(place).await?;
        let sending =
            options.span.map(|of| Sending { request: of.context, span: of.context.child(), begun: lives.now() });
        let traceparent = match &sending {
            Some(sending) => Bytes::from(sending.span.traceparent()),
            None => Bytes::copy_from_slice(options.traceparent.as_bytes()),
        };
        let record = NewRecord {
            key: Bytes::from(key),
            value: Bytes::from(command::encode(command)),
            headers: vec![(TRACEPARENT.into(), traceparent)],
        };
        let answer = timeout(*append_timeout, log.append(topic, place.partition, record)).await;
        if let Some(sending) = sending {
            let offset = answer.as_ref().ok().and_then(|appended| Some(appended.as_ref().ok()?.offset));
            sending.end(place, offset, lives.now());
        }
        let failure = match answer {
            Ok(Ok(appended)) => {
                let position = place.at(appended.offset);
                lag.appended(position);
                return Ok(position);
            }
            Ok(Err(failure)) => failure,
            Err(_) => AppendError::Unacknowledged("no answer in time".to_owned()),
        };
        Err(append_problem(failure, command.request_id))
    }
}

/// The span of a command's way to the log. Its context goes along with the command, so what the command leads to belongs
/// to it.
struct Sending {
    request: Context,
    span: Context,
    begun: LogTime,
}

impl Sending {
    fn end(self, place: LanePartition, offset: Option<u64>, now: LogTime) {
        let attributes = spans::sent(place.lane.as_str(), place.partition, offset);
        Span {
            context: self.span,
            parent: Some(self.request.span),
            kind: spans::Kind::Producer,
            name: format!("send {}", place.lane),
            start_ms: self.begun.0,
            end_ms: now.0,
            attributes,
            links: Vec::new(),
            failed: offset.is_none(),
        }
        .end();
    }
}

fn command_of(sender: &UserId, options: &SubmitOptions, body: Body) -> Command {
    let by = (body.user_id() != Some(sender)).then(|| sender.clone());
    Command { request_id: options.request_id(sender), by, body }
}

/// The store cannot say whether the key was used before: a decided payment must not be told that nothing was recorded.
fn unknown_before(request_id: RequestId) -> Problem {
    let detail = "the store does not answer, so whether this Idempotency-Key was used before is unknown; repeating the \
                  command with it is safe";
    Problem::new(Kind::OutcomeUnknown, detail).of_request(request_id)
}

fn key_reused(request_id: RequestId) -> Problem {
    let detail = "this Idempotency-Key was used for another command";
    Problem::refusal(Code::IdempotencyKeyReused, detail).of_request(request_id)
}

fn append_problem(failure: AppendError, request_id: RequestId) -> Problem {
    match failure {
        AppendError::Backlog => {
            Problem::new(Kind::Overloaded, "the log takes no more at the moment; nothing was recorded")
        }
        AppendError::Refused(reason) => {
            tracing::error!(%reason, %request_id, "the log refused a command");
            Problem::new(Kind::Internal, "the command could not be recorded")
        }
        // An operator has to act; until then it is as if the log were away.
        AppendError::Denied(reason) => {
            tracing::error!(%reason, %request_id, "the log allows no append");
            Problem::new(Kind::Overloaded, "the log takes nothing at the moment; nothing was recorded")
        }
        AppendError::Unacknowledged(reason) => {
            tracing::warn!(%reason, %request_id, "the log did not acknowledge a command");
            let detail = "the log did not acknowledge the command, so whether it takes effect is unknown; \
                          repeating it with the same Idempotency-Key is safe";
            Problem::new(Kind::OutcomeUnknown, detail).of_request(request_id)
        }
    }
}
