//! Answers with files of the pages.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::{Kind, Problem};
use crate::web::{File, Web, content_security_policy};

/// What the pages are served with.
#[derive(Debug)]
pub struct Pages {
    web: Web,
    policy: HeaderValue,
    pub facts: PageFacts,
}

/// What the scripts must know of the server before they can ask it anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PageFacts {
    /// `dev` or `jwt`.
    pub auth: &'static str,
    /// Where users without a token are sent, with `?return=` appended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_url: Option<String>,
    /// ISO 4217, of concerts that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Users charge their own wallets.
    pub self_charge: bool,
    /// What the tokens say of their bearers: pages show a name, and only what the roles are good for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<ClaimNames>,
}

/// Claims of a token, by what they mean; dots are paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClaimNames {
    pub user: String,
    pub roles: String,
    /// The role that makes an admin.
    pub admin: String,
}

impl Pages {
    /// `frame_ancestors`: who may embed the pages; what no header can carry counts as nobody.
    pub fn new(web: Web, frame_ancestors: &str, facts: PageFacts) -> Self {
        let policy = HeaderValue::from_str(&content_security_policy(frame_ancestors));
        let policy = policy.unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Pages { web, policy, facts }
    }

    /// One file, or 304 if the client has it.
    pub async fn document(&self, path: &str, headers: &HeaderMap) -> Result<Response, Problem> {
        let file = self.web.file(path).await.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such page"))?;
        Ok(self.answer(file, headers))
    }

    fn answer(&self, file: File, headers: &HeaderMap) -> Response {
        let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let known =
            known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == file.etag));
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, file.media_type)], file.bytes).into_response()
        };
        let own = response.headers_mut();
        own.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        // Asked for again each time, answered by 304: a page and its scripts are of one version.
        own.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        own.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        if let Ok(etag) = HeaderValue::from_str(&file.etag) {
            own.insert(ETAG, etag);
        }
        response
    }
}
