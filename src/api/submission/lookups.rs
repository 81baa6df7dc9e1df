//! What clients ask for by id: fresh rows, those of many clients in one read of the store.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::domain::block::Reservation;
use crate::domain::wallet::Wallet;
use crate::domain::{RequestId, ReservationId, UserId};
use crate::store::gather::Gather;
use crate::store::{Reads, RequestRow, StoreError};

/// Reads of a kind under way at once. One would do; a second one passes by a connection that hangs.
const AT_ONCE: usize = 2;

pub struct Lookups {
    requests: Gather<RequestId, RequestRow>,
    reservations: Gather<ReservationId, Reservation>,
    wallets: Gather<UserId, Wallet>,
}

impl Lookups {
    pub fn new(store: Arc<dyn Reads>) -> Self {
        macro_rules! gather {
            ($read:ident, $key_of:expr) => {{
                let store = Arc::clone(&store);
                let load = move |keys: Vec<_>| {
                    let store = Arc::clone(&store);
                    async move { store.$read(&keys).await }.boxed()
                };
                Gather::new(load, $key_of, AT_ONCE)
            }};
        }
        Lookups {
            requests: gather!(requests, |row| row.key.id),
            reservations: gather!(reservations_by_id, |row| row.id),
            wallets: gather!(wallets, |row| row.user_id.clone()),
        }
    }

    /// A client's request.
    pub async fn request(&self, id: RequestId) -> Result<Option<RequestRow>, StoreError> {
        Ok(self.requests.read(&[id]).await?.pop())
    }

    pub async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        Ok(self.reservations.read(&[id]).await?.pop())
    }

    pub async fn wallet(&self, user: &UserId) -> Result<Option<Wallet>, StoreError> {
        Ok(self.wallets.read(std::slice::from_ref(user)).await?.pop())
    }
}
