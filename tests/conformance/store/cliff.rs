//! The way in which PostgreSQL finds rows does not depend on what it knows of them: a new schema, one hot wallet,
//! statistics of that, then wallets everywhere. Run where `TURNSTILE_TEST_DATABASE_URL` names a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use turnstile::domain::wallet::{self, EntryKind};
use turnstile::domain::{Changes, EntryId, Lane, LanePartition, RequestId, UserId};
use turnstile::store::postgres::{PostgresSettings, PostgresStore};
use turnstile::store::{
    AggregateLoads, CommitBatch, CommitGroup, Committed, Outbox, Ownership, Progress, Published, RequestCompletion,
    RequestKey, RequestState,
};

use super::postgres::{execute, schema};
use super::rows::*;

const PARTITIONS: u32 = 16;
/// Commands of the hot wallet, and of each partition afterwards.
const HOT: u64 = 600;
const SPREAD_ROUNDS: u64 = 20;
const SPREAD_COMMANDS: u64 = 10;
/// Commands in all: each writes four rows.
const COMMANDS: u64 = HOT + SPREAD_ROUNDS * SPREAD_COMMANDS * PARTITIONS as u64;
/// Rows that a command may visit: those it reads, overwrites, completes and deletes.
const VISITS_MAX: u64 = 10;

fn part(partition: u32) -> LanePartition {
    LanePartition { lane: Lane::Wallets, partition }
}

fn request_number(partition: u32, number: u64) -> u128 {
    u128::from(partition) * 1_000_000 + u128::from(number)
}

/// The next commands of one wallet: an entry, a request that waits, an outbox row each; the requests of the batch
/// before are completed.
fn charges(partition: u32, name: &str, progress: &Progress, count: u64) -> CommitBatch {
    let mut batch = batch(part(partition), progress);
    let (first, end) = (progress.next_offset, progress.next_offset + count);
    let mut rows = vec![wallet::Row::Wallet(wallet(name, 1, end))];
    for number in first..end {
        let id = id(request_number(partition, number));
        let line = wallet::Entry { id: EntryId(id), cause: id, ..entry(name, number) };
        rows.push(wallet::Row::Entry(line));
        let mut row = request(request_number(partition, number), part(partition), number);
        row.state = RequestState::Pending;
        batch.requests.push(row);
        batch.outbox.push(outbox_row(number));
    }
    let before = first.saturating_sub(count)..first;
    let completion = |number| RequestCompletion {
        request_id: RequestId(id(request_number(partition, number))),
        decided: decided(true, "{}"),
    };
    batch.completions = before.map(completion).collect();
    batch.changes = Changes::Wallets(rows);
    (batch.after.next_offset, batch.after.next_outbox_seq) = (end, end);
    batch
}

/// What a batch reads before it is decided.
async fn prefetch(store: &PostgresStore, batch: &CommitBatch, user: &UserId) {
    let keys: Vec<(LanePartition, RequestKey)> = batch.requests.iter().map(|row| (batch.partition, row.key)).collect();
    assert_eq!(store.load_requests_of(&keys).await.unwrap().len(), 0);
    let causes: Vec<(EntryKind, uuid::Uuid)> = keys.iter().map(|(_, key)| (EntryKind::Charge, key.id.0)).collect();
    store.load_entries(&causes).await.unwrap();
    store.load_wallets(std::slice::from_ref(user)).await.unwrap();
}

async fn commit_all(store: &PostgresStore, batches: Vec<CommitBatch>) -> Vec<Progress> {
    let published = batches.iter().map(|batch| Published {
        partition: batch.partition,
        epoch: batch.before.epoch,
        seqs: batch.before.next_outbox_seq.saturating_sub(SPREAD_COMMANDS)..batch.before.next_outbox_seq,
    });
    let group = CommitGroup { published: published.collect(), batches };
    let committed = store.commit_group(&group).await.unwrap();
    assert!(committed.iter().all(|committed| *committed == Committed::Done));
    group.batches.iter().map(|batch| batch.after).collect()
}

/// Scans from end to end and rows found by index, of all tables, once the server has counted all inserts.
async fn scans(settings: &PostgresSettings, requests: u64) -> (i64, i64) {
    let mut connection = PgConnection::connect(&settings.url).await.unwrap();
    let sql = format!(
        "select sum(seq_scan)::bigint, sum(idx_tup_fetch)::bigint, \
         (select n_tup_ins from pg_stat_user_tables where schemaname = '{0}' and relname = 'request') \
         from pg_stat_user_tables where schemaname = '{0}' and relname <> '_sqlx_migrations'",
        settings.schema
    );
    let began = Instant::now();
    loop {
        let row = sqlx::query(AssertSqlSafe(sql.clone())).fetch_one(&mut connection).await.unwrap();
        let inserted: i64 = row.get(2);
        if inserted == requests as i64 {
            return (row.get(0), row.get::<Option<i64>, _>(1).unwrap_or(0));
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{inserted} requests were counted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_found_by_key_whatever_the_statistics_say() {
    let Some(schema) = schema() else { return };
    let settings = PostgresSettings { connections_max: 9, ..schema.0.clone() };
    PostgresStore::migrate(&settings).await.unwrap();
    // Building an index on an empty table counts as a scan of it.
    let (before, _) = scans(&settings, 0).await;
    let store = Arc::new(PostgresStore::open(&settings).await.unwrap());
    let mut progress = Vec::new();
    for partition in 0..PARTITIONS {
        progress.push(acquired(&*store, part(partition)).await);
    }
    let hot = user("hot");
    for _ in 0..HOT / SPREAD_COMMANDS {
        let batch = charges(0, "hot", &progress[0], SPREAD_COMMANDS);
        prefetch(&store, &batch, &hot).await;
        progress[0] = commit_all(&store, vec![batch]).await[0];
    }
    execute(&settings.url, format!("set search_path = {}; analyze", settings.schema)).await;
    for _ in 0..SPREAD_ROUNDS {
        let mut batches = Vec::new();
        for partition in 0..PARTITIONS {
            let name = format!("user-{partition}-{}", progress[partition as usize].next_offset);
            let batch = charges(partition, &name, &progress[partition as usize], SPREAD_COMMANDS);
            prefetch(&store, &batch, &user(&name)).await;
            batches.push(batch);
        }
        progress = commit_all(&store, batches).await;
    }
    for partition in 0..PARTITIONS {
        store.outbox(part(partition), 0, 1_000).await.unwrap();
    }
    // Connections that end say what they have counted.
    store.close().await;
    let (after, visited) = scans(&settings, COMMANDS).await;
    println!("{COMMANDS} commands visited {visited} rows");
    assert_eq!(after - before, 0, "tables were read from end to end");
    let visits_max = i64::try_from(COMMANDS * VISITS_MAX).unwrap();
    assert!(visited <= visits_max, "{COMMANDS} commands visited {visited} rows");
}
