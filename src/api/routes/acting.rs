//! For whom a request acts: for the caller, or at the box office for a customer.

use crate::api::http::auth::{Caller, Role};
use crate::api::http::extract::Params;
use crate::api::http::problem::{Kind, Problem};
use crate::domain::UserId;

/// The user that is named, if the caller may act for them; the caller, if none is.
pub fn acting_for(caller: &Caller, named: Option<UserId>) -> Result<UserId, Problem> {
    match named {
        Some(user) if user != caller.user => {
            caller.needs(Role::BoxOffice, "acting for another user")?;
            Ok(user)
        }
        _ => Ok(caller.user.clone()),
    }
}

/// The same with `?user_id=`.
pub fn acting_for_param(caller: &Caller, params: &Params) -> Result<UserId, Problem> {
    let named = params.get("user_id").map(str::parse).transpose();
    let named = named.map_err(|_| Problem::new(Kind::InvalidRequest, "?user_id= is no user id"))?;
    acting_for(caller, named)
}
