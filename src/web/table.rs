//! What is in the binary.

/// A file of `web/`.
#[derive(Debug)]
pub struct Embedded {
    /// Below `web/`.
    pub path: &'static str,
    pub bytes: &'static [u8],
}

macro_rules! embedded {
    ($($path:literal,)+) => {
        /// Every file of `web/`; a test compares the two.
        pub const EMBEDDED: &[Embedded] = &[
            $(Embedded { path: $path, bytes: include_bytes!(concat!("../../web/", $path)) },)+
        ];
    };
}

embedded! {
    "css/base.css",
    "css/brand.css",
    "css/door.css",
    "css/ops.css",
    "css/organizer.css",
    "css/page.css",
    "css/seats.css",
    "css/tickets.css",
    "door.html",
    "i18n/en.json",
    "i18n/ja.json",
    "i18n/ko.json",
    "icon-turn.svg",
    "icon.svg",
    "index.html",
    "js/alerts.js",
    "js/announce.js",
    "js/api.js",
    "js/app.js",
    "js/clock.js",
    "js/dates.js",
    "js/dom.js",
    "js/door/app.js",
    "js/door/camera.js",
    "js/door/check.js",
    "js/door/code.js",
    "js/door/scans.js",
    "js/door/sound.js",
    "js/frame.js",
    "js/i18n.js",
    "js/intent.js",
    "js/list.js",
    "js/locks.js",
    "js/login.js",
    "js/map.js",
    "js/ops/acts.js",
    "js/ops/app.js",
    "js/ops/files.js",
    "js/ops/health.js",
    "js/ops/letters.js",
    "js/ops/live.js",
    "js/ops/lookup.js",
    "js/ops/selling.js",
    "js/ops/webhook_forms.js",
    "js/ops/webhooks.js",
    "js/organizer/amend.js",
    "js/organizer/app.js",
    "js/organizer/desk.js",
    "js/organizer/desk_hold.js",
    "js/organizer/forms.js",
    "js/organizer/new_date.js",
    "js/organizer/sales.js",
    "js/organizer/sales_table.js",
    "js/organizer/seat_fields.js",
    "js/organizer/spans.js",
    "js/paint.js",
    "js/plan.js",
    "js/qr.js",
    "js/sale.js",
    "js/screens/arrival.js",
    "js/screens/choose.js",
    "js/screens/concerts.js",
    "js/screens/date.js",
    "js/screens/hold_bar.js",
    "js/screens/holds.js",
    "js/screens/mine.js",
    "js/screens/parts.js",
    "js/screens/reservation.js",
    "js/screens/tickets.js",
    "js/screens/waiting.js",
    "js/screens/wish.js",
    "js/seats.js",
    "js/seats_feed.js",
    "js/session.js",
    "js/share.js",
    "js/wake.js",
    "ops.html",
    "organizer.html",
}
