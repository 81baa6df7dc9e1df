//! A request of an admin that sends several commands, each under an id derived from its key: a repeat with the same key
//! finishes what was left half done.

use std::sync::Arc;

use axum::extract::FromRef;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::api::AppState;
use crate::api::http::prefer::Wait;
use crate::api::http::problem::{Kind, Problem};
use crate::api::http::rate_limit::RateLimiter;
use crate::api::submission::answer::{Answer, refusal};
use crate::api::submission::options::SubmitOptions;
use crate::api::submission::submit::Submission;
use crate::domain::{Body, UserId};

/// Commands under way at once, for one request.
const COMMANDS_AT_ONCE: usize = 16;
/// Unless the client prefers otherwise; an owner that has just changed needs a few seconds.
const WAIT_DEFAULT: Wait = Wait { seconds: 15 };

/// One of the commands.
pub struct Step {
    /// The part of the body it comes from.
    pub pointer: String,
    /// Tells the steps of one key apart.
    pub part: String,
    pub body: Body,
}

/// What sending them uses.
#[derive(Clone)]
pub struct Steps {
    submission: Arc<Submission>,
    limiter: Arc<RateLimiter>,
}

impl FromRef<AppState> for Steps {
    fn from_ref(state: &AppState) -> Self {
        Steps { submission: state.submission.clone(), limiter: state.limiter.clone() }
    }
}

impl Steps {
    /// Publishes the commands and waits until all have succeeded; the others only once `first` has.
    pub async fn take(
        &self,
        admin: &UserId,
        options: &SubmitOptions,
        first: Option<Step>,
        others: Vec<Step>,
    ) -> Result<(), Problem> {
        self.limiter.take(admin)?;
        let wait = options.wait.unwrap_or(WAIT_DEFAULT);
        let all = async {
            if let Some(step) = first {
                self.one(admin, options, wait, step).await?;
            }
            stream::iter(others)
                .map(|step| self.one(admin, options, wait, step))
                .buffer_unordered(COMMANDS_AT_ONCE)
                .try_collect::<()>()
                .await
        };
        match tokio::time::timeout(wait.duration(), all).await {
            Ok(taken) => taken,
            Err(_) => Err(undecided()),
        }
    }

    async fn one(&self, admin: &UserId, options: &SubmitOptions, wait: Wait, step: Step) -> Result<(), Problem> {
        let options = options.part(&step.part, wait);
        match self.submission.publish(admin, &options, step.body).await? {
            Answer::Decided(decided) => match refusal(&decided) {
                Some(problem) => Err(problem.at(step.pointer)),
                None => Ok(()),
            },
            Answer::Pending { .. } => Err(undecided()),
        }
    }
}

fn undecided() -> Problem {
    let detail = "not all of it is decided yet; repeat the request with the same Idempotency-Key to go on with it";
    Problem::new(Kind::OutcomeUnknown, detail)
}
