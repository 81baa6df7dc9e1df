//! What the rows of the store alone do not show: commands that follow from nothing, follow-ups and outcomes that got lost,
//! outcomes that nobody decided, holds without a turn; and an audit of a system that serves.

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::ready;
use turnstile::domain::block::{Origin, PayReservation, SaleNote, SaleState, SettlePayment, Settlement};
use turnstile::domain::queue::{CompleteToken, NoteSale};
use turnstile::domain::wallet::{AnswerKind, AskPayment, ForPayment};
use turnstile::domain::{Balance, PaymentId, ReservationId, Row, UserId};
use turnstile::log::{Appended, LogIdentity, Membership, PartitionReader, ReadError};
use turnstile::store::{AuditReads, StateTable};

use super::*;

const WITHIN: Duration = Duration::from_secs(60);

fn user() -> UserId {
    "user-1".parse().unwrap()
}

fn origin(schedule_id: ScheduleId) -> Origin {
    Origin {
        key: BlockKey { schedule_id, block: BlockName::main() },
        reservation_id: ReservationId(Uuid::now_v7()),
        payment_id: PaymentId(Uuid::now_v7()),
        asking: None,
    }
}

/// One of each command that only the program sends in another's name; no decision asked for them.
fn forged(schedule_id: ScheduleId) -> [Body; 6] {
    let amount = Amount::new(5).unwrap();
    let payment = || ForPayment { user_id: user(), amount, reason: None, origin: origin(schedule_id) };
    let settlement = Settlement::Debited { balance: Balance::new(0).unwrap() };
    let settle = SettlePayment { origin: origin(schedule_id), user_id: user(), amount, settlement };
    let note = SaleNote { version: 1 << 40, state: SaleState::Open, sales_open_at: None, starts_at: LogTime(1 << 41) };
    [
        Body::Wallets(wallet::Command::DebitForPayment(payment())),
        Body::Wallets(wallet::Command::CreditWallet(payment())),
        Body::Wallets(wallet::Command::AskPayment(AskPayment { what: AnswerKind::Refund, payment: payment() })),
        Body::Seats(block::Command::SettlePayment(settle)),
        Body::Queues(queue::Command::CompleteToken(CompleteToken {
            schedule_id,
            user_id: user(),
            paid_at: LogTime(0),
        })),
        Body::Queues(queue::Command::NoteSale(NoteSale { schedule_id, block: BlockName::main(), note })),
    ]
}

/// Reservations of the store.
async fn reservations(system: &System) -> Vec<block::Reservation> {
    let rows = system.store.state_page(StateTable::Reservation, None, 100).await.unwrap();
    let reservation = |row| match row {
        Row::Seats(block::Row::Reservation(row)) => row,
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(reservation).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_in_the_programs_name_that_follows_from_nothing_is_found() {
    let system = System::open().await;
    a_small_sale(&system).await;
    let schedule_id = reservations(&system).await[0].key.schedule_id;
    for (number, body) in forged(schedule_id).into_iter().enumerate() {
        let kind = body.kind();
        system.send(body).await;
        system.decide(WITHIN).await;
        let report = system.audit().await;
        let first = report.first.unwrap_or_else(|| panic!("{kind} was not found"));
        assert!(report.differences > number as u64, "{kind}: {} differences", report.differences);
        let what = "in the program's name follows from no decision";
        assert!(number > 0 || (first.position.is_some() && first.what.contains(what)), "{kind}: {first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_without_a_turn_are_counted() {
    let system = System::open().await;
    a_small_sale(&system).await;
    let report = system.audit().await;
    // Ten hold, three had a turn.
    let (count, first) = report.without_turn;
    assert!(report.is_clean() && count == 7 && first.is_some(), "{report:?}");
}

/// A log that says it has taken records of this kind, and has not.
struct Lossy {
    log: EmbeddedLog,
    topic: Topic,
    kind: &'static [u8],
}

#[async_trait]
impl Log for Lossy {
    fn partitions(&self) -> &PartitionCounts {
        self.log.partitions()
    }

    async fn identity(&self) -> Result<LogIdentity, ReadError> {
        self.log.identity().await
    }

    fn append(&self, topic: Topic, partition: u32, record: NewRecord) -> AppendFuture {
        let is_lost = topic == self.topic && record.value.windows(self.kind.len()).any(|part| part == self.kind);
        if is_lost { ready(Ok(Appended { offset: 0 })).boxed() } else { self.log.append(topic, partition, record) }
    }

    async fn end_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        self.log.end_offset(topic, partition).await
    }

    async fn first_offset(&self, topic: Topic, partition: u32) -> Result<u64, ReadError> {
        self.log.first_offset(topic, partition).await
    }

    async fn read(&self, topic: Topic, partition: u32, start: u64) -> Result<Box<dyn PartitionReader>, ReadError> {
        self.log.read(topic, partition, start).await
    }

    async fn join(&self, member: &str) -> Result<Box<dyn Membership>, ReadError> {
        self.log.join(member).await
    }

    async fn flush(&self, deadline: Duration) {
        self.log.flush(deadline).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follow_up_or_an_outcome_that_never_got_there_is_found() {
    let wallets = Topic::Lane(turnstile::domain::Lane::Wallets);
    for (topic, kind, what) in [
        (wallets, &b"debit_wallet"[..], "never got there"),
        (Topic::Outcomes, &b"pay_reservation"[..], "not on the topic of outcomes"),
    ] {
        let system = System::open().await;
        a_small_sale(&system).await;
        let held = reservations(&system).await.swap_remove(0);
        let (key, user_id, reservation_id) = (held.key, held.user_id, held.id);
        let pay = PayReservation { key, user_id, reservation_id, amount: None };
        system.send(Body::Seats(block::Command::PayReservation(pay))).await;
        system.decide_over(Arc::new(Lossy { log: system.log.clone(), topic, kind }), WITHIN).await;
        let report = system.audit().await;
        let first = report.first.unwrap_or_else(|| panic!("{topic:?} was not found"));
        assert!(first.position.is_some() && first.what.contains(what), "{first}");
        assert_eq!(report.differences, 1, "{first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_on_the_topic_that_was_never_decided_is_found() {
    let system = System::open().await;
    a_small_sale(&system).await;
    let partition = wire::routing::partition_for("user-3", COUNTS.of(Topic::Outcomes));
    let mut reader = system.log.read(Topic::Outcomes, partition, 0).await.unwrap();
    let told = reader.next(1, usize::MAX).await.unwrap().remove(0).value.unwrap();
    let forged =
        String::from_utf8(told.to_vec()).unwrap().replace("\"status\":\"SUCCEEDED\"", "\"status\": \"SUCCEEDED\"");
    system.append(Topic::Outcomes, partition, forged.into_bytes()).await;
    let first = system.audit().await.first.expect("a forged outcome");
    assert!(first.what.contains(&format!("outcomes.{partition}.")) && first.what.contains("never decided"), "{first}");

    system.append(Topic::Outcomes, partition, b"garbage".to_vec()).await;
    assert_eq!(system.audit().await.differences, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_serves_is_audited_as_it_is_at_one_moment() {
    let system = System::open().await;
    a_small_sale(&system).await;
    let shutdown = CancellationToken::new();
    let (log, store) = (Arc::new(system.log.clone()), system.store.clone());
    let deps = Deps { log, store, clock: Clock::System, health: Health::default() };
    let worker = tokio::spawn(processor::run(deps, processor::Settings::default(), shutdown.clone()));
    let charge = || Movement { user_id: user(), amount: 1, reason: None };
    let (mut audits, mut records) = (0, 0);
    let serving = async {
        loop {
            system.send(Body::Wallets(wallet::Command::ChargeWallet(charge()))).await;
            tokio::task::yield_now().await;
        }
    };
    let auditing = async {
        // Until it has seen a few hundred records come.
        while audits < 5 || records < 300 {
            let report = system.audit().await;
            assert!(report.is_clean() && report.records >= records, "{:?}", report.first);
            (audits, records) = (audits + 1, report.records);
        }
    };
    tokio::select! {
        () = serving => {}
        () = auditing => {}
    }
    shutdown.cancel();
    worker.await.unwrap().unwrap();
}
