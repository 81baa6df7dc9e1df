//! Concerts and dates for the tests that need the real owner behind the log.

use super::*;
use crate::processor;

impl Door {
    /// An owner of all partitions that decides by the rules.
    pub(super) fn start_owner(&self) {
        let deps = processor::Deps {
            log: Arc::new(self.log.clone()),
            store: Arc::new(self.store.clone()),
            clock: Clock::System,
            health: Health::default(),
        };
        tokio::spawn(processor::run(deps, processor::Settings::default(), self.shutdown.clone()));
    }

    pub(super) fn admin(&self, path: &str, body: Value) -> RequestBuilder {
        self.bare(Method::POST, path).header("x-user-id", "admin").json(&body)
    }

    pub(super) async fn concert(&self) -> String {
        let answer = send(self.admin("/v1/concerts", json!({"title": "Concert"}))).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub(super) fn date(&self, concert: &str, body: Value) -> RequestBuilder {
        self.admin(&format!("/v1/concerts/{concert}/schedules"), body)
    }

    /// A date on sale; the answer to its opening.
    pub(super) async fn opened(&self, body: Value) -> Value {
        let concert = self.concert().await;
        let answer = send(waiting(self.date(&concert, body), 30)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    /// A command of this user that must succeed; its result.
    pub(super) async fn done(&self, user: &str, method: Method, path: &str, body: Value) -> Value {
        let ask = self.bare(method, path).header("x-user-id", user).json(&body);
        let answer = send(waiting(ask, 30)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"].clone()
    }
}

/// A path of a date.
pub(super) fn path(date: &Value, rest: &str) -> String {
    format!("/v1/schedules/{}{rest}", date["id"].as_str().unwrap())
}
