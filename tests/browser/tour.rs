//! Every screen once, in the order its users meet them. Checks and pictures are what a tour is shown to.

use serde_json::json;
use turnstile::plan::demo::Hall;
use turnstile::plan::{Format, write};

use crate::driver::Browser;
use crate::world::World;

/// What a buyer sees; `look` sees each screen.
pub async fn buyer(world: &World, browser: &Browser, user: &str, mut look: impl AsyncFnMut(&Browser, &str)) {
    let date = world.date(json!({})).await;
    let later = world.date(json!({ "sales_open_at": "2098-01-01T00:00:00Z" })).await;
    world.visit(browser, user, "/").await;
    look(browser, "concerts").await;
    browser.click(".who").await;
    browser.until("document.querySelector('dialog[open] #name')").await;
    look(browser, "login").await;
    browser.click("dialog .quiet").await;
    world.visit(browser, user, &format!("/s/{later}")).await;
    look(browser, "before").await;
    lobby(world, browser, user, &mut look).await;
    queue(world, browser, user, &mut look).await;
    world.visit(browser, user, &format!("/s/{date}")).await;
    browser.click(".cell[data-seat='A-3']").await;
    browser.until("document.querySelector('.map').dataset.painted").await;
    look(browser, "choose").await;
    world.post("rival", &format!("/v1/schedules/{date}/holds"), json!({ "seats": ["A-3"] })).await;
    browser.until("document.querySelector('[data-instead]')").await;
    look(browser, "gone").await;
    browser.click("[data-instead]").await;
    // The request is on its way for as long as the tour looks.
    browser
        .run(
            "const real = window.fetch; window.fetch = (path, options) => String(path).endsWith('/holds')
               ? new Promise(go => { globalThis.go = () => go(real(path, options)); }) : real(path, options);",
        )
        .await;
    browser.click("[data-act=hold]").await;
    browser.until("globalThis.go && document.querySelector('.busy')").await;
    look(browser, "deciding").await;
    browser.run("go()").await;
    browser.until("document.querySelector('[data-act=charge]')").await;
    look(browser, "held").await;
    // A wallet that takes its time.
    hear_instead(browser, "HELD", "PAYING").await;
    browser.until("document.querySelector('[data-status=PAYING]')").await;
    look(browser, "paying").await;
    hear_as_said(browser).await;
    browser.until("document.querySelector('[data-act=charge]')").await;
    browser.back().await;
    browser
        .until("(b => b && !b.hidden)(document.querySelector('.hold-bar')) && document.querySelector('.choose')")
        .await;
    look(browser, "hold bar").await;
    world.visit(browser, user, "/").await;
    browser.until("document.querySelector('.hold-bar:not([hidden])')").await;
    look(browser, "hold bar on concerts").await;
    browser.click("[data-act=to-pay]").await;
    busy(browser, &mut look).await;
    browser.click("[data-act=pay]").await;
    browser.until("document.querySelector('[data-status=CONFIRMED]')").await;
    look(browser, "done").await;
    browser.click("[data-act=tickets]").await;
    browser.until("document.querySelector('.ticket')").await;
    look(browser, "tickets").await;
    world.visit(browser, user, "/me").await;
    look(browser, "mine").await;
    ends(world, browser, user, &date, &mut look).await;
}

/// States that pass too soon to be looked at: of what is the user's the page hears one status in the place of another.
async fn hear_instead(browser: &Browser, said: &str, heard: &str) {
    browser
        .run(&format!(
            "globalThis.asSaid ??= window.fetch;
             window.fetch = async (path, options) => {{
               const answer = await asSaid(path, options);
               if (!/\\/me$|\\/reservations\\/[^/]+$|\\/queue\\/position$/.test(path)) return answer;
               return new Response((await answer.text()).replaceAll('\"{said}\"', '\"{heard}\"'), answer);
             }};
             dispatchEvent(new Event('pageshow'));"
        ))
        .await;
}

async fn hear_as_said(browser: &Browser) {
    browser.run("window.fetch = asSaid; dispatchEvent(new Event('pageshow'))").await;
}

/// A payment that the server is too busy for, then asked for too often; the page goes on by itself when it is let.
async fn busy(browser: &Browser, look: &mut impl AsyncFnMut(&Browser, &str)) {
    browser
        .run(
            "globalThis.refusal = [503, 'overloaded']; const real = window.fetch;
             window.fetch = async (path, options) => {
               if (!refusal || !String(path).endsWith('/v1/wallet/charges')) return real(path, options);
               const [status, code] = refusal;
               return new Response(JSON.stringify({ code, status }), { status, headers: { 'content-type': 'application/problem+json' } });
             };",
        )
        .await;
    browser.click("[data-act=charge]").await;
    browser
        .until(
            "document.documentElement.dataset.connection === 'unavailable' && document.querySelector('.notice .busy')",
        )
        .await;
    look(browser, "overloaded").await;
    browser.run("refusal = [429, 'rate_limited']; dispatchEvent(new Event('ts.retry'))").await;
    browser.until("document.documentElement.dataset.connection !== 'unavailable'").await;
    look(browser, "asked too often").await;
    browser.run("refusal = null; dispatchEvent(new Event('ts.retry'))").await;
    browser.until("Number(document.querySelector('[data-missing]')?.dataset.missing) === 0").await;
}

/// Joined before the opening.
async fn lobby(world: &World, browser: &Browser, user: &str, look: &mut impl AsyncFnMut(&Browser, &str)) {
    let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
    let date = world.date(json!({ "queue": queue, "sales_open_at": "2098-01-01T00:00:00Z" })).await;
    world.visit(browser, user, &format!("/s/{date}")).await;
    browser.click(".button.primary.large").await;
    browser.until("document.querySelector('[data-sale=lobby]')").await;
    look(browser, "lobby").await;
}

async fn queue(world: &World, browser: &Browser, user: &str, look: &mut impl AsyncFnMut(&Browser, &str)) {
    let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
    let queued = world.date(json!({ "queue": queue })).await;
    let path = format!("/v1/schedules/{queued}/queue");
    world.post(&format!("{user}-first"), &path, json!({})).await;
    world.visit(browser, user, &format!("/s/{queued}")).await;
    look(browser, "gate").await;
    browser.click(".button.primary.large").await;
    browser.until("document.querySelector('[data-ahead]')").await;
    look(browser, "waiting").await;
    browser.click(".waiting .actions .quiet").await;
    browser.until("document.querySelector('dialog[open] .danger')").await;
    look(browser, "leave?").await;
    browser.click("dialog .quiet").await;
    browser.click(".waiting .actions .plain").await;
    browser.until("document.querySelector('.waiting .actions .plain').disabled").await;
    look(browser, "alerts on").await;
    hear_instead(browser, "WAITING", "ABSENT").await;
    browser.until("document.querySelector('.waiting .notice:not([hidden])')?.innerText && document.querySelector('[data-ahead]').dataset.status === 'ABSENT'").await;
    look(browser, "absent").await;
    hear_as_said(browser).await;
    browser.until("document.querySelector('[data-ahead]').dataset.status === 'WAITING'").await;
    world.patch(&path, json!({ "paused": true })).await;
    // The first note says to be ready; that it is paused is a second sentence or another one.
    browser.until("document.querySelector('[data-sale=paused]')").await;
    look(browser, "paused").await;
    world.patch(&path, json!({ "paused": false, "max_active": 2 })).await;
    browser.until("(t => t && !t.hidden)(document.querySelector('.turn'))").await;
    look(browser, "turn").await;
}

/// How it may end.
async fn ends(world: &World, browser: &Browser, user: &str, date: &str, look: &mut impl AsyncFnMut(&Browser, &str)) {
    let short = json!({ "hold_ttl_seconds": 1, "sections": [{ "name": "A", "seats": 1, "price": 1_000 }] });
    let short = world.date(short).await;
    world.visit(browser, user, &format!("/s/{short}")).await;
    browser.click(".stepper .round").await;
    browser.click("[data-act=best]").await;
    browser.until("document.querySelector('[data-status=EXPIRED]')").await;
    look(browser, "expired").await;
    let full = world.date(json!({ "sections": [{ "name": "A", "seats": 2, "price": 1_000 }] })).await;
    world.post("rival", &format!("/v1/schedules/{full}/holds"), json!({ "best_available": 2 })).await;
    world.visit(browser, user, &format!("/s/{full}")).await;
    browser.until("document.querySelector('.choose').dataset.free === '0'").await;
    look(browser, "sold out").await;
    let closed = json!({ "sales_open_at": "2020-01-01T00:00:00Z", "sales_close_at": "2020-01-02T00:00:00Z" });
    let closed = world.date(closed).await;
    world.visit(browser, user, &format!("/s/{closed}")).await;
    look(browser, "over").await;
    world.delete("admin", &format!("/v1/schedules/{date}")).await;
    world.visit(browser, user, &format!("/s/{date}")).await;
    look(browser, "cancelled").await;
    let own = world.reservations(user).await;
    let paid = own.iter().find(|each| each["schedule_id"] == date).expect("what was bought");
    let id = paid["reservation_id"].as_str().expect("an id");
    world.visit(browser, user, &format!("/s/{date}?r={id}")).await;
    browser.until("document.querySelector('[data-status=REFUNDED]')").await;
    look(browser, "refunded").await;
    crate::tickets::no_connection(browser, true).await;
    browser.run("dispatchEvent(new Event('pageshow'))").await;
    browser.until("document.documentElement.dataset.connection === 'no_connection'").await;
    look(browser, "no connection").await;
    crate::tickets::no_connection(browser, false).await;
    world.visit(browser, user, "/s/00000000-0000-7000-8000-000000000000").await;
    look(browser, "not found").await;
}

/// What the organizer, the box office and the door see.
pub async fn staff(world: &World, browser: &Browser, customer: &str, mut look: impl AsyncFnMut(&Browser, &str)) {
    let queue = json!({ "max_active": 1, "active_ttl_seconds": 300, "max_waiting": 100 });
    let date = world.date(json!({ "queue": queue })).await;
    let shown = world.get("admin", &format!("/v1/schedules/{date}")).await;
    let concert = shown["concert_id"].as_str().expect("an id").to_owned();
    let hold = json!({ "best_available": 1, "user_id": customer });
    world.post("admin", &format!("/v1/schedules/{date}/holds"), hold).await;
    let open = "document.querySelectorAll('details').forEach(d => d.open = true)";
    let pages = [("", "organizer"), ("?concert=", "concert"), ("?date=", "sales")];
    for (query, name) in pages {
        let of = if name == "concert" { &concert } else { &date };
        let address = if query.is_empty() { "/organizer".to_owned() } else { format!("/organizer{query}{of}") };
        world.visit(browser, "admin", &address).await;
        browser.run(open).await;
        look(browser, name).await;
        match name {
            "concert" => odd_plan(browser, &mut look).await,
            "sales" => amending(browser, &mut look).await,
            _ => {}
        }
    }
    enlarging(world, browser, &mut look).await;
    world.visit(browser, "admin", &format!("/organizer?desk={customer}")).await;
    browser
        .run(
            "const p = document.querySelector('#desk-date'); p.selectedIndex = 1; p.dispatchEvent(new Event('change'))",
        )
        .await;
    browser.until("document.querySelector('.desk .map')?.dataset.painted").await;
    browser.click(".desk .cell.free").await;
    look(browser, "box office").await;
    let sold = world.date(json!({})).await;
    let (_, codes) = crate::tickets::bought(world, &format!("{customer}-buyer"), &sold).await;
    world.visit(browser, "gate", "/door").await;
    browser.run("const p = document.querySelector('#date'); p.value = ''; p.dispatchEvent(new Event('change'))").await;
    look(browser, "door").await;
    for (code, kind) in [(codes[0].as_str(), "admitted"), (codes[0].as_str(), "used"), ("TS1.x", "invalid")] {
        browser
            .run(&format!(
                "const f = document.querySelector('#code'); f.value = {}; f.form.requestSubmit()",
                json!(code)
            ))
            .await;
        browser.until(&format!("document.querySelector('.answer').dataset.answer === '{kind}'")).await;
        look(browser, &format!("door {kind}")).await;
    }
    rarely_at_the_door(browser, &codes[1], &sold, &mut look).await;
    world.visit(browser, "admin", "/ops").await;
    browser.until("document.querySelector('[data-screen=ops] [data-panel=processes] tbody tr')").await;
    browser.until("document.querySelector('[data-screen=ops] [data-panel=sales] tbody tr')").await;
    look(browser, "operations").await;
}

/// A file with something odd in it, and its drawing.
async fn odd_plan(browser: &Browser, look: &mut impl AsyncFnMut(&Browser, &str)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("odd.json");
    let plan = write(&Hall::Theater.plan(), Format::Pretix);
    let mut plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    plan["zones"][0]["rows"][0]["x_units"] = json!("none that anybody knows");
    std::fs::write(&file, plan.to_string()).expect("a file");
    browser.attach("#f-file", file.to_str().expect("a path")).await;
    browser
        .until("document.querySelector('.warnings li') && document.querySelector('.preview .map')?.dataset.painted")
        .await;
    look(browser, "plan with warnings").await;
}

/// The seats of a section in the form, a field that cannot be read, and the question before a show is canceled.
async fn amending(browser: &Browser, look: &mut impl AsyncFnMut(&Browser, &str)) {
    browser.until("document.querySelector('#f-section')").await;
    browser
        .run("const p = document.querySelector('#f-section'); p.selectedIndex = 1; p.dispatchEvent(new Event('change')); document.querySelector('#f-not_for_sale').value = 'x'")
        .await;
    browser.run("document.querySelector('#f-section').form.requestSubmit()").await;
    browser.until("document.querySelector('#f-section').form.querySelector('.notice:not([hidden])')").await;
    look(browser, "amending").await;
    browser.click("[data-act=cancel-show]").await;
    browser.until("document.querySelector('dialog[open]')").await;
    look(browser, "cancel the show?").await;
    browser.click("dialog .quiet").await;
}

/// A drawn hall, and a drawing with a balcony more.
async fn enlarging(world: &World, browser: &Browser, look: &mut impl AsyncFnMut(&Browser, &str)) {
    let plan = Hall::Theater.plan();
    let prices: serde_json::Map<String, serde_json::Value> =
        plan.categories().iter().map(|category| (category.name.clone(), json!(9_000))).collect();
    let date = crate::organizing::hall(world, Hall::Theater, prices.into()).await;
    let mut larger: serde_json::Value = serde_json::from_str(&write(&plan, Format::Pretix)).expect("JSON");
    let seat = |number: i32| {
        json!({ "seat_guid": format!("box-{number}"), "seat_number": number.to_string(), "category": plan.categories()[0].name,
            "position": { "x": 300 + 24 * number, "y": 20 } })
    };
    let row = json!({ "row_number": "1", "seats": (1..=8).map(seat).collect::<Vec<_>>() });
    larger["zones"]
        .as_array_mut()
        .expect("zones")
        .push(json!({ "name": "Box", "position": { "x": 0, "y": 0 }, "rows": [row] }));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("larger.json");
    std::fs::write(&file, larger.to_string()).expect("a file");
    world.visit(browser, "admin", &format!("/organizer?date={date}")).await;
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)").await;
    browser.attach("#f-larger", file.to_str().expect("a path")).await;
    browser
        .until("document.querySelector('#larger-new') && document.querySelector('.preview .map')?.dataset.painted")
        .await;
    look(browser, "enlarging").await;
}

/// A ticket of another date, no connection, and a login that may not.
async fn rarely_at_the_door(browser: &Browser, code: &str, date: &str, look: &mut impl AsyncFnMut(&Browser, &str)) {
    let scan = async |code: &str, kind: &str| {
        let script =
            format!("const f = document.querySelector('#code'); f.value = {}; f.form.requestSubmit()", json!(code));
        browser.run(&script).await;
        browser.until(&format!("document.querySelector('.answer').dataset.answer === '{kind}'")).await;
    };
    let another = format!(
        "const p = document.querySelector('#date'); p.value = [...p.options].map(o => o.value).find(v => v && v !== '{date}');
         p.dispatchEvent(new Event('change'))"
    );
    browser.run(&another).await;
    scan(code, "other").await;
    look(browser, "door other").await;
    browser.run("const p = document.querySelector('#date'); p.value = ''; p.dispatchEvent(new Event('change'))").await;
    crate::tickets::no_connection(browser, true).await;
    scan(code, "away").await;
    look(browser, "door away").await;
    // Answered by the server at last: this login may not.
    browser
        .run(
            "const real = window.fetch; window.fetch = async (path, options) => String(path).endsWith('/v1/tickets/check')
               ? new Response('{\"code\":\"forbidden\",\"status\":403}', { status: 403 }) : real(path, options);
             dispatchEvent(new Event('ts.retry'));",
        )
        .await;
    browser.until("document.querySelector('.answer').dataset.answer === 'refused'").await;
    look(browser, "door refused").await;
    crate::tickets::no_connection(browser, false).await;
}
