//! The store port: one suite, run by every store.

mod cliff;
mod commits;
mod faulty;
mod groups;
mod interventions;
mod loads;
mod memory;
mod operators;
mod postgres;
mod reads;
mod retention;
mod rows;
mod sqlite;
mod states;
mod webhooks;

use std::any::Any;
use std::sync::Arc;

use turnstile::store::Store;

/// A store under test, with what must live as long as it does.
pub struct Subject {
    pub store: Arc<dyn Store>,
    pub _keep: Box<dyn Any + Send>,
}

/// Runs each behaviour of the suite against the store that `$open` makes (a future of [`Subject`], or of `None` where
/// there is no such store to test with).
macro_rules! conforms {
    ($open:expr; $($file:ident::$behaviour:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            let Some(subject) = $open.await else { return };
            let checks = crate::store::$file::$behaviour(std::sync::Arc::clone(&subject.store));
            tokio::time::timeout(std::time::Duration::from_secs(90), checks).await.expect("it hangs");
        }
    )+};
    ($open:expr) => {
        conforms! { $open;
            commits::a_new_owner_starts_where_the_last_commit_ended,
            commits::an_older_owner_changes_nothing,
            commits::a_commit_from_another_offset_changes_nothing,
            commits::a_batch_never_changes_the_epoch,
            commits::a_partition_nobody_acquired_takes_no_commit,
            commits::a_row_stored_twice_fails_the_whole_commit,
            commits::a_cause_moves_money_of_a_wallet_once,
            commits::the_first_answer_to_a_payment_stays,
            commits::numbers_come_back_at_their_limits,
            commits::large_batches_come_back_whole,
            commits::text_that_a_database_cannot_hold_does_not_stop_a_partition,
            commits::completions_decide_pending_requests_once,
            commits::the_outbox_comes_back_in_order_until_deleted,
            commits::many_partitions_commit_at_once,
            commits::two_owners_at_once_never_both_commit,
            commits::the_log_is_remembered_once,
            retention::requests_go_in_batches_by_the_time_of_their_decision_and_pending_ones_stay,
            retention::dead_letters_go_once_they_were_replayed,
            retention::a_request_decided_anew_replaces_the_old_one,
            retention::a_partition_has_caught_up_when_it_passed_the_end_and_published_what_it_had,
            groups::f60_each_batch_of_a_group_is_fenced_by_itself,
            groups::a_batch_that_is_refused_takes_its_group_along,
            groups::a_completion_needs_the_request_of_an_earlier_commit,
            groups::what_is_published_goes_by_the_epoch_alone,
            groups::groups_of_the_same_partitions_never_wait_for_each_other,
            states::every_field_of_a_block_comes_back,
            states::every_state_of_a_reservation_comes_back,
            states::every_state_of_a_payment_comes_back,
            states::every_field_of_a_wallet_comes_back,
            states::every_field_of_a_queue_comes_back,
            states::every_field_of_a_request_comes_back,
            states::names_differ_byte_by_byte,
            loads::blocks_come_with_what_is_unfinished,
            loads::the_indexes_agree_on_what_is_unfinished,
            loads::ids_that_nothing_has_are_absent,
            loads::wallets_come_by_user,
            loads::entries_come_by_kind_and_cause,
            loads::answers_come_by_payment_of_both_kinds_and_every_user,
            loads::a_queue_comes_with_its_live_tokens,
            loads::requests_belong_to_their_partition_and_side,
            loads::what_is_due_is_of_the_partition_that_wrote_last,
            loads::whole_tables_come_in_pages,
            reads::a_request_of_several_partitions_is_the_one_decided_first,
            reads::progress_is_listed_with_the_rows_to_publish,
            reads::concerts_are_listed_newest_first,
            reads::plans_are_kept_as_they_came_and_listed_newest_first,
            reads::a_larger_plan_takes_the_place_of_the_one_that_is_known_and_of_no_other,
            reads::schedules_come_with_their_blocks_by_start_time,
            reads::schedules_from_a_time_on_are_those_that_start_then_as_amended,
            reads::blocks_may_be_opened_without_a_schedule,
            reads::touched_seats_are_in_order_of_section_and_number,
            reads::reservations_of_a_user_are_paged_newest_first,
            reads::unfinished_reservations_of_a_user_are_those_of_the_blocks_asked_for,
            reads::payments_of_a_user_are_paged_newest_first,
            reads::wallet_entries_are_paged_newest_first,
            reads::tokens_are_listed_by_their_last_change,
            reads::tokens_of_a_user_are_newest_first_and_few,
            reads::dead_letters_are_paged_newest_first,
            operators::a_replayed_dead_letter_says_who_and_when,
            operators::a_dismissed_dead_letter_says_who_and_when,
            operators::open_dead_letters_are_those_nobody_has_dealt_with,
            operators::a_process_says_itself_until_it_leaves,
            operators::processes_that_are_silent_for_long_are_forgotten,
            operators::requests_come_by_id_of_every_partition_and_side,
            operators::the_last_audit_is_kept,
            operators::dates_count_what_is_held_being_paid_and_sold,
            operators::holds_of_a_date_are_counted_by_when_they_began,
            reads::a_snapshot_is_of_one_moment_and_only_read,
            interventions::a_row_comes_back_as_it_was_given,
            interventions::rows_come_for_the_records_they_concern,
            interventions::a_commit_applies_a_row_and_a_fenced_one_does_not,
            reads::a_row_that_cannot_be_sent_is_kept_once,
            webhooks::endpoints_come_back_as_they_were_made,
            webhooks::progress_is_written_by_the_newest_epoch_alone,
            webhooks::one_notifier_leads,
            webhooks::failed_events_are_listed_once_newest_first,
            webhooks::the_newest_notes_about_endpoints_stay,
            webhooks::changes_of_partitions_come_in_order_each_once,
            webhooks::old_changes_of_partitions_go_but_for_the_last_of_each,
        }
    };
}
pub(crate) use conforms;
