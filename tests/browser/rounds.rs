//! A3 at random: something befalls the page at the tap that holds, something else at the tap that pays; at the end each
//! user has what they asked for, once. `TURNSTILE_TEST_ROUNDS=200` runs more rounds, `TURNSTILE_TEST_SEED` others.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::driver::Browser;
use crate::world::{self, World, no_complaints};

const PURSE: i64 = 100_000;
const HELD: &str = "document.querySelector('[data-status=HELD]')";
/// The hold is shown somewhere, or the page is at rest without one.
const SETTLED: &str = "document.querySelector('[data-status=HELD]') ? 'held'
    : document.querySelector('[data-status=CONFIRMED]') ? 'paid'
    : (b => b && !b.hidden)(document.querySelector('.hold-bar')) ? 'bar'
    : document.querySelector('.choose') && document.querySelector('.choose').dataset.deciding !== 'true'
      && !Object.keys(localStorage).some(k => k.startsWith('ts.intent.')) ? 'nothing' : null";

/// The tickets, or what still has to be done for them.
const PAID: &str = "document.querySelector('[data-status=CONFIRMED]') ? 'paid'
    : (b => b && !b.hidden)(document.querySelector('.hold-bar')) ? 'bar'
    : (b => b && !b.disabled)(document.querySelector('[data-act=pay]'))
      && !Object.keys(localStorage).some(k => k.startsWith('ts.intent.')) ? 'unpaid'
    : document.querySelector('.choose') && !Object.keys(localStorage).some(k => k.startsWith('ts.intent.')) ? 'elsewhere' : null";
/// From the end of a mishap to a page at rest. Beside compilers it may take longer: `TURNSTILE_TEST_FIGURES=1` for this bound.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    None,
    TripleTap,
    AnswerLost,
    Reload,
    Back,
    SecondTab,
    Offline,
    Frozen,
    Killed,
}

const MISHAPS: [Mishap; 9] = [
    Mishap::None,
    Mishap::TripleTap,
    Mishap::AnswerLost,
    Mishap::Reload,
    Mishap::Back,
    Mishap::SecondTab,
    Mishap::Offline,
    Mishap::Frozen,
    Mishap::Killed,
];

/// xorshift: the same rounds for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> Mishap {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        MISHAPS[(self.0 % MISHAPS.len() as u64) as usize]
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_whatever_befalls_a_tap_what_was_meant_happens_once() {
    world::run(async |world| {
        let sections = json!([{ "name": "A", "seats": 2_000, "price": 12_000 }]);
        let date = world.date(json!({ "sections": sections })).await;
        let mut dice = Dice(setting("TURNSTILE_TEST_SEED", 7));
        let browser = world.browser("en").await;
        let clock = json!({ "source": super::asleep::CLOCK });
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", clock).await;
        for round in 0..setting("TURNSTILE_TEST_ROUNDS", 12) {
            let user = format!("round-{round}");
            let (first, second) = (dice.roll(), dice.roll());
            println!("{user}: {first:?} at the hold, {second:?} at the payment");
            world.post(&user, "/v1/wallet/charges", json!({ "amount": PURSE })).await;
            let page = Page { world, browser: &browser, path: format!("/s/{date}") };
            world.visit(&browser, &user, &page.path).await;
            page.befall(first, "best", "/holds").await;
            page.settles(SETTLED).await;
            page.reach_payment().await;
            page.befall(second, "pay", "/payment").await;
            page.settles(PAID).await;
            page.reach_end().await;
            let own = world.reservations(&user).await;
            assert_eq!(own.len(), 1, "{user}, {first:?}, {second:?}: {own:?}");
            assert_eq!(own[0]["status"], "CONFIRMED");
            assert_eq!(world.balance(&user).await, PURSE - 24_000, "{user}, {first:?}, {second:?}");
        }
        no_complaints(&browser).await;
    })
    .await;
}

struct Page<'a> {
    world: &'a World,
    browser: &'a Browser,
    path: String,
}

impl Page<'_> {
    /// Taps, and lets it happen.
    async fn befall(&self, mishap: Mishap, act: &str, ending: &str) {
        let browser = self.browser;
        let button = format!("[data-act={act}]");
        browser.until(&format!("(e => e && !e.disabled)(document.querySelector('{button}'))")).await;
        let tap = format!("document.querySelector('{button}').click();");
        match mishap {
            Mishap::None => browser.click(&button).await,
            Mishap::TripleTap => drop(browser.run(&tap.repeat(3)).await),
            Mishap::AnswerLost => {
                super::faults::cut_answer(browser, ending).await;
                browser.run(&tap).await;
            }
            Mishap::Reload => {
                browser.run(&tap).await;
                browser.reload().await;
            }
            Mishap::Back => {
                browser.run(&tap).await;
                browser.back().await;
                browser.open(&format!("{}{}", self.world.base, self.path)).await;
            }
            Mishap::SecondTab => self.second_tab(&tap, &button).await,
            Mishap::Offline => {
                self.offline(true).await;
                browser.run(&tap).await;
                browser.until("document.documentElement.dataset.connection === 'no_connection'").await;
                self.offline(false).await;
            }
            Mishap::Frozen => {
                browser.run(&tap).await;
                // As on a locked phone: its clock goes on by ten minutes, longer than the hold lasts.
                super::asleep::sleep(browser).await;
                super::asleep::wake(browser).await;
            }
            Mishap::Killed => {
                browser.run(&tap).await;
                self.world.kill();
                self.world.start_again().await;
            }
        }
        browser.run("dispatchEvent(new Event('ts.retry'))").await;
    }

    /// The page shows what became of the tap.
    async fn settles(&self, at_rest: &str) {
        let began = Instant::now();
        let shown = self.browser.until(at_rest).await;
        println!("  {shown} {} ms later", began.elapsed().as_millis());
        let bound = std::env::var_os("TURNSTILE_TEST_FIGURES").is_some();
        assert!(!bound || began.elapsed() <= SETTLED_WITHIN, "{:?}", began.elapsed());
    }

    /// The same page in another tab, and a tap in each.
    async fn second_tab(&self, tap: &str, button: &str) {
        let browser = self.browser;
        let first = browser.tab().await;
        let address = browser.text("location.href").await;
        let second = browser.new_tab().await;
        browser.open(&address).await;
        browser.until(&format!("(e => e && !e.disabled)(document.querySelector('{button}'))")).await;
        browser.run(tap).await;
        browser.switch_to(&first).await;
        // It may have heard of the other tab's tap, and moved on.
        browser.run(&tap.replace(").click()", ")?.click()")).await;
        browser.switch_to(&second).await;
        browser.until(SETTLED).await;
        browser.close_tab().await;
        browser.switch_to(&first).await;
        browser.reload().await;
    }

    async fn offline(&self, is: bool) {
        self.browser.cdp("Network.enable", json!({})).await;
        let conditions = json!({ "offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.browser.cdp("Network.emulateNetworkConditions", conditions).await;
    }

    /// To the screen that pays; a tap that never left the page is made again.
    async fn reach_payment(&self) {
        loop {
            match self.browser.until(SETTLED).await.as_str() {
                Some("bar") => self.tap("to-pay").await,
                Some("nothing") => self.tap("best").await,
                _ => return,
            }
            self.browser.until(HELD).await;
        }
    }

    async fn reach_end(&self) {
        loop {
            match self.browser.until(PAID).await.as_str() {
                Some("bar") => self.tap("to-pay").await,
                Some("unpaid") => self.tap("pay").await,
                // Paid, and opened anew at the seats: the tickets are under one's own.
                _ => return,
            }
        }
    }

    /// If it is still there: the page may have moved on by itself.
    async fn tap(&self, act: &str) {
        self.browser.run(&format!("document.querySelector('[data-act={act}]')?.click()")).await;
    }
}
