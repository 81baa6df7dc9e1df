use std::sync::Arc;

use turnstile::testing::MemoryStore;

use super::{Subject, conforms};

async fn open() -> Option<Subject> {
    Some(Subject { store: Arc::new(MemoryStore::new()), _keep: Box::new(()) })
}

conforms!(open());
