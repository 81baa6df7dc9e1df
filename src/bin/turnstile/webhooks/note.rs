//! Who did what about an endpoint.

use turnstile::domain::UserId;
use turnstile::runtime::clock::Clock;
use turnstile::store::{Store, WebhookAct, WebhookNote};
use uuid::Uuid;

use crate::exit::Failure;

/// Before it is done: what was wanted stays known, whatever becomes of it.
pub(super) async fn note(
    store: &dyn Store,
    clock: &Clock,
    name: &str,
    act: WebhookAct,
    by: &UserId,
) -> Result<(), Failure> {
    let note = WebhookNote { id: Uuid::now_v7(), name: name.to_owned(), act, by: by.clone(), at: clock.now() };
    Ok(store.note_webhook(&note).await.map_err(anyhow::Error::new)?)
}
