//! What a first user meets: the demo of the first start, a crowd that buys, and pages to change.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::server::{Server, run_to_end};

/// The program on one machine, as it is started first; with further settings.
async fn started(data: &Path, more: &[(&str, &str)]) -> (Server, reqwest::Client) {
    let mut env = vec![("TURNSTILE__DATA_DIR".to_owned(), data.display().to_string())];
    env.push(("TURNSTILE__HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()));
    env.extend(more.iter().map(|(name, value)| (format!("TURNSTILE__{name}"), (*value).to_owned())));
    let (server, http) = (Server::start(&[], &env), reqwest::Client::new());
    server.until_ready(&http).await;
    (server, http)
}

async fn read(http: &reqwest::Client, url: &str) -> Value {
    let answer = http.get(url).header("X-User-Id", "admin").send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{url}");
    answer.json().await.expect("JSON")
}

/// The dates of the demo's concert, once it is there.
async fn dates(server: &Server, http: &reqwest::Client) -> Vec<Value> {
    let base = &server.base;
    crate::harness::until("the demo's two dates", async || {
        let concerts = read(http, &format!("{base}/v1/concerts")).await;
        let Some(id) = concerts["concerts"][0]["id"].as_str() else { return Err("no concert".to_owned()) };
        let found = read(http, &format!("{base}/v1/concerts/{id}/schedules")).await["schedules"].clone();
        let found = found.as_array().cloned().unwrap_or_default();
        if found.len() == 2 { Ok(found) } else { Err(format!("{} dates", found.len())) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f48_the_demo_is_a_theater_twice_the_second_time_with_a_queue_and_is_made_once() {
    let data = tempfile::tempdir().unwrap();
    let (mut server, http) = started(data.path(), &[]).await;
    let found = dates(&server, &http).await;
    let queues: Vec<&Value> = found.iter().map(|date| &date["queue"]).collect();
    assert_eq!(queues, [false, true]);
    for date in &found {
        assert_eq!((&date["total_seats"], &date["available_seats"]), (&600.into(), &600.into()));
        let categories: BTreeSet<(&str, i64)> = date["sections"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|section| section["categories"].as_array().unwrap())
            .map(|category| (category["name"].as_str().unwrap(), category["price"].as_i64().unwrap()))
            .collect();
        assert_eq!(categories, BTreeSet::from([("R", 12_000), ("S", 9_000), ("A", 6_000)]));
        let plan = read(&http, &format!("{}/v1/plans/{}", server.base, date["plan"].as_str().unwrap())).await;
        let drawn: usize =
            plan["sections"].as_array().unwrap().iter().map(|section| section["x"].as_array().unwrap().len()).sum();
        assert_eq!(drawn, 600);
    }
    server.stop().await;
    let (mut again, http) = started(data.path(), &[]).await;
    let concerts = read(&http, &format!("{}/v1/concerts", again.base)).await;
    assert_eq!(concerts["concerts"].as_array().map(Vec::len), Some(1), "the second start adds none");
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f48_the_demos_crowd_goes_through_the_queue_and_buys() {
    const PEOPLE: u64 = 12;
    let data = tempfile::tempdir().unwrap();
    let (mut server, http) = started(data.path(), &[]).await;
    let queued = dates(&server, &http).await[1]["id"].as_str().unwrap().to_owned();
    let url = server.base.clone();
    let crowd = tokio::task::spawn_blocking(move || {
        run_to_end(&["demo-crowd", "--url", &url, "--people", &PEOPLE.to_string(), "--minutes", "3"], &[])
    });
    let said = crowd.await.unwrap();
    assert!(
        said.contains(&format!("{PEOPLE} people go to")) && said.contains(&queued),
        "without --schedule to the date with a queue: {said}"
    );
    assert!(said.contains(&format!("{PEOPLE} bought, 0 were refused, 0 went home")), "{said}");
    // What they say they bought is sold, and their turns are over.
    let date = read(&http, &format!("{}/v1/schedules/{queued}", server.base)).await;
    let seats: u64 = (0..PEOPLE).map(|number| 1 + number % 3).sum();
    assert_eq!(date["available_seats"], 600 - seats);
    // The queue hears of the last payment after its buyer.
    crate::harness::until("all turns completed", async || {
        let stats = read(&http, &format!("{}/v1/schedules/{queued}/queue/stats", server.base)).await;
        let count = |name: &str| stats[name].as_u64().unwrap();
        let all = ["waiting", "absent", "active", "completed", "expired", "left"].map(count).iter().sum::<u64>();
        assert_eq!((all, count("admitted")), (count("joined"), PEOPLE), "{stats}");
        if count("completed") == PEOPLE { Ok(()) } else { Err(stats.to_string()) }
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f48_exported_pages_are_those_that_are_served_and_a_changed_one_takes_its_place() {
    let data = tempfile::tempdir().unwrap();
    let pages = data.path().join("pages");
    let path = pages.to_str().unwrap().to_owned();
    let said = run_to_end(&["web", "export", &path], &[]);
    assert!(said.contains(&format!("{} files are in {path}", turnstile::web::EMBEDDED.len())), "{said}");
    for file in turnstile::web::EMBEDDED {
        assert!(std::fs::read(pages.join(file.path)).unwrap() == file.bytes, "{}", file.path);
    }
    // Never over what somebody changed.
    let again = crate::harness::server::command(&["web", "export", &path], &[]).output().unwrap();
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"), "{again:?}");
    std::fs::write(pages.join("css/brand.css"), ":root { --accent: #123456; }").unwrap();
    let settings = [("WEB__DIR", path.as_str()), ("DEMO__ON_FIRST_START", "false")];
    let (mut server, http) = started(&data.path().join("data"), &settings).await;
    let get =
        async |path: &str| http.get(format!("{}{path}", server.base)).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&get("/web/css/brand.css").await[..], b":root { --accent: #123456; }");
    let own = turnstile::web::EMBEDDED.iter().find(|file| file.path == "js/app.js").unwrap();
    assert_eq!(&get("/web/js/app.js").await[..], own.bytes);
    server.stop().await;
}
