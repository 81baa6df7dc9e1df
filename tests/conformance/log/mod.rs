//! The log port: one suite, run by every log.

mod altered;
mod embedded;
mod kafka;
mod lost_broker;
mod memory;
mod suite;

use std::any::Any;
use std::sync::Arc;

use turnstile::domain::Lane;
use turnstile::log::{Log, PartitionCounts, Topic};

/// Small, and different for each topic so that a mix-up shows.
pub fn counts() -> PartitionCounts {
    PartitionCounts { seats: 4, wallets: 3, queues: 2, inbox: 2, outcomes: 2, dead_letters: 1 }
}

pub const SEATS: Topic = Topic::Lane(Lane::Seats);

/// A log under test, with what must live as long as it does.
pub struct Subject {
    pub log: Arc<dyn Log>,
    pub _keep: Box<dyn Any>,
}

/// Runs each behaviour of the suite against the log that `$open` makes (a future of [`Subject`], or of `None` where
/// there is none to test).
macro_rules! conforms {
    ($open:expr; $($behaviour:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            let Some(subject) = Option::<crate::log::Subject>::from($open.await) else { return };
            let checks = crate::log::suite::$behaviour(std::sync::Arc::clone(&subject.log));
            tokio::time::timeout(std::time::Duration::from_secs(90), checks).await.expect("it hangs");
        }
    )+};
    ($open:expr) => {
        conforms! { $open;
            pipelined_appends_keep_their_order,
            appends_keep_their_order_when_one_becomes_many,
            an_unpolled_append_takes_its_place,
            partitions_count_their_own_offsets,
            a_record_comes_back_as_it_went_in,
            times_are_the_logs_and_never_run_back,
            a_reader_keeps_to_its_limits,
            a_dropped_read_loses_nothing,
            a_waiting_reader_wakes_up,
            two_readers_read_the_same,
            a_partition_opened_again_and_again_misses_nothing,
            a_start_that_is_not_on_the_log_is_refused,
            a_partition_that_is_not_there_is_refused,
            flush_waits_for_what_was_appended,
            the_identity_stays,
            the_only_member_gets_every_partition,
            an_owner_starts_where_it_says,
            a_second_member_gets_a_share_and_nothing_is_owned_twice,
            a_member_that_leaves_hands_over,
        }
    };
}
pub(crate) use conforms;
