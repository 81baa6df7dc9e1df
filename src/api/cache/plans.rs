//! Seating plans in memory, and the labels that people read. A plan never changes, so it is remembered for good.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::schedule_facts::ScheduleFacts;
use crate::domain::{ScheduleId, SeatId};
use crate::plan::{self, Format, Plan, PlanId};
use crate::store::{Catalog, StoreError};

/// Seats of all remembered plans together, about 150 bytes each; the plans not asked for longest go first.
const SEATS_MAX: usize = 300_000;

/// A plan as parsed and as sent.
pub struct Known {
    pub plan: Plan,
    /// In Turnstile's format.
    pub text: Bytes,
}

impl Known {
    pub fn of(plan: Plan) -> Self {
        let text = Bytes::from(plan::write(&plan, Format::Turnstile));
        Known { plan, text }
    }

    /// A seat as printed in the hall; one that was appended to its section later has its id.
    pub fn label(&self, seat: &SeatId) -> String {
        self.plan.label(seat.section.as_str(), seat.number).unwrap_or_else(|| seat.to_string())
    }
}

/// The plans of the store.
pub struct Plans {
    store: Arc<dyn Catalog>,
    shelf: Mutex<Shelf>,
    /// Held by the task that reads.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shelf {
    /// With the turn it was last asked for.
    by_id: HashMap<PlanId, (Arc<Known>, u64)>,
    seats: usize,
    turn: u64,
}

impl Shelf {
    fn get(&mut self, id: PlanId) -> Option<Arc<Known>> {
        self.turn += 1;
        let (known, asked) = self.by_id.get_mut(&id)?;
        *asked = self.turn;
        Some(known.clone())
    }

    fn put(&mut self, id: PlanId, known: &Arc<Known>) {
        self.turn += 1;
        self.seats += known.plan.seats();
        self.by_id.insert(id, (known.clone(), self.turn));
        while self.seats > SEATS_MAX && self.by_id.len() > 1 {
            let oldest = self.by_id.iter().min_by_key(|(_, (_, asked))| *asked).map(|(id, _)| *id);
            let gone = oldest.and_then(|id| self.by_id.remove(&id));
            self.seats -= gone.map_or(0, |(known, _)| known.plan.seats());
        }
    }
}

impl Plans {
    pub fn new(store: Arc<dyn Catalog>) -> Self {
        Plans { store, shelf: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// `None`: the store has no such plan.
    pub async fn get(&self, id: PlanId) -> Result<Option<Arc<Known>>, StoreError> {
        let shelf = || self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shelf().get(id) {
            return Ok(Some(known));
        }
        let _one_reader = self.reading.lock().await;
        if let Some(known) = shelf().get(id) {
            return Ok(Some(known));
        }
        let Some(row) = self.store.plan(&id.to_string()).await? else { return Ok(None) };
        // 50,000 seats take some 20 ms: too long for a thread that others wait for.
        let text = Bytes::from(row.content);
        let content = text.clone();
        let parsed = tokio::task::spawn_blocking(move || plan::read(&content, Some(Format::Turnstile), ""));
        let corrupt = |error: &dyn std::fmt::Display| StoreError::Failed(format!("plan {id} is corrupt: {error}"));
        let read = parsed.await.map_err(|error| corrupt(&error))?.map_err(|error| corrupt(&error))?;
        let known = Arc::new(Known { plan: read.plan, text });
        shelf().put(id, &known);
        Ok(Some(known))
    }
}

/// What the seats of a date are called in the hall.
pub struct Labels {
    pub facts: Arc<ScheduleFacts>,
    pub plans: Arc<Plans>,
}

impl Labels {
    /// The plan of a date; `None` for a date without one.
    pub async fn plan_of(&self, schedule: ScheduleId) -> Result<Option<Arc<Known>>, StoreError> {
        match self.facts.of(schedule).await?.and_then(|facts| facts.plan) {
            Some(id) => self.plans.get(id).await,
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::LogTime;
    use crate::plan::demo::Hall;
    use crate::store::{PlanRow, PlanSummary};
    use crate::testing::FaultyStore;

    async fn stored(store: &FaultyStore, plan: &Plan) -> PlanId {
        let content = plan::write(plan, Format::Turnstile).into_bytes();
        let (id, name) = (plan.id().to_string(), plan.name().to_owned());
        let summary = PlanSummary { id, name, sections: 1, seats: 1, created_at: LogTime(0) };
        store.insert_plan(&PlanRow { summary, content }).await.unwrap();
        plan.id()
    }

    #[tokio::test]
    async fn f52_a_plan_is_read_once_and_the_shelf_is_bounded() {
        let store = FaultyStore::in_memory();
        let plans = Plans::new(Arc::new(store.clone()));
        let theater = stored(&store, &Hall::Theater.plan()).await;
        let first = plans.get(theater).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &plans.get(theater).await.unwrap().unwrap()));
        assert_eq!(first.plan, Hall::Theater.plan());
        assert!(plans.get(PlanId([7; 32])).await.unwrap().is_none());

        let mut shelf = Shelf::default();
        let stadium = Arc::new(Known::of(Hall::Stadium.plan()));
        for number in 0..9 {
            shelf.put(PlanId([number; 32]), &stadium);
            assert!(shelf.get(PlanId([0; 32])).is_some(), "what is asked for stays");
        }
        assert_eq!((shelf.by_id.len(), shelf.seats), (6, 300_000));
    }

    #[test]
    fn f52_a_seat_without_a_place_in_the_plan_is_called_by_its_id() {
        let known = Known::of(Hall::Theater.plan());
        let section = known.plan.sections()[0].name.clone();
        let seat = |number: u32| known.label(&format!("{section}-{number}").parse().unwrap());
        assert_eq!(seat(1), known.plan.label(&section, 1).unwrap());
        assert_eq!(seat(9_999), format!("{section}-9999"));
    }
}
