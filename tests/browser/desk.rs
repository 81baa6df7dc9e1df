//! The box office: staff finds a customer, sells, gives back and pays back for them.

use serde_json::json;
use turnstile::plan::demo::Hall;

use crate::driver::Browser;
use crate::world::{self, no_complaints};

async fn pick_first_date(browser: &Browser) {
    browser
        .run("const pick = document.querySelector('#desk-date'); pick.selectedIndex = 1; pick.dispatchEvent(new Event('change'))")
        .await;
    browser.until("document.querySelector('.desk .map')?.dataset.painted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_staff_sells_for_cash_and_from_the_wallet_and_pays_back() {
    world::run(async |world| {
        let prices = json!({ "R": 12_000, "S": 9_000, "A": 6_000 });
        let date = super::organizing::hall(world, Hall::Theater, prices).await;
        let browser = world.browser("en").await;
        world.visit(&browser, "admin", "/organizer?desk").await;
        browser.write("#f-customer", "minji").await;
        browser.click("form .primary").await;
        browser.until("document.querySelector('.desk')?.innerText.includes('Reservations of minji')").await;
        pick_first_date(&browser).await;
        browser.run("document.querySelector('#desk-category').value = 'S'").await;
        browser.click("[data-act=desk-best]").await;
        browser.until("document.querySelector('.notice:not([hidden])')?.innerText.includes('Held until')").await;
        browser.click("[data-act=desk-cash]").await;
        browser.until("document.querySelector('.desk-row')?.dataset.status === 'CONFIRMED'").await;
        let own = world.reservations("minji").await;
        assert_eq!((&own[0]["by"], &own[0]["amount"]), (&json!("admin"), &json!(18_000)));
        assert_eq!(world.balance("minji").await, 0, "the cash went in and out");
        // Named seats, from what is in the wallet.
        world.post("minji", "/v1/wallet/charges", json!({ "amount": 12_000 })).await;
        let seat = browser.text("document.querySelector('.desk .cell.free').dataset.seat").await;
        browser.click(&format!(".desk .cell[data-seat='{seat}']")).await;
        browser.click("[data-act=desk-hold]").await;
        browser.click(".desk-row[data-status=HELD] [data-act=desk-pay]").await;
        browser.until("document.querySelectorAll('.desk-row[data-status=CONFIRMED]').length === 2").await;
        assert_eq!(world.balance("minji").await, 0);
        browser.click(".desk-row [data-act=desk-cancel]").await;
        browser.click("dialog .danger").await;
        browser.until("document.querySelector('.desk-row')?.dataset.status === 'REFUNDED'").await;
        assert_eq!(world.balance("minji").await, 12_000);
        // What a customer does meanwhile is seen, and their tickets are printed here.
        world.post("minji", &format!("/v1/schedules/{date}/holds"), json!({ "best_available": 1 })).await;
        browser.until("document.querySelector('.desk-row')?.dataset.status === 'HELD'").await;
        browser.click("[data-act=desk-give-back]").await;
        browser.click("dialog .danger").await;
        browser.until("document.querySelector('.desk-row')?.dataset.status === 'CANCELLED'").await;
        browser.click("[data-act=desk-tickets]").await;
        browser.until("document.querySelectorAll('.ticket').length === 2").await;
        no_complaints(&browser).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_the_box_office_alone_is_no_organizer_and_takes_no_cash() {
    let settings = [("AUTH__MODE", "jwt"), ("AUTH__HS256_SECRET", "a secret of at least thirty-two bytes")];
    world::run_with(&settings, async |world| {
        world.date(json!({})).await;
        let browser = world.browser("en").await;
        browser.open(&format!("{}/organizer#token={}", world.base, world.token_with("kim", "box_office"))).await;
        browser.until("document.querySelector('[data-screen=desk]')").await;
        assert_eq!(browser.run("return Boolean(document.querySelector('#f-title'))").await, false);
        browser.write("#f-customer", "minji").await;
        browser.click("form .primary").await;
        browser.until("document.querySelector('#desk-date')").await;
        pick_first_date(&browser).await;
        browser.click("[data-act=desk-best]").await;
        browser.until("document.querySelector('.desk-row')?.dataset.status === 'HELD'").await;
        assert_eq!(browser.run("return Boolean(document.querySelector('[data-act=desk-cash]'))").await, false);
        browser.click("[data-act=desk-pay]").await;
        browser.until("document.querySelector('.desk').innerText.includes('not enough')").await;
        no_complaints(&browser).await;
    })
    .await;
}
