//! How fast one user, or one address, may send requests.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::networks::{Peer, TrustedProxies};
use super::problem::{Kind, Problem};
use crate::domain::UserId;

/// A token bucket for each user or address. Two generations bound the memory without a sweep: when the young one is full it
/// becomes the old one, and whoever is in neither starts with a full bucket.
pub struct RateLimiter<K = UserId> {
    generations: Mutex<Generations<K>>,
    tracked_max: usize,
    burst: f64,
    per_second: f64,
}

struct Generations<K> {
    young: HashMap<K, Bucket>,
    old: HashMap<K, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Tokens of a full bucket, and how many it gets back each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub burst: u32,
    pub per_second: u32,
}

impl RateLimiter {
    /// Takes one command's worth from the user's bucket; 429 with the seconds to wait if it is empty. A store read on
    /// one user's behalf costs as much as a command.
    pub fn take(&self, user: &UserId) -> Result<(), Problem> {
        self.draw(user).map_err(|seconds| too_fast("too many commands of this user", seconds))
    }
}

fn too_fast(detail: &str, seconds: u64) -> Problem {
    Problem::new(Kind::RateLimited, detail).retry_after(seconds)
}

impl<K: Hash + Eq + Clone> RateLimiter<K> {
    pub fn new(burst: u32, per_second: u32, tracked_max: usize) -> Self {
        let (burst, per_second) = (f64::from(burst.max(1)), f64::from(per_second.max(1)));
        let generations = Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() });
        RateLimiter { generations, tracked_max: tracked_max.max(2), burst, per_second }
    }

    /// Takes one token; `Err`: in how many seconds there will be one.
    fn draw(&self, key: &K) -> Result<(), u64> {
        let now = Instant::now();
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old } = &mut *generations;
        if !young.contains_key(key) {
            if young.len() >= self.tracked_max / 2 {
                *old = std::mem::take(young);
            }
            let bucket = old.remove(key).unwrap_or(Bucket { tokens: self.burst, at: now });
            young.insert(key.clone(), bucket);
        }
        let Some(bucket) = young.get_mut(key) else { return Ok(()) };
        let refill = now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        *bucket = Bucket { tokens: (bucket.tokens + refill).min(self.burst), at: now };
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(((1.0 - bucket.tokens) / self.per_second).ceil().max(1.0) as u64)
    }
}

/// How much of the server one user may use, whatever they ask; and one address, where nobody has to log in.
pub struct Budget {
    users: RateLimiter<UserId>,
    addresses: RateLimiter<IpAddr>,
    proxies: TrustedProxies,
}

impl Budget {
    /// `tracked_max`: users, and addresses, that are remembered.
    pub fn new(user: Rate, address: Rate, tracked_max: usize, proxies: TrustedProxies) -> Self {
        Budget {
            users: RateLimiter::new(user.burst, user.per_second, tracked_max),
            addresses: RateLimiter::new(address.burst, address.per_second, tracked_max),
            proxies,
        }
    }

    /// One request of this user.
    pub fn take(&self, user: &UserId) -> Result<(), Problem> {
        self.users.draw(user).map_err(|seconds| too_fast("too many requests of this user", seconds))
    }

    fn take_address(&self, request: &Request) -> Result<(), Problem> {
        let peer = request.extensions().get::<Peer>();
        let Some(client) = peer.and_then(|peer| self.proxies.client(peer.0, request.headers())) else { return Ok(()) };
        self.addresses.draw(&client).map_err(|seconds| too_fast("too many requests from this address", seconds))
    }
}

/// Before routes that need no login.
pub async fn limit_address(State(budget): State<Arc<Budget>>, request: Request, next: Next) -> Response {
    match budget.take_address(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_may_burst_and_then_keeps_the_pace() {
        let users = RateLimiter::new(3, 2, 100);
        for _ in 0..3 {
            assert!(users.take(&user("a")).is_ok());
        }
        let problem = users.take(&user("a")).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.retry_after), (429, Some(1)));
        assert!(users.take(&user("b")).is_ok(), "others are not affected");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(users.take(&user("a")).is_ok());
        assert!(users.take(&user("a")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_users_remembered_are_bounded_and_recent_ones_stay() {
        let users = RateLimiter::new(1, 1, 10);
        assert!(users.take(&user("a")).is_ok());
        for i in 0..8 {
            assert!(users.take(&user(&format!("u{i}"))).is_ok());
            assert!(users.take(&user("a")).is_err(), "after {i}");
        }
        for i in 0..1000 {
            assert!(users.take(&user(&format!("v{i}"))).is_ok());
        }
        let generations = users.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 10);
    }
}
