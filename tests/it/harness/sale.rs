//! What most scenarios start with: a concert with a date, wallets with money, holds and payments.

use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::client::{Ask, Client, Outcome, User};

/// A schedule on sale.
#[derive(Debug, Clone)]
pub struct Sale {
    pub concert: String,
    pub schedule: String,
}

/// What to put on sale.
pub struct Offer<'a> {
    /// Name, seats, price of one seat.
    pub sections: &'a [(&'a str, u32, i64)],
    pub hold_ttl_seconds: u32,
    pub max_seats_per_user: u32,
    pub queue: Option<Value>,
    /// Sections with all their fields, in place of `sections`.
    pub layouts: Vec<Value>,
    /// Further fields of the date, which may replace those above.
    pub further: Value,
}

impl Default for Offer<'_> {
    fn default() -> Self {
        Offer {
            sections: &[("A", 50, 1000)],
            hold_ttl_seconds: 300,
            max_seats_per_user: 4,
            queue: None,
            layouts: Vec::new(),
            further: json!({}),
        }
    }
}

/// One section of so many seats at 1000 each.
pub async fn one_section(client: &Client, seats: u32) -> Sale {
    Offer { sections: &[("A", seats, 1000)], ..Offer::default() }.open(client).await
}

/// RFC 3339, so many seconds from now.
pub fn in_seconds(seconds: i64) -> String {
    (OffsetDateTime::now_utc() + time::Duration::seconds(seconds)).format(&Rfc3339).expect("a year of four digits")
}

impl Offer<'_> {
    pub async fn open(self, client: &Client) -> Sale {
        let admin = client.admin();
        let concert = admin.post("/v1/concerts", json!({"title": "Scenario"})).send().await;
        assert_eq!(concert.status, 201, "{concert:?}");
        let concert = text(&concert.body, "id");
        let plain = |(name, seats, price): &(&str, u32, i64)| json!({"name": name, "seats": seats, "price": price});
        let sections = if self.layouts.is_empty() { self.sections.iter().map(plain).collect() } else { self.layouts };
        let mut body = json!({
            "starts_at": in_seconds(86_400),
            "sections": sections,
            "hold_ttl_seconds": self.hold_ttl_seconds,
            "max_seats_per_user": self.max_seats_per_user,
        });
        if let Some(queue) = self.queue {
            body["queue"] = queue;
        }
        let further = self.further.as_object().cloned().unwrap_or_default();
        body.as_object_mut().expect("an object").extend(further);
        let schedule = admin.post(&format!("/v1/concerts/{concert}/schedules"), body).send().await;
        assert_eq!(schedule.status, 201, "{schedule:?}");
        Sale { schedule: text(&schedule.body, "id"), concert }
    }
}

impl Sale {
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/schedules/{}{rest}", self.schedule)
    }

    pub async fn seats(&self, client: &Client) -> Vec<Value> {
        let body = client.admin().read(&self.path("/seats")).await;
        body["seats"].as_array().unwrap_or_else(|| panic!("no seats in {body}")).clone()
    }

    /// Waits until so many seats show this status: the map may be a fraction of a second old.
    pub async fn shows(&self, client: &Client, status: &str, seats: usize) {
        super::until(&format!("{seats} seats to be {status}"), async || {
            let count = self.count(client, status).await;
            if count == seats { Ok(()) } else { Err(format!("{count} are")) }
        })
        .await;
    }

    /// How many seats of the schedule show this status.
    pub async fn count(&self, client: &Client, status: &str) -> usize {
        self.seats(client).await.iter().filter(|seat| seat["status"] == status).count()
    }
}

impl User {
    pub fn hold(&self, sale: &Sale, seats: &[&str]) -> Ask {
        self.post(&sale.path("/holds"), json!({"seats": seats}))
    }

    pub fn hold_best(&self, sale: &Sale, section: &str, n: u32) -> Ask {
        self.hold_of(sale, json!({"section": section, "best_available": n}))
    }

    pub fn hold_of(&self, sale: &Sale, choice: Value) -> Ask {
        self.post(&sale.path("/holds"), choice)
    }

    pub fn pay(&self, reservation: &str) -> Ask {
        self.post(&format!("/v1/reservations/{reservation}/payment"), json!({}))
    }

    pub fn cancel(&self, reservation: &str) -> Ask {
        self.delete(&format!("/v1/reservations/{reservation}"))
    }

    pub fn charge(&self, amount: i64) -> Ask {
        self.post("/v1/wallet/charges", json!({"amount": amount}))
    }

    pub fn debit(&self, amount: i64) -> Ask {
        self.post("/v1/wallet/debits", json!({"amount": amount}))
    }

    /// A first charge that must succeed.
    pub async fn start_with(&self, amount: i64) {
        let result = self.charge(amount).decide().await.result();
        assert_eq!(result["balance"], amount, "first charge of {}", self.name);
    }

    /// A hold that must succeed; its reservation's id.
    pub async fn held(&self, sale: &Sale, seats: &[&str]) -> String {
        text(&self.hold(sale, seats).decide().await.result(), "reservation_id")
    }

    pub async fn balance(&self) -> i64 {
        let wallet = self.read("/v1/wallet").await;
        wallet["balance"].as_i64().unwrap_or_else(|| panic!("no balance in {wallet}"))
    }

    pub async fn reservation(&self, id: &str) -> Value {
        self.read(&format!("/v1/reservations/{id}")).await
    }

    pub async fn reservation_status(&self, id: &str) -> String {
        text(&self.reservation(id).await, "status")
    }

    /// All rows of one of my lists, newest first, page after page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut rows: Vec<Value> = Vec::new();
        let mut next = format!("{path}?limit=100");
        loop {
            let body = self.read(&next).await;
            let (page, cursor) = page_of(&body);
            rows.extend(page);
            match cursor {
                Some(cursor) => next = format!("{path}?limit=100&after={cursor}"),
                None => return rows,
            }
        }
    }

    pub async fn entries(&self) -> Vec<Value> {
        self.all("/v1/wallet/entries").await
    }

    pub async fn payments(&self) -> Vec<Value> {
        self.all("/v1/payments").await
    }

    pub async fn reservations(&self) -> Vec<Value> {
        self.all("/v1/reservations").await
    }

    /// Waits until a reservation of mine has this status.
    pub async fn until_reservation(&self, id: &str, status: &str) {
        let path = format!("/v1/reservations/{id}");
        super::until(&format!("reservation {id} to be {status}"), async || {
            let body = self.request(Method::GET, &path).send().await.body;
            if body["status"] == status { Ok(()) } else { Err(body.to_string()) }
        })
        .await;
    }
}

/// The rows of a paged list and the cursor of the next page: the one array in the body, and `next`.
fn page_of(body: &Value) -> (Vec<Value>, Option<String>) {
    let object = body.as_object().unwrap_or_else(|| panic!("a list is an object with an array: {body}"));
    let rows = object.values().find_map(Value::as_array).unwrap_or_else(|| panic!("no array in {body}"));
    let cursor = match object.get("next_after").or_else(|| object.get("next")) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    (rows.clone(), cursor)
}

/// A text field that must be there.
pub fn text(json: &Value, field: &str) -> String {
    json[field].as_str().unwrap_or_else(|| panic!("no {field} in {json}")).to_owned()
}

/// How many of these outcomes succeeded.
pub fn successes(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.succeeded()).count()
}

/// How many of these outcomes were refused with this code.
pub fn refusals(outcomes: &[Outcome], code: &str) -> usize {
    outcomes.iter().filter(|outcome| outcome.code.as_deref() == Some(code)).count()
}
