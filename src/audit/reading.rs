//! Reads a partition for the audit, however long the log is away within reason.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::log::{PartitionReader, ReadError, Record};

const READ_RECORDS_MAX: usize = 5_000;
const READ_BYTES_MAX: usize = 8 << 20;
/// A log that is away so long will not come back for this audit.
const AWAY_MAX: Duration = Duration::from_secs(60);
const AWAY_RETRY: Duration = Duration::from_millis(200);

/// The next records. A log that is away is asked again for a while.
pub(super) async fn read(reader: &mut dyn PartitionReader) -> Result<Vec<Record>, ReadError> {
    let began = Instant::now();
    loop {
        match reader.next(READ_RECORDS_MAX, READ_BYTES_MAX).await {
            Err(ReadError::Unavailable(_)) if began.elapsed() < AWAY_MAX => sleep(AWAY_RETRY).await,
            read => return read,
        }
    }
}
