//! End to end, through HTTP, against the real program: the scenarios by their ids, crashes, shutdown, hostile input.
//!
//! Every scenario is a module of two tests: `embedded`, which needs nothing, and `real` on Apache Kafka and PostgreSQL,
//! which runs when `TURNSTILE_TEST_BROKERS` and `TURNSTILE_TEST_DATABASE_URL` name them.

mod alerts;
mod audit;
mod backup;
mod blocks;
mod cancelled_shows;
mod clients;
mod crash;
mod demo;
mod examples;
mod foreign;
mod front_door;
mod frozen_worker;
mod harness;
mod hostile;
mod inbox;
#[cfg(feature = "kafka-tls")]
mod kafka_tls;
mod large_batches;
mod late_debits;
mod lives;
mod login;
mod odd_requests;
mod operating;
mod organizer;
mod other_log;
mod payment;
mod planted;
mod proxy;
mod queue;
mod queue_absence;
mod queue_crash;
mod queue_order;
mod queue_outages;
mod queue_polls;
mod readme;
mod remembered;
mod restored;
mod restored_under;
mod scrapes;
mod seat_stream;
mod seats;
mod shutdown;
mod stepped_over;
mod strangers;
#[cfg(feature = "otel")]
mod traces;
mod wallet;
mod webhooks;
mod whole;
