//! F12, F26, F27, F35: dates made of a seating plan, the box office, tickets, and what a page asks after it was away.

use reqwest::Method;
use serde_json::{Value, json};
use turnstile::plan::demo::Hall;
use turnstile::plan::{Format, write};

use crate::harness::{Ask, Offer, System, at_once, in_seconds, refusals, scenarios, successes, text, until};

scenarios!(
    f52_a_hall_is_uploaded_and_sold_by_its_labels,
    f55_the_box_office_sells_for_a_customer_before_the_sale_opens,
    a_ticket_is_admitted_once_however_many_doors_scan_it,
    f35_me_says_all_that_a_page_needs_whichever_process_is_asked,
);

async fn f52_a_hall_is_uploaded_and_sold_by_its_labels(system: &System) {
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

async fn f55_the_box_office_sells_for_a_customer_before_the_sale_opens(system: &System) {
    let further = json!({"sales_open_at": in_seconds(3_600)});
    let queue = Some(json!({"max_active": 1, "active_ttl_seconds": 300, "max_waiting": 10}));
    let sale = Offer { queue, further, ..Offer::default() }.open(&system.client).await;
    let (customer, clerk) = (system.client.user("alice"), system.client.user("clerk"));
    customer.start_with(5_000).await;
    let staff = |ask: Ask| ask.header("X-User-Roles", "box_office");
    let hold = |seats: &[&str]| staff(clerk.hold_of(&sale, json!({"seats": seats, "user_id": "alice"})));
    let held = hold(&["A-1", "A-2"]).decide().await.result();
    let reservation = text(&held, "reservation_id");
    assert_eq!(customer.reservation(&reservation).await["by"], "clerk");
    let pay = clerk.post(&format!("/v1/reservations/{reservation}/payment"), json!({"user_id": "alice"}));
    assert_eq!(staff(pay).decide().await.result()["balance"], 3_000, "from the customer's wallet");
    assert_eq!(hold(&["A-3", "A-4", "A-5"]).decide().await.refused(), "ticket_limit_exceeded");
    let others = clerk.hold_of(&sale, json!({"seats": ["A-3"], "user_id": "alice"})).send().await;
    assert_eq!((others.status, others.code()), (403, "forbidden"), "without the role");
    let listed = staff(clerk.request(Method::GET, "/v1/reservations?user_id=alice")).send().await;
    assert_eq!(listed.body["reservations"], json!([customer.reservation(&reservation).await]));
    let cancelled =
        staff(clerk.delete(&format!("/v1/reservations/{reservation}?user_id=alice"))).decide().await.result();
    assert_eq!((&cancelled["status"], &cancelled["balance"]), (&json!("REFUNDED"), &json!(5_000)));
}

async fn a_ticket_is_admitted_once_however_many_doors_scan_it(system: &System) {
    let sale = Offer { sections: &[("A", 10, 0)], ..Offer::default() }.open(&system.client).await;
    let user = system.client.user("alice");
    let reservation = user.held(&sale, &["A-1", "A-2"]).await;
    user.pay(&reservation).decide().await.result();
    let path = format!("/v1/reservations/{reservation}/tickets");
    let tickets = user.read(&path).await;
    let codes: Vec<String> =
        tickets["tickets"].as_array().expect("tickets").iter().map(|one| text(one, "code")).collect();
    let scan = |gate: usize, code: &str| {
        let door = system.client.user(format!("gate{gate}"));
        door.post("/v1/tickets/check", json!({"code": code})).header("X-User-Roles", "door")
    };
    let outcomes = at_once(20, |gate| {
        let ask = scan(gate, &codes[0]);
        async move { ask.decide().await }
    })
    .await;
    assert_eq!((successes(&outcomes), refusals(&outcomes, "ticket_used")), (1, 19), "{outcomes:?}");
    system.kill();
    system.start().await;
    assert_eq!(user.read(&path).await, tickets, "the same codes after a restart");
    let late = scan(30, &codes[0]).decide().await;
    assert_eq!((late.refused(), late.http_status), ("ticket_used", 409));
    scan(31, &codes[1]).decide().await.result();
    assert_eq!(user.cancel(&reservation).decide().await.refused(), "not_cancellable");
    let another = user.held(&sale, &["A-3"]).await;
    user.pay(&another).decide().await.result();
    let code = text(&user.read(&format!("/v1/reservations/{another}/tickets")).await["tickets"][0], "code");
    user.cancel(&another).decide().await.result();
    assert_eq!(scan(32, &code).decide().await.refused(), "ticket_invalid", "given back");
    let next = system.client.user("bob").held(&sale, &["A-3"]).await;
    system.client.user("bob").pay(&next).decide().await.result();
    assert_eq!(scan(33, &code).decide().await.refused(), "ticket_invalid", "sold again to another");
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
