//! The inbox as a lane without aggregates: none of its records is a command that is decided here, so none of this is ever
//! called with anything. What its owner does is in `decode`: forward, or dead letter.

use std::convert::Infallible;

use super::lanes::LaneAggregate;
use crate::domain::{Aggregate, Arrival, Asking, Body, Changes, CommandKind, Decision, LogTime, RoutingKey};
use crate::store::{AggregateLoads, StoreError, Timers};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, Clone)]
pub(super) enum Inbox {}

impl Aggregate for Inbox {
    type Key = Infallible;
    type Command = Infallible;
    type Row = Infallible;
    type RowKey = Infallible;
    type Recall = Infallible;

    fn decide(_: Option<&Self>, command: &Infallible, _: &Asking, _: &Arrival) -> Decision<Self> {
        match *command {}
    }

    fn apply(_: &mut Option<Self>, row: &Infallible) -> u64 {
        match *row {}
    }

    fn next_due(&self) -> Option<LogTime> {
        match *self {}
    }

    fn rows(&self) -> usize {
        match *self {}
    }

    fn row_key(row: &Infallible) -> Infallible {
        match *row {}
    }

    fn digest(row: &Infallible) -> u64 {
        match *row {}
    }

    fn recalls(command: &Infallible, _: &Asking) -> Vec<Infallible> {
        match *command {}
    }

    fn knows(&self, _: &Infallible) -> bool {
        match *self {}
    }

    fn remember(&mut self, row: Infallible) {
        match row {}
    }

    fn forget(&mut self, _: u64) {
        match *self {}
    }

    fn remembered(&self) -> usize {
        match *self {}
    }
}

impl LaneAggregate for Inbox {
    const TIMER: Option<CommandKind> = None;

    fn command_of(_: Body) -> Option<Infallible> {
        None
    }

    fn key(command: &Infallible) -> Infallible {
        match *command {}
    }

    fn routing_key(key: &Infallible) -> RoutingKey {
        match *key {}
    }

    fn changes(_: Vec<Infallible>) -> Changes {
        Changes::Inbox
    }

    fn waiting_for(command: &Infallible) -> Option<String> {
        match *command {}
    }

    fn timer(key: &Infallible) -> Option<Body> {
        match *key {}
    }

    async fn load(_: &dyn AggregateLoads, _: &[Infallible]) -> Result<Vec<(Infallible, Self)>> {
        Ok(Vec::new())
    }

    async fn recall(_: &dyn AggregateLoads, _: &[Infallible]) -> Result<Vec<(Infallible, Infallible)>> {
        Ok(Vec::new())
    }

    async fn due(_: &dyn Timers, _: u32) -> Result<Vec<(Infallible, LogTime)>> {
        Ok(Vec::new())
    }
}
