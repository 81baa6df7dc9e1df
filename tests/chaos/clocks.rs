//! Q10 on brokers whose clocks differ: their leaders change while people wait, hold and pay, and log time never runs back.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::time::sleep;
use turnstile::domain::{CommandKind, LanePartition, LogTime, Position};
use turnstile::log::Topic;
use turnstile::store::lane_partitions;
use turnstile::wire::outcome;

use crate::backends::{AHEAD, CLUSTER};
use crate::brokers::all_in_sync;
use crate::faults::PLAIN;
use crate::harness::feed::records;
use crate::harness::{Sale, System, in_seconds};
use crate::outage::{ASK_AGAIN, Guest, Queue, pause_of};
use crate::scenario::{Fault, Scenario, run};

const TURNS: usize = 5;
const TURN: Duration = Duration::seconds(180);
/// By which what is told may differ from any one clock, and the time until a poll.
const TOLERANCE: Duration = Duration::seconds(AHEAD.as_secs() as i64 + 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q10_brokers_whose_clocks_differ() {
    let name = "brokers whose clocks differ by 3 s lead in turn, a lobby opens meanwhile";
    let fault = Fault { order: 16, name, cluster: true, clocks_differ: true, ..PLAIN };
    run(fault, async |scenario: &mut Scenario, round| {
        let opens_at = in_seconds(40);
        let limits = json!({"max_active": TURNS, "active_ttl_seconds": TURN.whole_seconds(), "max_waiting": 100,
            "claim_after_seconds": 60, "abandon_after_seconds": 20});
        let further = json!({"sales_open_at": opens_at});
        let opens_at = OffsetDateTime::parse(&opens_at, &Rfc3339).expect("a time");
        let Queue { sale, mut guests } =
            Queue::open(&scenario.system.client, &format!("lobby{round}-"), 20, limits, further).await;
        join_all(guests.iter().map(|guest| async { guest.user.charge(1_000).decide().await.result() })).await;
        let next = guests.split_off(TURNS);
        let polling = Queue { sale: sale.clone(), guests: next }.poll();

        let admitted = join_all(guests.iter().map(|guest| until_active(guest, &sale)));
        let (admitted, ()) = tokio::join!(admitted, lead_elsewhere(scenario, CLUSTER));
        for (seen_at, place) in admitted {
            assert!(seen_at > opens_at - TOLERANCE, "admitted at {seen_at}, the sale opens at {opens_at}");
            let until = place["active_until"].as_str().and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
            assert!(until.expect("a time") >= opens_at + TURN - TOLERANCE, "no full turn: {place}");
        }
        let holds = join_all(guests.iter().map(async |guest| {
            let hold = guest.user.hold_best(&sale, "A", 1).header("Queue-Token", &guest.token);
            hold.decide().await.result()["reservation_id"].as_str().expect("an id").to_owned()
        }))
        .await;
        for number in 1..CLUSTER {
            lead_elsewhere(scenario, number).await;
        }
        let paid =
            guests.iter().zip(&holds).map(|(guest, hold)| async { guest.user.pay(hold).decide().await.result() });
        join_all(paid).await;
        polling.until_active(TURNS).await;
        polling.end().await;
        let back = log_time_never_runs_back(&scenario.system).await;
        assert!(back > 0, "no broker's clock was behind the one's before it");
        println!("{back} records have an earlier time than the one before");
        u64::from(CLUSTER)
    })
    .await;
}

/// What this broker leads others lead from then on.
async fn lead_elsewhere(scenario: &Scenario, number: u16) {
    scenario.backends.end_broker(number, "down").await;
    scenario.workload.progress().await;
    scenario.backends.start_broker(number).await;
    all_in_sync(&scenario.backends).await;
}

/// Polls when told until its turn has come; when it was seen, and the place then.
async fn until_active(guest: &Guest, sale: &Sale) -> (OffsetDateTime, Value) {
    loop {
        match guest.place(sale).await {
            Some(place) if place["status"] == "ACTIVE" => return (OffsetDateTime::now_utc(), place),
            Some(place) => sleep(pause_of(&place)).await,
            None => sleep(ASK_AGAIN).await,
        }
    }
}

/// Of what was decided; how often the times of the records themselves run back.
async fn log_time_never_runs_back(system: &System) -> usize {
    let (log, _) = system.open_log().await;
    let mut back = 0;
    for LanePartition { lane, partition } in lane_partitions(log.partitions()) {
        let records = records(&*log, Topic::Lane(lane), partition, 0).await;
        back += records.windows(2).filter(|two| two[1].timestamp.millis() < two[0].timestamp.millis()).count();
    }
    let mut decided: BTreeMap<Position, LogTime> = BTreeMap::new();
    for partition in 0..log.partitions().of(Topic::Outcomes) {
        for record in records(&*log, Topic::Outcomes, partition, 0).await {
            let outcome = outcome::decode(&record.value.expect("a value")).expect("an outcome");
            // These may be decided by a later record, whose time they tell.
            if !matches!(outcome.command, CommandKind::PayReservation | CommandKind::CancelReservation) {
                decided.insert(outcome.decided.position, outcome.decided.time);
            }
        }
    }
    for ((before, at), (after, later)) in decided.iter().zip(decided.iter().skip(1)) {
        assert!(before.partition != after.partition || at <= later, "{before} at {at:?}, {after} at {later:?}");
    }
    back
}
