//! A7: what is told by shape to those who see no colors, and by voice to those who see nothing.

use serde_json::{Value, json};

use crate::world::{self, no_complaints};

/// How the five statuses of a seat look without colors: of each two, how many of a hundred grays they are apart at least,
/// seat by seat in each category; drawn by the page's own module, at the size of seats without numbers.
const APART: &str = "const done = arguments[0];
    import('/web/js/paint.js').then((paint) => {
      const [size, r] = [24, 8];
      const colors = paint.palette();
      const gray = (look) => {
        const context = new OffscreenCanvas(size, size).getContext('2d');
        context.fillStyle = colors.ground;
        context.fillRect(0, 0, size, size);
        paint.seat(context, colors, { category: 0, own: false, dim: false, wheelchair: false, ...look }, size / 2, size / 2, r, null);
        const { data } = context.getImageData(0, 0, size, size);
        return Array.from({ length: size * size }, (_, n) => (0.2126 * data[4 * n] + 0.7152 * data[4 * n + 1] + 0.0722 * data[4 * n + 2]) / 2.55);
      };
      const apart = (a, b) => a.reduce((sum, value, n) => sum + Math.abs(value - b[n]), 0) / (Math.PI * r * r);
      const found = {};
      for (let category = 0; category < 6; category += 1) {
        const looks = [0, 1, 2, 3, 'chosen'].map((status) => [status, gray({ status, category })]);
        for (const [a, one] of looks) for (const [b, other] of looks) {
          if (a === b) continue;
          const key = [a, b].map(String).sort().join('-');
          found[key] = Math.min(found[key] ?? Infinity, apart(one, other));
        }
      }
      done(found);
    }, (error) => done(String(error)));";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_statuses_can_be_told_apart_without_colors_in_each_theme() {
    world::run(async |world| {
        let date = world.date(json!({})).await;
        let browser = world.browser("en").await;
        for (scheme, forced) in [("light", "none"), ("dark", "none"), ("dark", "active")] {
            let features = json!([{ "name": "prefers-color-scheme", "value": scheme }, { "name": "forced-colors", "value": forced }]);
            browser.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
            world.visit(&browser, "gray", &format!("/s/{date}")).await;
            let apart = browser.run_until_done(APART).await;
            let pairs = apart.as_object().unwrap_or_else(|| panic!("{apart}"));
            assert_eq!(pairs.len(), 10, "{apart}");
            // Held and sold differ in few pixels, and still in every tenth of a seat by a fifth.
            let close: Vec<(&String, &Value)> = pairs.iter().filter(|(_, apart)| apart.as_f64().unwrap() < 5.0).collect();
            assert!(close.is_empty(), "{scheme} {forced}: {close:?}");
        }
        no_complaints(&browser).await;
    })
    .await;
}

/// The page hears of its place many times a second; its reader does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_a_screen_reader_hears_one_message_in_ten_seconds_and_the_last_one() {
    world::run(async |world| {
        let browser = world.browser("en").await;
        world.visit(&browser, "ear", "/").await;
        let said = browser
            .run_until_done(
                "const done = arguments[0];
                 import('/web/js/announce.js').then(({ tell }) => {
                   const region = document.querySelector('[aria-live=polite]');
                   const said = [];
                   new MutationObserver(() => {
                     said.push([region.textContent, performance.now()]);
                     if (region.textContent === '400 before you') done(said);
                   }).observe(region, { childList: true, characterData: true, subtree: true });
                   let count = 500;
                   const places = setInterval(() => {
                     tell(`${count} before you`);
                     if ((count -= 1) < 400) clearInterval(places);
                   }, 25);
                 });",
            )
            .await;
        let said = said.as_array().expect("messages");
        let times: Vec<f64> = said.iter().map(|message| message[1].as_f64().unwrap()).collect();
        assert!(said.len() == 2 && times[1] - times[0] > 9_500.0, "{said:?}");
        no_complaints(&browser).await;
    })
    .await;
}
