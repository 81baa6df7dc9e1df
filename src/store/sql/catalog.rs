//! Seating plans, concerts and dates, with what the blocks of a date say now.

use std::collections::HashMap;

use async_trait::async_trait;

use super::dialect::{Dialect, Query, Side, all, answers, first, query};
use super::mapping::{catalog, seats};
use super::names::Names;
use super::tables::{self, Table};
use super::value::{Value, signed, text, time, uuid};
use crate::domain::block::SectionRow;
use crate::domain::{BlockKey, ConcertId, LogTime, ScheduleId};
use crate::store::{BlockView, Catalog, Concert, Page, PlanRow, PlanSummary, Schedule, ScheduleView, StoreError};

/// A catalog row, unless its id is there already.
fn insert<'a>(table: &Table, row: Vec<Value<'a>>) -> Query<'a> {
    let places: Vec<String> = (1..=row.len()).map(|n| format!("${n}")).collect();
    let (list, places, end) = (table.list(), places.join(", "), table.on_conflict());
    query(format!("insert into {} ({list}) values ({places}) {end}", table.name), row)
}

const BY_ID: &str = "schedule.id = $1";

/// Schedules as chosen by `condition`, with their blocks and sections.
async fn schedule_views<D: Dialect>(
    store: &D,
    side: Side,
    condition: &str,
    parameters: Vec<Value<'_>>,
) -> Result<Vec<ScheduleView>, StoreError> {
    let parts = |table: &Table, order: &str| {
        let (list, name) = (table.qualified_list(), table.name);
        let sql = format!(
            "select {list} from schedule join {name} on {name}.schedule_id = schedule.id where {condition} \
             order by {order}"
        );
        query(sql, parameters.clone())
    };
    let schedules = tables::SCHEDULE.select(&format!("where {condition} order by starts_at, id"));
    let blocks = parts(&tables::BLOCK, "block.block");
    let sections = parts(&tables::SECTION, "section.rank");
    let queries = vec![query(schedules, parameters.clone()), blocks, sections];
    let [schedule_rows, block_rows, section_rows] = answers(store.read_together(side, queries).await?)?;

    let mut names = Names::default();
    let mut sections: HashMap<BlockKey, Vec<SectionRow>> = HashMap::new();
    for row in &section_rows {
        let section = seats::section(row, &mut names)?;
        sections.entry(section.key.clone()).or_default().push(section);
    }
    let mut blocks: HashMap<ScheduleId, Vec<BlockView>> = HashMap::new();
    for row in &block_rows {
        let row = seats::block(row, &mut names)?;
        let sections = sections.remove(&row.key).unwrap_or_default();
        blocks.entry(row.key.schedule_id).or_default().push(BlockView { row, sections });
    }
    let view = |schedule: Schedule| {
        let blocks = blocks.remove(&schedule.id).unwrap_or_default();
        ScheduleView { schedule, blocks }
    };
    Ok(all(&schedule_rows, catalog::schedule)?.into_iter().map(view).collect())
}

#[async_trait]
impl<D: Dialect> Catalog for D {
    async fn insert_concert(&self, concert: &Concert) -> Result<(), StoreError> {
        self.write(insert(&tables::CONCERT, catalog::concert_values(concert))).await.map(drop)
    }

    async fn insert_schedule(&self, schedule: &Schedule) -> Result<(), StoreError> {
        self.write(insert(&tables::SCHEDULE, catalog::schedule_values(schedule))).await.map(drop)
    }

    async fn concerts(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError> {
        let query = match page.after {
            None => query(tables::CONCERT.select("order by id desc limit $1"), vec![signed(page.limit)]),
            Some(after) => {
                let sql = tables::CONCERT.select("where id < $2 order by id desc limit $1");
                query(sql, vec![signed(page.limit), uuid(after.0)])
            }
        };
        all(&self.read(Side::Page, query).await?, catalog::concert)
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        let sql = tables::CONCERT.select("where id = $1");
        first(&self.read(Side::Page, query(sql, vec![uuid(id.0)])).await?, catalog::concert)
    }

    async fn schedules(
        &self,
        concert: ConcertId,
        from: Option<LogTime>,
        page: Page<ScheduleId>,
    ) -> Result<Vec<ScheduleView>, StoreError> {
        let mut parameters = vec![uuid(concert.0), signed(page.limit)];
        let mut further = String::new();
        if let Some(after) = page.after {
            parameters.push(uuid(after.0));
            further.push_str("and (starts_at, id) > (select starts_at, id from schedule where id = $3) ");
        }
        if let Some(from) = from {
            parameters.push(time(from));
            // As amended; a date without blocks is as it was opened.
            further.push_str(&format!(
                "and coalesce((select max(block.starts_at) from block where block.schedule_id = own.id), \
                 own.starts_at) >= ${} ",
                parameters.len()
            ));
        }
        // `page` is read once for each of the three queries: by its index, and no more rows than it has.
        let condition = format!(
            "schedule.id in (select id from schedule as own where concert_id = $1 {further}\
             order by starts_at, id limit $2)"
        );
        schedule_views(self, Side::Page, &condition, parameters).await
    }

    async fn schedule(&self, id: ScheduleId) -> Result<Option<ScheduleView>, StoreError> {
        Ok(schedule_views(self, Side::Page, BY_ID, vec![uuid(id.0)]).await?.pop())
    }

    async fn schedule_for_command(&self, id: ScheduleId) -> Result<Option<ScheduleView>, StoreError> {
        Ok(schedule_views(self, Side::Command, BY_ID, vec![uuid(id.0)]).await?.pop())
    }

    async fn insert_plan(&self, plan: &PlanRow) -> Result<(), StoreError> {
        self.write(insert(&tables::PLAN, catalog::plan_values(plan))).await.map(drop)
    }

    async fn plan(&self, id: &str) -> Result<Option<PlanRow>, StoreError> {
        let sql = tables::PLAN.select("where id = $1");
        first(&self.read(Side::Page, query(sql, vec![text(id)])).await?, catalog::plan)
    }

    async fn replace_plan(&self, schedule: ScheduleId, from: &str, to: &str) -> Result<bool, StoreError> {
        let sql =
            "update schedule set larger_plan = $3 where id = $1 and coalesce(larger_plan, plan) = $2 returning id";
        let changed = self.write(query(sql.to_owned(), vec![uuid(schedule.0), text(from), text(to)])).await?;
        Ok(!changed.is_empty())
    }

    async fn plans(&self, page: Page<String>) -> Result<Vec<PlanSummary>, StoreError> {
        // Without the content, which may be megabytes.
        let columns = "select id, name, sections, seats, created_at from plan";
        let limit = signed(page.limit);
        let query = match &page.after {
            None => query(format!("{columns} order by created_at desc, id desc limit $1"), vec![limit]),
            Some(after) => {
                let sql = format!(
                    "{columns} where (created_at, id) < (select created_at, id from plan where id = $2) \
                     order by created_at desc, id desc limit $1"
                );
                query(sql, vec![limit, text(after)])
            }
        };
        all(&self.read(Side::Page, query).await?, catalog::plan_summary)
    }
}
