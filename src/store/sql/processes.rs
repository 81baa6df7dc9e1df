//! What runs, what an operator looks up, and what the last audit said.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::cells::Cells;
use super::dialect::{Dialect, Side, all, answers, first, query};
use super::loads::UNFINISHED;
use super::mapping::records;
use super::value::{Value, int, optional_text, owned, signed, text, time, uuid};
use super::{json, tables};
use crate::domain::block::SeatStatus;
use crate::domain::{LogTime, RequestId, ScheduleId};
use crate::store::{AuditRun, Operations, Process, ProcessView, RequestRow, SaleCounts, StoreError};

fn process(row: &impl Cells) -> Result<ProcessView, StoreError> {
    let process = Process {
        name: row.string("name")?,
        role: row.string("role")?,
        host: row.string("host")?,
        pid: row.int("pid")?,
        version: row.string("version")?,
        address: row.string("address")?,
        started_at: row.time("started_at")?,
        status: json::parse_status(row.text("status")?)?,
    };
    // A database's clock may be set back.
    let silent_ms = u64::try_from(row.signed("silent_ms")?).unwrap_or(0);
    Ok(ProcessView { process, silent_for: Duration::from_millis(silent_ms) })
}

fn audit(row: &impl Cells) -> Result<AuditRun, StoreError> {
    Ok(AuditRun {
        at: row.time("at")?,
        took_ms: row.signed("took_ms")?,
        records: row.int("records")?,
        rows: row.int("compared")?,
        differences: row.int("differences")?,
        first: row.optional_text("first_difference")?.map(str::to_owned),
    })
}

#[async_trait]
impl<D: Dialect> Operations for D {
    async fn heartbeat(&self, process: &Process) -> Result<(), StoreError> {
        let Process { name, role, host, pid, version, address, started_at, status } = process;
        let sql = format!(
            "insert into process (name, role, host, pid, version, address, started_at, status, seen_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, {now}) on conflict (name) do update set role = excluded.role, \
             host = excluded.host, pid = excluded.pid, version = excluded.version, address = excluded.address, \
             started_at = excluded.started_at, status = excluded.status, seen_at = excluded.seen_at",
            now = D::NOW_MS
        );
        let parameters = vec![
            text(name),
            text(role),
            text(host),
            signed(*pid),
            text(version),
            text(address),
            time(*started_at),
            owned(json::status(status)),
        ];
        self.write(query(sql, parameters)).await.map(drop)
    }

    async fn leave(&self, name: &str) -> Result<(), StoreError> {
        self.write(query("delete from process where name = $1", vec![text(name)])).await.map(drop)
    }

    async fn forget_processes(&self, silent_for: Duration) -> Result<(), StoreError> {
        let ms = i64::try_from(silent_for.as_millis()).unwrap_or(i64::MAX);
        let sql = format!("delete from process where seen_at <= {} - $1", D::NOW_MS);
        self.write(query(sql, vec![signed(ms)])).await.map(drop)
    }

    async fn processes(&self) -> Result<Vec<ProcessView>, StoreError> {
        let sql = format!(
            "select name, role, host, pid, version, address, started_at, status, {} - seen_at as silent_ms \
             from process order by name",
            D::NOW_MS
        );
        all(&self.read(Side::Page, query(sql, Vec::new())).await?, process)
    }

    async fn requests_under(&self, ids: &[RequestId]) -> Result<Vec<RequestRow>, StoreError> {
        let ids = Value::Uuids(ids.iter().map(|id| id.0).collect());
        let sql = tables::REQUEST.select(&format!("where request_id {}", D::IN_UUIDS));
        all(&self.read(Side::Page, query(sql, vec![ids])).await?, records::request)
    }

    async fn sale_counts(&self, schedules: &[ScheduleId]) -> Result<Vec<SaleCounts>, StoreError> {
        let ids = || vec![Value::Uuids(schedules.iter().map(|id| id.0).collect())];
        let seats = format!(
            "select schedule_id, status, count(*) as seats from seat where schedule_id {} and status <> 'AVAILABLE' \
             group by schedule_id, status",
            D::IN_UUIDS
        );
        let revenue = format!(
            "select schedule_id, cast(sum(amount) as bigint) as revenue from reservation \
             where schedule_id {} and {UNFINISHED} and status = 'CONFIRMED' group by schedule_id",
            D::IN_UUIDS
        );
        let queries = vec![query(seats, ids()), query(revenue, ids())];
        let [seat_rows, revenue_rows] = answers(self.read_together(Side::Page, queries).await?)?;
        let mut counts: BTreeMap<ScheduleId, SaleCounts> = BTreeMap::new();
        for row in &seat_rows {
            let schedule = row.schedule_id()?;
            let none = SaleCounts { schedule, held: 0, paying: 0, sold: 0, revenue: 0 };
            let of = counts.entry(schedule).or_insert(none);
            let seats = row.int("seats")?;
            match row.parsed::<SeatStatus>("status")? {
                SeatStatus::Held => of.held = seats,
                SeatStatus::Paying => of.paying = seats,
                SeatStatus::Sold => of.sold = seats,
                SeatStatus::Available => {}
            }
        }
        for row in &revenue_rows {
            if let Some(of) = counts.get_mut(&row.schedule_id()?) {
                of.revenue = row.signed("revenue")?;
            }
        }
        Ok(counts.into_values().collect())
    }

    async fn holds_since(&self, schedule: ScheduleId, times: [LogTime; 4]) -> Result<[u64; 4], StoreError> {
        let sql = format!(
            "select count(*) as holds from reservation \
             where schedule_id = $1 and {UNFINISHED} and status = 'HELD' and held_at >= $2"
        );
        let queries = times.map(|at| query(sql.clone(), vec![uuid(schedule.0), time(at)])).into();
        let rows: [_; 4] = answers(self.read_together(Side::Page, queries).await?)?;
        let mut holds = [0; 4];
        for (holds, rows) in holds.iter_mut().zip(&rows) {
            *holds = first(rows, |row| row.int("holds"))?.unwrap_or(0);
        }
        Ok(holds)
    }

    async fn note_audit(&self, run: &AuditRun) -> Result<(), StoreError> {
        let sql = "insert into last_audit (id, at, took_ms, records, compared, differences, first_difference) \
                   values (1, $1, $2, $3, $4, $5, $6) on conflict (id) do update set at = excluded.at, \
                   took_ms = excluded.took_ms, records = excluded.records, compared = excluded.compared, \
                   differences = excluded.differences, first_difference = excluded.first_difference";
        let AuditRun { at, took_ms, records, rows, differences, first } = run;
        let (records, rows, differences) = (int(*records)?, int(*rows)?, int(*differences)?);
        let first = optional_text(first.as_deref());
        self.write(query(sql, vec![time(*at), signed(*took_ms), records, rows, differences, first])).await.map(drop)
    }

    async fn last_audit(&self) -> Result<Option<AuditRun>, StoreError> {
        let sql = "select at, took_ms, records, compared, differences, first_difference from last_audit";
        first(&self.read(Side::Page, query(sql, Vec::new())).await?, audit)
    }
}
