//! `PATCH` and `DELETE /v1/schedules/{id}`: amends a date, and cancels its show. One command a block.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};

use super::amendment::{Amendment, read_amendment};
use super::enlarging::with_seats_of;
use super::planned::Planned;
use super::schedules::{ScheduleObject, no_schedule};
use super::steps::{Step, Steps};
use crate::api::AppState;
use crate::api::cache::plans::{Known, Plans};
use crate::api::cache::schedule_facts::ScheduleFacts;
use crate::api::cache::snapshots::Snapshots;
use crate::api::http::auth::Admin;
use crate::api::http::extract::{LargeJsonBody, PathId};
use crate::api::http::problem::{Kind, Problem};
use crate::api::openapi::bodies::SchedulePatch;
use crate::api::submission::options::SubmitOptions;
use crate::domain::block::Command;
use crate::domain::{Body, Code, Command as Asked, RequestId, ScheduleId, UserId};
use crate::plan::PlanId;
use crate::store::FrontStore;
use crate::wire::command::fingerprint;

/// What amending a date uses.
#[derive(Clone)]
pub struct Amending {
    store: Arc<dyn FrontStore>,
    steps: Steps,
    snapshots: Arc<Snapshots>,
    facts: Arc<ScheduleFacts>,
    plans: Arc<Plans>,
}

impl FromRef<AppState> for Amending {
    fn from_ref(state: &AppState) -> Self {
        Amending {
            store: state.store.clone(),
            steps: Steps::from_ref(state),
            snapshots: state.snapshots.clone(),
            facts: state.facts.clone(),
            plans: state.plans.clone(),
        }
    }
}

/// Changes prices, times, seats for sale, or appends seats and sections.
///
/// `plan` enlarges a date that was made of a seating plan: the id of one that has all its seats, under the same numbers,
/// and further ones (`POST /v1/plans?extends=`). Further seats of a section cost what its categories cost there; `prices`
/// is for the others. `blocked` and `blocks` are as for a new date.
///
/// All values are absolute. What is held or sold keeps its seats and its price. Each block is changed by a command of its
/// own, so when one of several refuses, others may have changed: `blocks` of the date shows each. A 503
/// `outcome_unknown` leaves it half done; a repeat with the same Idempotency-Key finishes it.
#[utoipa::path(
    patch,
    path = "/v1/schedules/{id}",
    tag = "catalog",
    params(
        ("id" = String, Path, format = "uuid", description = "The date"),
        ("Idempotency-Key" = String, Header, description = "Required: a repeat with it finishes what was begun"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: at most N seconds, default 15"),
    ),
    request_body(
        content = SchedulePatch,
        example = json!({"sales_close_at": "2026-11-21T18:00:00Z", "sections": [{"name": "A", "prices": {"A": 1200}}]})
    ),
    responses(
        (status = 200, description = "The date as amended", body = ScheduleObject),
        (status = 400, description = "`invalid_request`: no Idempotency-Key"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`schedule_not_found`, `section_not_found`"),
        (status = 409, description = "`block_conflict`: seats can only be appended, and a start must lie ahead; the plan was replaced meanwhile"),
        (status = 410, description = "`show_cancelled`"),
        (status = 422, description = "`invalid_fields`, `invalid_amount`, `idempotency_key_reused`"),
        (status = 503, description = "`outcome_unknown`, `overloaded`, `unavailable`"),
    )
)]
pub async fn amend_schedule(
    State(amending): State<Amending>,
    Admin(admin): Admin,
    options: SubmitOptions,
    PathId(id): PathId,
    LargeJsonBody(body): LargeJsonBody,
) -> Result<Response, Problem> {
    amending.amend(&admin, &options, ScheduleId(id), &read_amendment(&body)?).await
}

/// Cancels the show, for good: holds end, and what was paid is paid back.
///
/// Answered once nothing can be held or paid any more. Paying back goes on in the background: `refunds` of the date says
/// how far it has come. A repeat with the same Idempotency-Key finishes what a 503 `outcome_unknown` left half done.
#[utoipa::path(
    delete,
    path = "/v1/schedules/{id}",
    tag = "catalog",
    params(
        ("id" = String, Path, format = "uuid", description = "The date"),
        ("Idempotency-Key" = String, Header, description = "Required: a repeat with it finishes what was begun"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: at most N seconds, default 15"),
    ),
    responses(
        (status = 200, description = "The date, canceled", body = ScheduleObject),
        (status = 400, description = "`invalid_request`: no Idempotency-Key"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`schedule_not_found`"),
        (status = 422, description = "`idempotency_key_reused`"),
        (status = 503, description = "`outcome_unknown`, `overloaded`, `unavailable`"),
    )
)]
pub async fn cancel_schedule(
    State(amending): State<Amending>,
    Admin(admin): Admin,
    options: SubmitOptions,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    amending.amend(&admin, &options, ScheduleId(id), &Amendment::cancelling()).await
}

impl Amending {
    async fn amend(
        &self,
        admin: &UserId,
        options: &SubmitOptions,
        id: ScheduleId,
        amendment: &Amendment,
    ) -> Result<Response, Problem> {
        if options.key.is_none() {
            let detail = "this needs an Idempotency-Key: only a repeat with the same one can finish what breaks off";
            return Err(Problem::new(Kind::InvalidRequest, detail));
        }
        let enlarged = match &amendment.larger {
            Some(planned) => Some(self.enlarged(id, amendment, planned).await?),
            None => None,
        };
        let (amendment, replaced) = enlarged.as_ref().map_or((amendment, None), |(all, plans)| (all, Some(plans)));
        let facts = self.facts.with_sections(id, amendment.sections().map(|(name, _)| name)).await?;
        let facts = facts.ok_or_else(no_schedule)?;
        amendment.check(&facts)?;
        if let Some((from, to)) = replaced {
            self.redraw(id, *from, *to).await?;
        }
        let step = |block| {
            let amend = Body::Seats(Command::AmendBlock(amendment.of_block(id, block, &facts, admin)));
            let part = match replaced {
                None => format!("amend {block}"),
                // A repeat asks for what is still missing, which is another command.
                Some(_) => format!("amend {block} {}", content_of(&amend)),
            };
            Step { pointer: String::new(), part, body: amend }
        };
        self.steps.take(admin, options, None, facts.blocks().map(step).collect()).await?;
        self.snapshots.catalog_changed();
        self.facts.catalog_changed();
        let view = self.store.schedule(id).await?.ok_or_else(no_schedule)?;
        Ok(Json(ScheduleObject::from(&view)).into_response())
    }

    /// The amendment with the seats that its plan adds, and the plans before and after it.
    async fn enlarged(
        &self,
        id: ScheduleId,
        amendment: &Amendment,
        planned: &Planned,
    ) -> Result<(Amendment, (PlanId, PlanId)), Problem> {
        let view = self.store.schedule(id).await?.ok_or_else(no_schedule)?;
        let drawn_by = view.schedule.drawn_by().and_then(|id| id.parse().ok());
        let drawn_by = drawn_by.ok_or_else(|| Problem::field("/plan", "is for dates that were made of a plan"))?;
        let (old, new) = (self.plan(drawn_by).await?, self.plan(planned.plan).await?);
        let all = with_seats_of(amendment, planned, &view, (&old.plan, &new.plan))?;
        Ok((all, (drawn_by, planned.plan)))
    }

    async fn plan(&self, id: PlanId) -> Result<Arc<Known>, Problem> {
        let known = self.plans.get(id).await?;
        known.ok_or_else(|| Problem::field("/plan", "is the id of no plan; post the plan first"))
    }

    /// Before the seats are there, so that whoever hears of them finds them drawn. A plan may show more than a date has.
    async fn redraw(&self, id: ScheduleId, from: PlanId, to: PlanId) -> Result<(), Problem> {
        if from == to || self.store.replace_plan(id, &from.to_string(), &to.to_string()).await? {
            self.facts.amended(id);
            return Ok(());
        }
        Err(Problem::refusal(Code::BlockConflict, "another plan took the place of the date's meanwhile"))
    }
}

/// What a command asks, in a few digits.
fn content_of(body: &Body) -> String {
    let asked = Asked { request_id: RequestId(uuid::Uuid::nil()), by: None, body: body.clone() };
    format!("{:x}", fingerprint(&asked).0)
}
