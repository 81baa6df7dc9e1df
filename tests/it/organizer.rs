//! F12, F35: dates made of a seating plan, and what a page asks after it was away.

use reqwest::Method;
use serde_json::{Value, json};
use turnstile::plan::demo::Hall;
use turnstile::plan::{Format, write};

use crate::harness::{Offer, System, scenarios, text, until};

scenarios!(f12_a_hall_is_uploaded_and_sold_by_its_labels, f35_me_says_all_that_a_page_needs_whichever_process_is_asked,);

async fn f12_a_hall_is_uploaded_and_sold_by_its_labels(system: &System) {
    let admin = system.client.admin();
    let theater = Hall::Theater.plan();
    let uploaded = admin.request(Method::POST, "/v1/plans").raw(write(&theater, Format::Pretix)).send().await;
    assert_eq!(uploaded.status, 201, "{uploaded:?}");
    let id = text(&uploaded.body, "id");
    let categories = uploaded.body["categories"].as_array().expect("categories");
    let prices: Value = categories
        .iter()
        .map(|category| (text(category, "name"), json!(1000)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let further = json!({"sections": null, "plan": id, "prices": prices});
    let sale = Offer { further, max_seats_per_user: 100, ..Offer::default() }.open(&system.client).await;
    let date = admin.read(&sale.path("")).await;
    assert_eq!((&date["plan"], &date["total_seats"]), (&json!(id), &json!(600)));

    // Restarted, a process knows the plan from the store alone.
    system.kill();
    system.start().await;
    let hall = admin.get(&sale.path("/plan")).await;
    assert_eq!((hall.status, hall.header("etag")), (200, format!("\"{id}\"").as_str()));
    let again = admin.request(Method::GET, &format!("/v1/plans/{id}")).header("If-None-Match", hall.header("etag"));
    assert_eq!(again.send().await.status, 304);
    let user = system.client.user("alice");
    let held = user.hold_of(&sale, json!({"best_available": 3})).decide().await.result();
    let reservation = user.reservation(&text(&held, "reservation_id")).await;
    let labels: Vec<&str> =
        reservation["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
    assert_eq!(labels.len(), 3, "{reservation}");
    for (seat, label) in held["seats"].as_array().expect("seats").iter().zip(&labels) {
        let (section, number) = seat.as_str().and_then(|seat| seat.rsplit_once('-')).expect("a seat");
        let printed = theater.label(section, number.parse().expect("a number"));
        assert_eq!(printed.as_deref(), Some(*label), "{seat}");
        let shown = sale.seats(&system.client).await;
        assert!(shown.iter().any(|other| other["seat"] == *seat && other["label"] == *label), "{seat}");
    }
    let seat = held["seats"][0].as_str().expect("a seat");
    let late = system.client.user("bob").hold(&sale, &[seat]).wait(30).send().await;
    assert_eq!((late.code(), &late.body["taken"]["label"]), ("seat_taken", &json!(labels[0])));
}

async fn f35_me_says_all_that_a_page_needs_whichever_process_is_asked(system: &System) {
    let queue = Some(json!({"max_active": 1, "active_ttl_seconds": 300, "max_waiting": 10}));
    let sale = Offer { sections: &[("A", 10, 0)], queue, ..Offer::default() }.open(&system.client).await;
    let user = system.client.user("alice");
    let joined = user.post(&sale.path("/queue"), json!({})).decide().await.result();
    let second = system.client.user("bob");
    second.post(&sale.path("/queue"), json!({})).decide().await.result();
    let me = user.read(&sale.path("/me")).await;
    assert_eq!((&me["queue"]["status"], &me["queue"]["token"]), (&json!("ACTIVE"), &joined["token"]));
    let token = text(&me["queue"], "token");
    let held = user.hold(&sale, &["A-1", "A-2"]).header("Queue-Token", &token).decide().await.result();
    let reservation = text(&held, "reservation_id");
    assert_eq!(user.read(&sale.path("/me")).await["seats"], json!({"held": 2, "paying": 0, "confirmed": 0}));
    user.pay(&reservation).decide().await.result();
    system.kill();
    system.start().await;
    let me = user.read(&sale.path("/me")).await;
    assert_eq!(me["seats"], json!({"held": 0, "paying": 0, "confirmed": 2}));
    assert_eq!(me["reservations"], json!([user.reservation(&reservation).await]));
    // The queue hears of the payment by its own lane.
    for (user, status) in [(&user, "COMPLETED"), (&second, "ACTIVE")] {
        until(&format!("{} to be {status}", user.name), async || {
            let me = user.read(&sale.path("/me")).await;
            if me["queue"]["status"] == status { Ok(()) } else { Err(me.to_string()) }
        })
        .await;
    }
    assert_eq!(second.read(&sale.path("/me")).await["reservations"], json!([]));
    assert_eq!(system.client.user("carol").read(&sale.path("/me")).await.get("queue"), None);
    let time = user.get("/v1/time").await;
    assert!(time.body["now"].as_str().is_some_and(|now| now.len() == 24), "{time:?}");
}
