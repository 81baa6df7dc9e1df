//! A user's money: charging, spending, the balance and its history.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::http::auth::{Caller, Role, SelfCharge};
use crate::api::http::extract::{JsonBody, Params, next_of};
use crate::api::http::fields::Fields;
use crate::api::http::problem::Problem;
use crate::api::openapi::bodies::MovementRequest;
use crate::api::submission::lookups::Lookups;
use crate::api::submission::options::SubmitOptions;
use crate::api::submission::submit::Submission;
use crate::domain::names::REASON_MAX;
use crate::domain::wallet::{Command, Entry, Movement};
use crate::domain::{Body, Reason, UserId};
use crate::store::FrontStore;
use crate::wire::time::rfc3339;

/// What a user has.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletObject {
    pub user_id: String,
    /// Smallest currency unit; 0 before the first charge.
    pub balance: i64,
}

/// One line of a wallet's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryObject {
    #[schema(format = "uuid")]
    pub entry_id: String,
    /// 1, 2, 3, … within the wallet.
    pub number: u64,
    /// CHARGE, PAYMENT, DEBIT or REFUND.
    pub kind: &'static str,
    /// What moved, always positive; `kind` says the direction.
    pub amount: i64,
    pub balance_after: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[schema(format = "uuid")]
    pub request_id: String,
    /// Who asked, if not the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[schema(format = "date-time")]
    pub at: String,
}

/// One page of a wallet's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryList {
    pub entries: Vec<EntryObject>,
    /// Give it as `?after=` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<Entry> for EntryObject {
    fn from(row: Entry) -> Self {
        EntryObject {
            entry_id: row.id.to_string(),
            number: row.number,
            kind: row.kind.as_str(),
            amount: row.amount.get(),
            balance_after: row.balance_after.get(),
            reason: row.reason.map(|reason| reason.to_string()),
            request_id: row.request_id.to_string(),
            by: row.by.map(|user| user.to_string()),
            at: rfc3339(row.at.time),
        }
    }
}

/// What moves in whose wallet: that of `user_id`, else `own`; without `own` the body must name the user.
fn movement(body: &Value, own: Option<&UserId>) -> Result<Movement, Problem> {
    let mut fields = Fields::of(body)?;
    let amount = fields.amount("amount");
    let reason = fields.optional("reason", reason);
    let user_id = match own {
        Some(own) if !fields.has("user_id") => Some(own.clone()),
        _ => fields.parsed("user_id"),
    };
    let movement = amount.zip(reason).zip(user_id);
    fields.finish(movement.map(|((amount, reason), user_id)| Movement { user_id, amount, reason }))
}

/// The movement a caller may ask for: in another's wallet only a cashier.
fn permitted(body: &Value, own: Option<&UserId>, caller: &Caller) -> Result<Movement, Problem> {
    let movement = movement(body, own)?;
    if movement.user_id != caller.user {
        caller.needs(Role::Cashier, "another's wallet")?;
    }
    Ok(movement)
}

fn reason(fields: &mut Fields<'_>, name: &str) -> Option<Reason> {
    let text = fields.text(name, REASON_MAX)?;
    text.parse().map_or_else(|error: crate::domain::InvalidText| fields.reject(name, error.0), Some)
}

/// Puts money into a wallet; the first charge makes it.
///
/// Another's wallet needs the role `cashier`. Where users do not charge their own wallets (`wallet.self_charge`), every
/// charge needs it and names the user.
///
/// Result: `{entry_id, balance, amount, kind}`.
#[utoipa::path(
    post,
    path = "/v1/wallet/charges",
    tag = "wallet",
    request_body(content = MovementRequest, example = json!({"amount": 5000})),
    responses((status = 403, description = "`forbidden`")),
    extensions(("x-command" = json!("charge_wallet")))
)]
pub async fn charge_wallet(
    State(submission): State<Arc<Submission>>,
    State(SelfCharge(self_charge)): State<SelfCharge>,
    caller: Caller,
    options: SubmitOptions,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    if !self_charge {
        caller.needs(Role::Cashier, "charging a wallet")?;
    }
    let own = self_charge.then_some(&caller.user);
    let charge = Body::Wallets(Command::ChargeWallet(permitted(&body, own, &caller)?));
    Ok(submission.submit(&caller.user, &options, charge).await?.respond(options.wait))
}

/// Spends from the caller's wallet, or with the role `cashier` from another's.
///
/// Result: `{entry_id, balance, amount, kind}`.
#[utoipa::path(
    post,
    path = "/v1/wallet/debits",
    tag = "wallet",
    request_body(content = MovementRequest, example = json!({"amount": 700, "reason": "poster"})),
    responses((status = 403, description = "`forbidden`")),
    extensions(("x-command" = json!("debit_wallet")))
)]
pub async fn debit_wallet(
    State(submission): State<Arc<Submission>>,
    caller: Caller,
    options: SubmitOptions,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let debit = Body::Wallets(Command::DebitWallet(permitted(&body, Some(&caller.user), &caller)?));
    Ok(submission.submit(&caller.user, &options, debit).await?.respond(options.wait))
}

/// The caller's balance.
#[utoipa::path(
    get,
    path = "/v1/wallet",
    tag = "wallet",
    responses((status = 200, description = "The balance", body = WalletObject))
)]
pub async fn get_wallet(State(lookups): State<Arc<Lookups>>, caller: Caller) -> Result<Json<WalletObject>, Problem> {
    let wallet = lookups.wallet(&caller.user).await?;
    let balance = wallet.map_or(0, |wallet| wallet.balance.get());
    Ok(Json(WalletObject { user_id: caller.user.to_string(), balance }))
}

/// The history of the caller's wallet, newest first.
#[utoipa::path(
    get,
    path = "/v1/wallet/entries",
    tag = "wallet",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Rows of the page, default 50"),
        ("after" = Option<String>, Query, pattern = "^[0-9]{1,18}$", description = "`next` of the page before"),
    ),
    responses((status = 200, description = "One page", body = EntryList))
)]
pub async fn list_entries(
    State(store): State<Arc<dyn FrontStore>>,
    caller: Caller,
    params: Params,
) -> Result<Json<EntryList>, Problem> {
    let page = params.page(|number: u64| number)?;
    let limit = page.limit;
    let rows = store.wallet_entries(&caller.user, page).await?;
    let next = next_of(&rows, limit, |row| row.number.to_string());
    Ok(Json(EntryList { entries: rows.into_iter().map(Into::into).collect(), next }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_movement_is_refused_with_a_pointer() {
        let alice: UserId = "alice".parse().unwrap();
        for (body, code, pointer) in [
            (json!({}), "invalid_amount", "/amount"),
            (json!({"amount": 0}), "invalid_amount", "/amount"),
            (json!({"amount": -1}), "invalid_amount", "/amount"),
            (json!({"amount": 1.5}), "invalid_amount", "/amount"),
            (json!({"amount": "100"}), "invalid_amount", "/amount"),
            (json!({"amount": 10_000_000_000_000_i64}), "invalid_amount", "/amount"),
            (json!({"amount": u64::MAX}), "invalid_amount", "/amount"),
            (json!({"amount": null}), "invalid_amount", "/amount"),
            (json!({"amount": 1, "user_id": 5}), "invalid_fields", "/user_id"),
            (json!({"amount": 1, "user_id": ""}), "invalid_fields", "/user_id"),
            (json!({"amount": 1, "user_id": "x".repeat(129)}), "invalid_fields", "/user_id"),
            (json!({"amount": 1, "reason": 5}), "invalid_fields", "/reason"),
            (json!({"amount": 1, "reason": ""}), "invalid_fields", "/reason"),
            (json!({"amount": 1, "reason": "x".repeat(201)}), "invalid_fields", "/reason"),
            (json!({"amount": 1, "reason": "a\u{0}"}), "invalid_fields", "/reason"),
            (json!({"amount": 1, "reason": "two\nlines"}), "invalid_fields", "/reason"),
            (json!(null), "invalid_fields", ""),
        ] {
            let problem = movement(&body, Some(&alice)).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code.as_str()), (422, code), "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
        let body = json!({"amount": 1, "reason": null, "user_id": null, "extra": []});
        let good = movement(&body, Some(&alice)).unwrap();
        assert_eq!((good.amount, good.reason, &good.user_id), (1, None, &alice));
        let missing = movement(&body, None).unwrap_err();
        assert_eq!(missing.errors[0].pointer, "/user_id", "nobody is charged by default");
        let other = movement(&json!({"amount": 1, "user_id": "auth0|7"}), Some(&alice)).unwrap();
        assert_eq!(other.user_id.as_str(), "auth0|7");
    }
}
