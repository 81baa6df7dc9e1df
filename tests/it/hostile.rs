//! Adversarial input: every field of every body wrong in every way, wrong headers, wrong ids. Each answer is a 4xx
//! problem that says what is wrong, and nothing changes.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, Offer, Sale, System, User, in_seconds, one_section, scenarios};

scenarios!(
    wrong_fields_are_named_and_change_nothing,
    bodies_that_are_no_json_are_refused,
    unknown_and_malformed_ids_are_refused,
    wrong_headers_are_refused,
    bytes_that_are_no_http_harm_nobody,
);

/// A body that is right, where it goes, and by whom.
struct Form {
    user: User,
    method: Method,
    path: String,
    body: Value,
    /// Pointers of the fields that may be left out.
    optional: &'static [&'static str],
}

async fn forms(system: &System, sale: &Sale, reservation: &str) -> Vec<Form> {
    let client = &system.client;
    let concert = &sale.concert;
    let limits = json!({"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 100});
    let queued = Offer { queue: Some(limits), ..Offer::default() }.open(client).await;
    let form = |user: &str, path: String, body: Value, optional: &'static [&'static str]| Form {
        user: client.user(user),
        method: if path.ends_with("/queue") { Method::PATCH } else { Method::POST },
        path,
        body,
        optional,
    };
    vec![
        form("admin", "/v1/concerts".into(), json!({"title": "t", "description": "d"}), &["/description"]),
        form(
            "admin",
            format!("/v1/concerts/{concert}/schedules"),
            json!({
                "starts_at": in_seconds(9000), "duration": 7200, "hold_ttl_seconds": 300, "max_seats_per_user": 4,
                "sales_open_at": in_seconds(-10),
                "sections": [{"name": "A", "seats": 5, "price": 10}],
                "queue": {"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 100, "admit_per_minute": 60,
                          "on_timeout": "requeue"},
            }),
            &[
                "/duration",
                "/hold_ttl_seconds",
                "/max_seats_per_user",
                "/sales_open_at",
                "/queue",
                "/queue/active_ttl_seconds",
                "/queue/max_waiting",
                "/queue/max_active",
                "/queue/admit_per_minute",
                "/queue/on_timeout",
            ],
        ),
        form(
            "admin",
            queued.path("/queue"),
            json!({"max_active": 10, "active_ttl_seconds": 300, "max_waiting": 100, "admit_per_minute": 60,
                   "on_timeout": "requeue", "abandon_after_seconds": 180, "paused": false, "admit": 1}),
            &[
                "/max_active",
                "/active_ttl_seconds",
                "/max_waiting",
                "/admit_per_minute",
                "/on_timeout",
                "/abandon_after_seconds",
                "/paused",
                "/admit",
            ],
        ),
        form("mallory", sale.path("/holds"), json!({"seats": ["A-1", "A-2"]}), &[]),
        form("mallory", sale.path("/holds"), json!({"section": "A", "best_available": 2}), &["/section"]),
        form("mallory", format!("/v1/reservations/{reservation}/payment"), json!({"amount": 1000}), &["/amount"]),
        form("mallory", "/v1/wallet/charges".into(), json!({"amount": 5, "reason": "r"}), &["/reason"]),
        form("mallory", "/v1/wallet/debits".into(), json!({"amount": 5, "reason": "r"}), &["/reason"]),
    ]
}

/// Every pointer of a body, objects and arrays included, the root left out.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (format!("{at}/{i}"), value)).collect(),
        _ => return,
    };
    for (pointer, child) in children {
        into.push(pointer.clone());
        pointers(child, &pointer, into);
    }
}

fn without(body: &Value, pointer: &str) -> Option<Value> {
    let (parent, name) = pointer.rsplit_once('/')?;
    let mut body = body.clone();
    body.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
    Some(body)
}

fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(pointer).expect("the pointer is the body's") = value;
    body
}

/// Values that are wrong wherever the right one is of another type or range.
fn wrong_values(right: &Value) -> Vec<Value> {
    let long = "x".repeat(20_000);
    let mut wrong = vec![json!({"a": 1}), json!([[]]), json!("\u{0}"), json!(long)];
    if !right.is_boolean() {
        wrong.push(json!(true));
    }
    match right {
        Value::Number(_) => wrong.extend([
            json!(-1),
            json!(0),
            json!(1.5),
            json!("5"),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(1e300),
            json!(i64::MIN),
        ]),
        Value::String(_) => wrong.extend([json!(5), json!(""), json!(-1)]),
        Value::Array(_) => wrong.extend([json!([]), json!("A-1"), json!(5), json!([null])]),
        Value::Object(_) => wrong.extend([json!([]), json!("x"), json!(5)]),
        Value::Bool(_) => wrong.extend([json!(0), json!("true")]),
        Value::Null => {}
    }
    wrong
}

fn is_a_problem(answer: &Answer, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    assert!(answer.header("content-type").starts_with("application/problem+json"), "{what}: {answer:?}");
    assert_eq!(answer.body["status"], answer.status, "{what}: {answer:?}");
    for member in ["type", "title", "detail", "code"] {
        assert!(answer.body[member].as_str().is_some_and(|text| !text.is_empty()), "{what}: no {member}: {answer:?}");
    }
}

/// The wrong field, or one above or below it, is named.
fn names_the_field(answer: &Answer, pointer: &str, what: &str) {
    let errors = answer.body["errors"].as_array().unwrap_or_else(|| panic!("{what}: no errors in {answer:?}"));
    let named = errors.iter().any(|error| {
        let named = error["pointer"].as_str().unwrap_or_else(|| panic!("{what}: no pointer in {answer:?}"));
        named.starts_with(pointer) || pointer.starts_with(named)
    });
    assert!(named, "{what}: {pointer} is not named in {answer:?}");
}

async fn wrong_fields_are_named_and_change_nothing(system: &System) {
    let sale = one_section(&system.client, 10).await;
    let user = system.client.user("mallory");
    user.start_with(5000).await;
    let reservation = user.held(&sale, &["A-9"]).await;
    sale.shows(&system.client, "HELD", 1).await;
    let forms = forms(system, &sale, &reservation).await;
    let queue = forms.iter().find(|form| form.method == Method::PATCH).expect("a queue").path.clone();
    let limits = async || system.client.admin().read(&format!("{queue}/stats")).await["limits"].clone();
    let before = (state(system, &sale, &user).await, limits().await);
    let mut tried = 0;
    for form in forms {
        let mut fields = Vec::new();
        pointers(&form.body, "", &mut fields);
        for pointer in &fields {
            let optional = form.optional.contains(&pointer.as_str());
            if !optional && let Some(body) = without(&form.body, pointer) {
                // Without its last field a body may be wrong as a whole.
                refused(&form, body, None).await;
            }
            for value in wrong_values(form.body.pointer(pointer).expect("it is there")) {
                if harmless(pointer, &value) {
                    continue;
                }
                refused(&form, with(&form.body, pointer, value), Some(pointer)).await;
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "{tried} bodies tried");
    assert_eq!((state(system, &sale, &user).await, limits().await), before, "nothing changed");
}

/// Values of another kind than usual that are right all the same.
fn harmless(pointer: &str, value: &Value) -> bool {
    match pointer {
        // No description is as good as none; nobody may wait is a rule like another.
        "/description" => value == "",
        "/queue/max_waiting" | "/max_waiting" => *value == json!(0),
        // A seat may be free of charge.
        "/sections/0/price" => *value == json!(0),
        _ => false,
    }
}

async fn refused(form: &Form, body: Value, pointer: Option<&str>) {
    let shown: String = body.to_string().chars().take(300).collect();
    let what = format!("{} {shown}", form.path);
    let answer = form.user.request(form.method.clone(), &form.path).json(body).wait(30).send().await;
    is_a_problem(&answer, &what);
    // Refusals of the rules (a seat that is not there) know no fields.
    if let Some(pointer) = pointer
        && !answer.body["request_id"].is_string()
    {
        names_the_field(&answer, pointer, &what);
    }
}

async fn bodies_that_are_no_json_are_refused(system: &System) {
    let sale = one_section(&system.client, 10).await;
    let user = system.client.user("mallory");
    user.start_with(5000).await;
    let reservation = user.held(&sale, &["A-9"]).await;
    sale.shows(&system.client, "HELD", 1).await;
    let forms = forms(system, &sale, &reservation).await;
    let before = state(system, &sale, &user).await;
    let deep = [b"[".repeat(20_000), b"]".repeat(20_000)].concat();
    let large = [b"{\"amount\":5,\"reason\":\"".to_vec(), vec![b'x'; 2 << 20], b"\"}".to_vec()].concat();
    let bodies: [Vec<u8>; 11] = [
        b"{".to_vec(),
        b"nonsense".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"5".to_vec(),
        b"\"amount\"".to_vec(),
        b"{\"amount\":\xff\xfe}".to_vec(),
        b"{\"amount\":1}{\"amount\":1}".to_vec(),
        b"{\"amount\":1,}".to_vec(),
        deep,
        large,
    ];
    for form in forms {
        for body in &bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            // A large body may be refused before it was sent whole.
            let Ok(answer) =
                form.user.request(form.method.clone(), &form.path).raw(body.clone()).wait(30).try_send().await
            else {
                assert!(body.len() > 1 << 20, "{} {shown}: no answer", form.path);
                continue;
            };
            is_a_problem(&answer, &format!("{} {shown}", form.path));
        }
        if !form.path.ends_with("/payment") {
            let empty = form.user.request(form.method.clone(), &form.path).raw(Vec::new()).send().await;
            is_a_problem(&empty, &form.path);
        }
        let as_text = form.user.request(form.method.clone(), &form.path).header("content-type", "text/plain");
        is_a_problem(&as_text.json(form.body.clone()).wait(30).send().await, "two content types");
    }
    assert_eq!(state(system, &sale, &user).await, before, "nothing changed");
}

async fn unknown_and_malformed_ids_are_refused(system: &System) {
    let user = system.client.user("mallory");
    let unknown = uuid::Uuid::now_v7().to_string();
    let long = "9".repeat(300);
    let ids = [unknown.as_str(), "nonsense", "0", "..", "%00", "%ff%fe", "%2e%2e%2f", "'%20or%201=1--", &long];
    for id in ids {
        for path in [
            format!("/v1/concerts/{id}"),
            format!("/v1/concerts/{id}/schedules"),
            format!("/v1/schedules/{id}"),
            format!("/v1/schedules/{id}/seats"),
            format!("/v1/schedules/{id}/seats/events"),
            format!("/v1/schedules/{id}/queue/position"),
            format!("/v1/reservations/{id}"),
            format!("/v1/requests/{id}"),
            format!("/v1/requests/{id}?position=nonsense"),
            format!("/v1/requests/{id}?position=seats.99.5"),
        ] {
            // A URL parser resolves `..` itself; what arrives is another path.
            let answer = user.get(&path).await;
            assert!(id == ".." || (400..500).contains(&answer.status), "GET {path}: {answer:?}");
            assert!(answer.status < 500, "GET {path}: {answer:?}");
        }
        if id == ".." {
            continue;
        }
        for (method, path, body) in [
            (Method::POST, format!("/v1/schedules/{id}/holds"), json!({"seats": ["A-1"]})),
            (Method::POST, format!("/v1/schedules/{id}/queue"), json!({})),
            (Method::DELETE, format!("/v1/schedules/{id}/queue"), json!({})),
            (Method::POST, format!("/v1/reservations/{id}/payment"), json!({})),
            (Method::DELETE, format!("/v1/reservations/{id}"), json!({})),
        ] {
            let answer = user.request(method.clone(), &path).json(body).wait(30).send().await;
            is_a_problem(&answer, &format!("{method} {path}"));
        }
    }
    let sale = one_section(&system.client, 10).await;
    for (seat, status) in [("A-0", 400..500), ("A-11", 400..500), ("B-1", 404..405), ("A", 400..500), ("-1", 400..500)]
    {
        let answer = user.hold(&sale, &[seat]).wait(30).send().await;
        is_a_problem(&answer, seat);
        assert!(status.contains(&answer.status), "{seat}: {answer:?}");
    }
    let section = |name: &str| json!({"name": name, "block": name, "seats": 5, "price": 10});
    let two_blocks = Offer { layouts: vec![section("N"), section("S")], ..Offer::default() }.open(&system.client).await;
    for choice in [json!({"seats": ["N-1", "S-1"]}), json!({"best_available": 2})] {
        let refused = user.hold_of(&two_blocks, choice).wait(30).send().await;
        assert_eq!(refused.status, 422, "a hold lies in one block: {refused:?}");
    }
    for query in ["limit=0", "limit=-1", "limit=1000000", "limit=x", "after=x"] {
        let answer = user.get(&format!("/v1/reservations?{query}")).await;
        is_a_problem(&answer, query);
    }
    assert_eq!(user.get("/v1/no-such-thing").await.status, 404);
    is_a_problem(&user.request(Method::PUT, "/v1/wallet").send().await, "PUT /v1/wallet");
}

async fn wrong_headers_are_refused(system: &System) {
    let client = &system.client;
    let sale = one_section(client, 10).await;
    let user = client.user("mallory");
    user.start_with(5000).await;
    let before = state(system, &sale, &user).await;
    let long = "x".repeat(129);
    for name in ["", "a\u{200b}b", "a\u{7f}", long.as_str()] {
        let ask = client.http().post(format!("{}/v1/wallet/charges", client.base()));
        let Ok(value) = reqwest::header::HeaderValue::from_bytes(name.as_bytes()) else { continue };
        let answer = ask.header("X-User-Id", value).json(&json!({"amount": 1})).send().await.expect("an answer");
        assert!((400..500).contains(&answer.status().as_u16()), "user {name:?}: {answer:?}");
    }
    let nobody = client.http().get(format!("{}/v1/wallet", client.base())).send().await.expect("an answer");
    assert_eq!(nobody.status(), 401);
    for key in ["", "\"\"", &long, "a\tb", "ü"] {
        let answer = user.charge(1).key(key).wait(30).send().await;
        is_a_problem(&answer, &format!("key {key:?}"));
    }
    for path in ["/v1/concerts", &format!("/v1/concerts/{}/schedules", sale.concert)] {
        let answer = user.post(path, json!({"title": "mine"})).send().await;
        assert_eq!(answer.status, 403, "only an admin may: {answer:?}");
    }
    assert_eq!(state(system, &sale, &user).await, before, "nothing changed");
    // Preferences that mean nothing are no error.
    for (i, prefer) in ["wait=-1", "wait=x", "wait=99999999999999999999", "respond-async", ",,;="].iter().enumerate() {
        let answer = user.charge(1).key(&format!("prefer-{i}")).header("Prefer", prefer).send().await;
        assert!([200, 202].contains(&answer.status), "Prefer: {prefer}: {answer:?}");
        user.outcome_of(answer.request_id(), answer.location_position().as_deref()).await.result();
    }
    assert_eq!(user.balance().await, 5005);
    assert_eq!(user.charge(1).key("\"quoted\"").decide().await.result()["balance"], 5006);
}

async fn bytes_that_are_no_http_harm_nobody(system: &System) {
    let user = system.client.user("alice");
    user.start_with(5000).await;
    let address = system.client.base().replace("http://", "");
    let head = |rest: &str| format!("POST /v1/wallet/charges HTTP/1.1\r\nHost: x\r\nX-User-Id: alice\r\n{rest}");
    let long = "x".repeat(1 << 20);
    let attacks: Vec<Vec<u8>> = vec![
        b"\x16\x03\x01\x02\x00 a TLS greeting".to_vec(),
        vec![0; 10_000],
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n").into_bytes(),
        head("Content-Length: -1\r\n\r\n").into_bytes(),
        head("Content-Length: 5\r\nContent-Length: 500\r\n\r\n{}").into_bytes(),
        head("Content-Length: 99999999999999999999\r\n\r\n{}").into_bytes(),
        head("Transfer-Encoding: chunked\r\n\r\nZZZ\r\n").into_bytes(),
        head("Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"amount\": 1").into_bytes(),
        head(
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 13\r\n\r\n{\"amount\": 1}",
        )
        .into_bytes(),
    ];
    for attack in attacks {
        let mut socket = TcpStream::connect(&address).await.expect("it still accepts");
        // It may close while we write.
        let _ = socket.write_all(&attack).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(answer.is_empty() || status.starts_with('4') || status == "505", "{answer}");
    }
    assert_eq!(user.entries().await.len(), 1, "nothing changed");
    assert_eq!(user.charge(1).decide().await.result()["balance"], 5001);
}

/// What a hostile request might have changed.
async fn state(system: &System, sale: &Sale, user: &User) -> Value {
    json!([
        user.balance().await,
        user.entries().await,
        user.reservations().await,
        user.payments().await,
        sale.seats(&system.client).await,
        system.client.admin().read("/v1/concerts").await,
        user.read(&format!("/v1/concerts/{}/schedules", sale.concert)).await["schedules"].as_array().map(Vec::len),
    ])
}
