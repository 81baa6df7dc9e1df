//! `Idempotency-Key`: the request id made of it, and the keyed requests that this process has under way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::api::http::extract::header;
use crate::api::http::problem::{Kind, Problem};
use crate::domain::{Fingerprint, Position, RequestId, UserId};

pub const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const KEY_CHARS_MAX: usize = 128;

/// A client's name for one command: repeats are recognized by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The header's key: 1–128 printable ASCII characters, quoted (as RFC 8941 strings are) or not.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(text) = header(headers, &KEY_HEADER)? else { return Ok(None) };
        let wrong = || {
            let detail = format!("Idempotency-Key must be 1 to {KEY_CHARS_MAX} printable ASCII characters");
            Problem::new(Kind::InvalidRequest, detail)
        };
        let key = match text.strip_prefix('"') {
            Some(rest) => unquote(rest).ok_or_else(wrong)?,
            None => text.to_owned(),
        };
        let printable = key.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !printable || !(1..=KEY_CHARS_MAX).contains(&key.len()) {
            return Err(wrong());
        }
        Ok(Some(IdempotencyKey(key)))
    }

    /// The key of one part of what this key stands for. No client can send it: it is not printable.
    pub fn part(&self, name: &str) -> IdempotencyKey {
        IdempotencyKey(format!("{}\0{name}", self.0))
    }

    /// The request id that this user's use of this key always has: a UUIDv8 of a hash of both, so that a repeat through
    /// any process, or after a crash, is the same request to the owner of the partition.
    pub fn request_id(&self, user: &UserId) -> RequestId {
        let mut hash = Sha256::new();
        hash.update(b"turnstile request 1\0");
        hash.update(user.as_str().as_bytes());
        // A user id has no NUL, so no two pairs run together.
        hash.update([0]);
        hash.update(self.0.as_bytes());
        let digest = hash.finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        RequestId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// The id of a request without a key.
pub fn fresh_request_id() -> RequestId {
    RequestId(Uuid::now_v7())
}

/// The rest of a quoted string, which must end with its closing quote.
fn unquote(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(key),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => key.push(c),
        }
    }
}

/// Requests with a key that this process published recently. It closes the gap between append and commit, in which the
/// store does not know a request yet.
pub struct RecentKeys {
    table: Mutex<Table>,
    keys_max: usize,
}

#[derive(Default)]
struct Table {
    entries: HashMap<RequestId, Entry>,
    /// Oldest first; ids may be listed after their entry is gone.
    order: VecDeque<(RequestId, u64)>,
    next_turn: u64,
}

struct Entry {
    fingerprint: Fingerprint,
    /// Where the log has it, once acknowledged.
    position: Option<Position>,
    /// Appends under way or of unknown end.
    appends: u32,
    turn: u64,
}

/// What this process knows of a request with a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing acknowledged yet: append it. A repeat of what is under way is harmless.
    Append,
    /// The same command lies on the log already.
    Appended(Position),
    /// Another command is under way under this key.
    Reused,
}

impl RecentKeys {
    pub fn new(keys_max: usize) -> Self {
        RecentKeys { table: Mutex::default(), keys_max: keys_max.max(1) }
    }

    pub fn claim(&self, request_id: RequestId, fingerprint: Fingerprint) -> Claim {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.entries.get_mut(&request_id) {
            return match entry.position {
                _ if entry.fingerprint != fingerprint => Claim::Reused,
                Some(position) => Claim::Appended(position),
                None => {
                    entry.appends = entry.appends.saturating_add(1);
                    Claim::Append
                }
            };
        }
        while table.order.len() >= self.keys_max {
            let Some((oldest, turn)) = table.order.pop_front() else { break };
            if table.entries.get(&oldest).is_some_and(|entry| entry.turn == turn) {
                table.entries.remove(&oldest);
            }
        }
        let turn = table.next_turn;
        table.next_turn += 1;
        table.order.push_back((request_id, turn));
        table.entries.insert(request_id, Entry { fingerprint, position: None, appends: 1, turn });
        Claim::Append
    }

    /// The log has it.
    pub fn appended(&self, request_id: RequestId, position: Position) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.entries.get_mut(&request_id) {
            entry.position.get_or_insert(position);
        }
    }

    /// Whether the log is known to have this very command.
    pub fn has_appended(&self, request_id: RequestId, fingerprint: Fingerprint) -> bool {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = table.entries.get(&request_id);
        entry.is_some_and(|entry| entry.position.is_some() && entry.fingerprint == fingerprint)
    }

    /// One append certainly did not happen: the key is free again, unless another repeat is or may be on the log.
    pub fn release(&self, request_id: RequestId) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.entries.get_mut(&request_id) else { return };
        entry.appends = entry.appends.saturating_sub(1);
        if entry.appends == 0 && entry.position.is_none() {
            table.entries.remove(&request_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;

    fn key(text: &str) -> Result<Option<IdempotencyKey>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(KEY_HEADER, axum::http::HeaderValue::from_bytes(text.as_bytes()).unwrap());
        IdempotencyKey::from_headers(&headers)
    }

    #[test]
    fn a_key_may_be_quoted() {
        assert_eq!(key("abc").unwrap(), key("\"abc\"").unwrap());
        assert_eq!(key(r#""a\"b\\""#).unwrap(), Some(IdempotencyKey(r#"a"b\"#.into())));
        for bad in ["", "\"", "\"\"", "\"abc", "\"abc\"x", r#""a\b""#, "ключ", "a\tb", &"x".repeat(129)] {
            assert_eq!(key(bad).unwrap_err().status().as_u16(), 400, "{bad}");
        }
        assert!(key(&"x".repeat(128)).unwrap().is_some());
    }

    #[test]
    fn a_key_gives_the_same_request_id_to_the_same_user_only() {
        let id = |user: &str, text: &str| key(text).unwrap().unwrap().request_id(&user.parse().unwrap());
        assert_eq!(id("alice", "k"), id("alice", "k"));
        assert_ne!(id("alice", "k"), id("bob", "k"));
        assert_ne!(id("alice", "k"), id("alice", "k2"));
        assert_eq!(id("alice", "k").0.get_version_num(), 8);
    }

    #[test]
    fn a_key_under_way_is_not_taken_by_another_command() {
        let keys = RecentKeys::new(10);
        let id = fresh_request_id();
        let position = Position::new(Lane::Wallets, 1, 2);
        assert_eq!(keys.claim(id, Fingerprint(1)), Claim::Append);
        assert_eq!(keys.claim(id, Fingerprint(2)), Claim::Reused);
        assert_eq!(keys.claim(id, Fingerprint(1)), Claim::Append);
        keys.appended(id, position);
        keys.release(id);
        assert_eq!(keys.claim(id, Fingerprint(1)), Claim::Appended(position));
        assert_eq!(keys.claim(id, Fingerprint(2)), Claim::Reused);
        let refused = fresh_request_id();
        assert_eq!(keys.claim(refused, Fingerprint(1)), Claim::Append);
        keys.release(refused);
        assert_eq!(keys.claim(refused, Fingerprint(2)), Claim::Append);
    }

    #[test]
    fn the_keys_remembered_are_bounded() {
        let keys = RecentKeys::new(3);
        let first = fresh_request_id();
        keys.claim(first, Fingerprint(1));
        for _ in 0..10 {
            let id = fresh_request_id();
            keys.claim(id, Fingerprint(1));
            keys.release(id);
        }
        assert_eq!(keys.claim(first, Fingerprint(2)), Claim::Append, "the oldest is forgotten");
        let table = keys.table.lock().unwrap();
        assert!(table.entries.len() <= 3 && table.order.len() <= 3);
    }
}
