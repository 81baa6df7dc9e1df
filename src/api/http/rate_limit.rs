//! How fast one user may send commands.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::problem::{Kind, Problem};
use crate::domain::UserId;

/// A token bucket for each user. Two generations bound the memory without a sweep: when the young one is full it
/// becomes the old one, and a user in neither starts with a full bucket.
pub struct RateLimiter {
    generations: Mutex<Generations>,
    tracked_max: usize,
    burst: f64,
    per_second: f64,
}

#[derive(Default)]
struct Generations {
    young: HashMap<UserId, Bucket>,
    old: HashMap<UserId, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimiter {
    pub fn new(burst: u32, per_second: u32, tracked_max: usize) -> Self {
        let (burst, per_second) = (f64::from(burst.max(1)), f64::from(per_second.max(1)));
        RateLimiter { generations: Mutex::default(), tracked_max: tracked_max.max(2), burst, per_second }
    }

    /// Takes one command's worth from the user's bucket; 429 with the seconds to wait if it is empty. A store read on
    /// one user's behalf costs as much as a command.
    pub fn take(&self, user: &UserId) -> Result<(), Problem> {
        let now = Instant::now();
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old } = &mut *generations;
        if !young.contains_key(user) {
            if young.len() >= self.tracked_max / 2 {
                *old = std::mem::take(young);
            }
            let bucket = old.remove(user).unwrap_or(Bucket { tokens: self.burst, at: now });
            young.insert(user.clone(), bucket);
        }
        let Some(bucket) = young.get_mut(user) else { return Ok(()) };
        let refill = now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        *bucket = Bucket { tokens: (bucket.tokens + refill).min(self.burst), at: now };
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let seconds = ((1.0 - bucket.tokens) / self.per_second).ceil().max(1.0);
        Err(Problem::new(Kind::RateLimited, "too many commands of this user").retry_after(seconds as u64))
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
