//! F52, F54: a date that was made of a plan is enlarged by a larger one, with the real owner behind the log.

use super::catalog::path;
use super::*;

/// Two rows of three seats, R and S.
const HALL: &str =
    "section,row,seat,category\nParkett,C,11,R\nParkett,C,12,R\nParkett,C,13,R\nRang,1,1,S\nRang,1,2,S\n";
/// A row before the first, two seats more beside the second, a wheelchair place with its companion seat, a balcony.
const LARGER: &str = "section,row,seat,category,tags\nParkett,B,1,R,\nParkett,B,2,T,\nParkett,C,10,R,\nParkett,C,11,R,\n\
    Parkett,C,12,R,\nParkett,C,13,R,\nRang,1,1,S,\nRang,1,2,S,\nRang,W,1,S,wheelchair\nRang,W,2,S,companion\nBalkon,1,1,S,\n";

async fn posted(door: &Door, query: &str, file: &'static str) -> Answer {
    let ask = door.bare(Method::POST, &format!("/v1/plans{query}")).header("x-user-id", "admin");
    send(ask.header("content-type", "text/csv").body(file)).await
}

async fn hall_of(door: &Door) -> Value {
    let plan = posted(door, "?name=Haus", HALL).await.json()["id"].clone();
    let body = json!({"starts_at": "2999-01-01T00:00:00Z", "plan": plan, "prices": {"R": 1_000, "S": 500}, "blocks": {"Rang": "north"}});
    let concert = door.concert().await;
    let opened = send(waiting(keyed(door.date(&concert, body), "open"), 30)).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    opened.json()
}

async fn larger(door: &Door, date: &Value) -> Value {
    let answer = posted(door, &format!("?name=Haus&extends={}", date["id"].as_str().unwrap()), LARGER).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].clone()
}

async fn amend(door: &Door, key: &str, date: &Value, body: Value) -> Answer {
    let ask = door.bare(Method::PATCH, &path(date, "")).header("x-user-id", "admin").json(&body);
    send(waiting(keyed(ask, key), 30)).await
}

#[tokio::test]
async fn f54_a_drawn_date_is_enlarged_by_a_larger_plan_and_its_new_seats_have_labels() {
    let door = Door::open().await;
    door.start_owner();
    let date = hall_of(&door).await;
    let hold = json!({"seats": ["Parkett-1", "Rang-2"]});
    let one = door.done("bob", Method::POST, &path(&date, "/holds"), json!({"seats": ["Parkett-1"]})).await;
    let label = one["labels"][0].clone();
    let plan = larger(&door, &date).await;
    let body = json!({
        "plan": plan, "prices": {"T": 300, "S": 700}, "blocked": ["Parkett-B-2", "Balkon-1-1", "Rang-1-1"],
        "blocks": {"Balkon": "north"}, "sections": [{"name": "Parkett", "prices": {"R": 1_100}}],
    });
    let answer = amend(&door, "k", &date, body.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let amended = answer.json();
    assert_eq!((&amended["plan"], &amended["total_seats"]), (&plan, &json!(11)));
    let sections: Vec<_> =
        amended["sections"].as_array().unwrap().iter().map(|s| (&s["name"], &s["block"], &s["seats"])).collect();
    let (main, north) = (json!("main"), json!("north"));
    assert_eq!(
        sections,
        [
            (&json!("Parkett"), &main, &json!(6)),
            (&json!("Rang"), &north, &json!(4)),
            (&json!("Balkon"), &north, &json!(1))
        ]
    );

    let seats = door.get(&path(&date, "/seats")).await.json();
    let shown = |id: &str| {
        let seat = seats["seats"].as_array().unwrap().iter().find(|seat| seat["seat"] == id).unwrap();
        (
            seat["label"].as_str().unwrap().to_owned(),
            seat["price"].as_i64().unwrap(),
            seat["status"].as_str().unwrap().to_owned(),
        )
    };
    let seat = |label: &str, price, status: &str| (label.to_owned(), price, status.to_owned());
    let new: Vec<_> = (4..=6).map(|number| shown(&format!("Parkett-{number}"))).collect();
    assert!(new.contains(&seat("Parkett, row B, seat 1", 1_100, "AVAILABLE")), "{new:?}");
    assert!(new.contains(&seat("Parkett, row B, seat 2", 300, "NOT_FOR_SALE")), "{new:?}");
    assert!(new.contains(&seat("Parkett, row C, seat 10", 1_100, "AVAILABLE")), "{new:?}");
    assert_eq!(shown("Rang-1").2, "AVAILABLE", "the date had it: `not_for_sale` of its section is for that");
    assert_eq!(shown("Balkon-1"), seat("Balkon, row 1, seat 1", 700, "NOT_FOR_SALE"));
    assert_eq!(shown("Parkett-1").0, label.as_str().unwrap(), "as on the ticket");
    let layout = door.get(&path(&date, "?layout=true")).await.json()["sections"][1]["layout"].clone();
    assert_eq!((&layout["runs"][0], &layout["not_for_sale"]), (&json!([1, 2]), &json!([])));
    assert_eq!(
        (layout["wheelchair"].as_array().map(Vec::len), layout["companions"].as_array().map(Vec::len)),
        (Some(1), Some(1))
    );
    // Refusals name the new seats as they are printed, and so does what is held.
    assert_eq!(
        door.done("eve", Method::POST, &path(&date, "/holds"), json!({"seats": ["Rang-2"]})).await["labels"],
        json!(["Rang, row 1, seat 2"])
    );
    let refused =
        send(waiting(door.request(Method::POST, &path(&date, "/holds")).json(&json!({"seats": ["Balkon-1"]})), 30))
            .await;
    assert_eq!(
        (refused.problem().as_str(), &refused.json()["detail"]),
        ("seat_not_for_sale", &json!("Balkon, row 1, seat 1 is not for sale"))
    );
    let refused = send(waiting(door.request(Method::POST, &path(&date, "/holds")).json(&hold), 30)).await;
    assert_eq!(refused.status, 422, "one hold, two blocks: {refused:?}");

    let again = amend(&door, "k", &date, body.clone()).await;
    assert_eq!((again.status, &again.json()["total_seats"]), (200, &json!(11)), "{again:?}");
    let other = amend(&door, "k2", &date, body).await;
    assert_eq!(
        (other.status, &other.json()["sections"][0]["categories"][0]["price"]),
        (200, &json!(1_100)),
        "{other:?}"
    );
    // The same file once more has nothing new.
    assert_eq!(larger(&door, &date).await, plan);
    let opened = json!({"starts_at": "2999-01-01T00:00:00Z", "plan": date["plan"], "prices": {"R": 1_000, "S": 500}, "blocks": {"Rang": "north"}});
    let concert = date["concert_id"].as_str().unwrap();
    let again = send(waiting(keyed(door.date(concert, opened), "open"), 30)).await;
    assert_eq!((again.status, &again.json()["plan"]), (201, &plan), "the opening, repeated: {again:?}");
}

/// Another API server over the same log and store.
async fn another(door: &Door) -> String {
    let (log, store) = (Arc::new(door.log.clone()), Arc::new(door.store.clone()));
    let state = AppState::new(log, store, Clock::System, Health::default(), Settings::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Listeners { main: listener, operations: None }, state.clone(), CancellationToken::new()));
    while !state.feed.is_running() {
        tokio::task::yield_now().await;
    }
    base
}

#[tokio::test]
async fn f54_a_process_that_has_remembered_the_smaller_plan_names_the_new_seats_too() {
    let door = Door::open().await;
    door.start_owner();
    let date = hall_of(&door).await;
    let other = another(&door).await;
    let hold = async |user: &str, seat: &str| {
        let ask = door.client.post(format!("{other}{}", path(&date, "/holds"))).header("x-user-id", user);
        send(waiting(ask.json(&json!({ "seats": [seat] })), 30)).await
    };
    assert_eq!(hold("ann", "Parkett-1").await.status, 200);
    let refused = hold("bob", "Parkett-1").await.json();
    assert_eq!(refused["taken"]["label"], "Parkett, row C, seat 11", "it has read the plan: {refused}");
    let plan = larger(&door, &date).await;
    let body = json!({"plan": plan, "prices": {"T": 300, "S": 700}, "blocks": {"Balkon": "north"}});
    assert_eq!(amend(&door, "k", &date, body).await.status, 200);
    // Of a section that it knows: nothing makes it read the date again but the amendment that it hears of.
    assert_eq!(hold("ann", "Parkett-4").await.status, 200);
    let refused = hold("bob", "Parkett-4").await.json();
    let label = refused["taken"]["label"].as_str().unwrap_or_default();
    assert!(label.starts_with("Parkett, row "), "{refused}");
}

#[tokio::test]
async fn f54_what_cannot_be_enlarged_is_refused_with_its_reason() {
    let door = Door::open().await;
    door.start_owner();
    let date = hall_of(&door).await;
    let extends = format!("?name=Haus&extends={}", date["id"].as_str().unwrap());
    for (file, detail) in [
        (
            "section,row,seat,category\nParkett,C,11,R\nParkett,C,12,R\nParkett,C,13,R\nRang,1,1,S\n",
            "Rang, row 1, seat 2 is not in this plan: seats can be taken out of the sale, but not out of the hall",
        ),
        (
            "section,row,seat,category\nParkett,C,11,R\nParkett,C,12,R\nParkett,C,13,S\nRang,1,1,S\nRang,1,2,S\n",
            "Parkett, row C, seat 13 is of category R, and of S in this plan",
        ),
    ] {
        let refused = posted(&door, &extends, file).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["detail"]), (422, &json!(detail)), "{refused:?}");
    }
    let unknown = format!("?extends={}", uuid::Uuid::now_v7());
    assert_eq!(posted(&door, &unknown, HALL).await.problem(), "schedule_not_found");
    let bare = door
        .opened(json!({"starts_at": "2999-01-01T00:00:00Z", "sections": [{"name": "A", "seats": 1, "price": 0}]}))
        .await;
    let to_bare = format!("?extends={}", bare["id"].as_str().unwrap());
    assert_eq!(posted(&door, &to_bare, HALL).await.problem(), "plan_not_found");

    let plan = larger(&door, &date).await;
    let by_itself = posted(&door, "?name=Haus", LARGER).await.json()["id"].clone();
    for (date, body, pointer) in [
        (&date, json!({"plan": "0".repeat(64)}), "/plan"),
        (&date, json!({"plan": by_itself, "prices": {"T": 1, "S": 1}}), "/plan"),
        (&bare, json!({"plan": plan, "prices": {"T": 1, "S": 1}}), "/plan"),
        (&date, json!({"plan": plan}), "/prices"),
        (&date, json!({"plan": plan, "prices": {"T": 1}}), "/prices"),
        (&date, json!({"plan": plan, "prices": {"T": 1, "S": 1, "X": 1}}), "/prices/X"),
        (&date, json!({"plan": plan, "prices": {"T": 1, "S": 1}, "blocked": ["nobody"]}), "/blocked/0"),
        (&date, json!({"plan": plan, "prices": {"T": 1, "S": 1}, "blocks": {"Loge": "north"}}), "/blocks/Loge"),
        (
            &date,
            json!({"plan": plan, "prices": {"T": 1, "S": 1}, "blocks": {"Balkon": "south"}}),
            "/new_sections/0/block",
        ),
        (
            &date,
            json!({"plan": plan, "prices": {"T": 1, "S": 1}, "sections": [{"name": "Rang", "layout": {"seats": 2, "price": 500}}]}),
            "/sections/0/layout",
        ),
    ] {
        let refused = amend(&door, &uuid::Uuid::now_v7().to_string(), date, body.clone()).await;
        assert_eq!(refused.status, 422, "{body}: {refused:?}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}: {refused:?}");
    }
    let shown = door.get(&path(&date, "")).await.json();
    assert_eq!((&shown["plan"], &shown["total_seats"]), (&date["plan"], &json!(5)), "nothing has changed");
}
