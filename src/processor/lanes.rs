//! What the three lanes differ in: their commands among all commands, their loads, their timers.

use std::collections::HashMap;

use crate::domain::block::{self, Block};
use crate::domain::money::BALANCE_MAX;
use crate::domain::queue::{self, QueueState};
use crate::domain::wallet::{self, EntryKind, Wallet, WalletState};
use crate::domain::{Aggregate, BlockKey, Body, Changes, CommandKind, LogTime, RoutingKey, ScheduleId, UserId};
use crate::store::{AggregateLoads, StoreError, Timers};

type Result<T> = std::result::Result<T, StoreError>;

/// An aggregate as the owner of a partition of its lane handles it.
pub(super) trait LaneAggregate: Aggregate {
    /// The type of [`LaneAggregate::timer`]'s commands.
    const TIMER: Option<CommandKind>;

    /// The command, if it is of this lane.
    fn command_of(body: Body) -> Option<Self::Command>;

    fn key(command: &Self::Command) -> Self::Key;

    fn routing_key(key: &Self::Key) -> RoutingKey;

    fn changes(rows: Vec<Self::Row>) -> Changes;

    /// What stands still for ever if this command is never decided: a payment or a token.
    fn waiting_for(command: &Self::Command) -> Option<String>;

    /// The record that decides what is due; `None`: nothing falls due by itself.
    fn timer(key: &Self::Key) -> Option<Body>;

    /// The states of these aggregates as the store has them, in one read; one that it does not have is absent.
    fn load(
        store: &dyn AggregateLoads,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<Vec<(Self::Key, Self)>>> + Send;

    /// The rows that these recalls name, in one read a kind, each with the aggregate it is of: another one, which may lie
    /// on another partition, must decide without it, or a replay of its partition alone would decide otherwise.
    fn recall(
        store: &dyn AggregateLoads,
        recalls: &[Self::Recall],
    ) -> impl Future<Output = Result<Vec<(Self::Key, Self::Row)>>> + Send;

    /// Whether the store refuses whatever is decided without this row though it is there, after commands of a batch that
    /// bring `incoming` in all. A refusal of the rules writes nothing that the store could refuse.
    fn is_guarded(&self, _: &Self::Recall, _incoming: i128) -> bool {
        false
    }

    /// Money that a command may add to a wallet.
    fn incoming(_: &Self::Command) -> i128 {
        0
    }

    /// What is due when, of all aggregates that this partition wrote last.
    fn due(store: &dyn Timers, partition: u32) -> impl Future<Output = Result<Vec<(Self::Key, LogTime)>>> + Send;
}

fn payment(origin: &block::Origin) -> String {
    format!("payment {}", origin.payment_id)
}

impl LaneAggregate for Block {
    const TIMER: Option<CommandKind> = Some(CommandKind::ExpireHolds);

    fn command_of(body: Body) -> Option<block::Command> {
        match body {
            Body::Seats(command) => Some(command),
            Body::Wallets(_) | Body::Queues(_) => None,
        }
    }

    fn key(command: &block::Command) -> BlockKey {
        command.key()
    }

    fn routing_key(key: &BlockKey) -> RoutingKey {
        RoutingKey::Block(key.clone())
    }

    fn changes(rows: Vec<block::Row>) -> Changes {
        Changes::Seats(rows)
    }

    fn waiting_for(command: &block::Command) -> Option<String> {
        match command {
            block::Command::SettlePayment(settle) => Some(payment(&settle.origin)),
            _ => None,
        }
    }

    fn timer(key: &BlockKey) -> Option<Body> {
        Some(Body::Seats(block::Command::ExpireHolds(key.clone())))
    }

    async fn load(store: &dyn AggregateLoads, keys: &[BlockKey]) -> Result<Vec<(BlockKey, Block)>> {
        let loaded = store.load_blocks(keys).await?;
        Ok(loaded.into_iter().map(|rows| (rows.block.key.clone(), Block::load(rows))).collect())
    }

    async fn recall(store: &dyn AggregateLoads, recalls: &[block::Recall]) -> Result<Vec<(BlockKey, block::Row)>> {
        let (mut reservations, mut payments) = (Vec::new(), Vec::new());
        for recall in recalls {
            match recall {
                block::Recall::Reservation(id) => reservations.push(*id),
                block::Recall::Payment(id) => payments.push(*id),
            }
        }
        let mut rows = Vec::new();
        if !reservations.is_empty() {
            let found = store.load_reservations(&reservations).await?;
            rows.extend(found.into_iter().map(|row| (row.key.clone(), block::Row::Reservation(row))));
        }
        if !payments.is_empty() {
            let found = store.load_payments(&payments).await?;
            rows.extend(found.into_iter().map(|row| (row.key.clone(), block::Row::Payment(row))));
        }
        Ok(rows)
    }

    async fn due(store: &dyn Timers, partition: u32) -> Result<Vec<(BlockKey, LogTime)>> {
        store.due_blocks(partition).await
    }
}

impl LaneAggregate for WalletState {
    const TIMER: Option<CommandKind> = None;

    fn command_of(body: Body) -> Option<wallet::Command> {
        match body {
            Body::Wallets(command) => Some(command),
            Body::Seats(_) | Body::Queues(_) => None,
        }
    }

    fn key(command: &wallet::Command) -> UserId {
        command.user_id().clone()
    }

    fn routing_key(key: &UserId) -> RoutingKey {
        RoutingKey::Wallet(key.clone())
    }

    fn changes(rows: Vec<wallet::Row>) -> Changes {
        Changes::Wallets(rows)
    }

    fn waiting_for(command: &wallet::Command) -> Option<String> {
        match command {
            wallet::Command::DebitForPayment(asked) | wallet::Command::CreditWallet(asked) => {
                Some(payment(&asked.origin))
            }
            wallet::Command::AskPayment(asked) => Some(payment(&asked.payment.origin)),
            wallet::Command::ChargeWallet(_) | wallet::Command::DebitWallet(_) => None,
        }
    }

    fn timer(_: &UserId) -> Option<Body> {
        None
    }

    /// A user without a wallet's row may have answers, so all of them have a state.
    async fn load(store: &dyn AggregateLoads, keys: &[UserId]) -> Result<Vec<(UserId, WalletState)>> {
        let loaded = store.load_wallets(keys).await?;
        let mut found: HashMap<UserId, Wallet> = loaded.into_iter().map(|row| (row.user_id.clone(), row)).collect();
        let state = |user: &UserId| (user.clone(), WalletState::load(user.clone(), found.remove(user)));
        Ok(keys.iter().map(state).collect())
    }

    async fn recall(store: &dyn AggregateLoads, recalls: &[wallet::Recall]) -> Result<Vec<(UserId, wallet::Row)>> {
        let (mut payments, mut causes) = (Vec::new(), Vec::new());
        for recall in recalls {
            match recall {
                wallet::Recall::Answers(payment) => payments.push(*payment),
                wallet::Recall::Entry(kind, cause) => causes.push((*kind, *cause)),
            }
        }
        let mut rows = Vec::new();
        if !payments.is_empty() {
            let found = store.load_answers(&payments).await?;
            rows.extend(found.into_iter().map(|row| (row.user_id.clone(), wallet::Row::Answer(row))));
        }
        if !causes.is_empty() {
            let found = store.load_entries(&causes).await?;
            rows.extend(found.into_iter().map(|row| (row.user_id.clone(), wallet::Row::Entry(row))));
        }
        Ok(rows)
    }

    /// A cause is unique among the entries of a wallet, and a charge writes one unless it goes beyond the limit. A debit may
    /// lack money that it had when it came first.
    fn is_guarded(&self, recall: &wallet::Recall, incoming: i128) -> bool {
        let charge = matches!(recall, wallet::Recall::Entry(EntryKind::Charge, _));
        charge && i128::from(self.balance().get()) + incoming <= i128::from(BALANCE_MAX)
    }

    fn incoming(command: &wallet::Command) -> i128 {
        match command {
            wallet::Command::ChargeWallet(movement) => i128::from(movement.amount.max(0)),
            wallet::Command::CreditWallet(payment) => i128::from(payment.amount.get()),
            wallet::Command::AskPayment(ask) => i128::from(ask.payment.amount.get()),
            wallet::Command::DebitWallet(_) | wallet::Command::DebitForPayment(_) => 0,
        }
    }

    async fn due(_: &dyn Timers, _: u32) -> Result<Vec<(UserId, LogTime)>> {
        Ok(Vec::new())
    }
}

impl LaneAggregate for QueueState {
    const TIMER: Option<CommandKind> = Some(CommandKind::Tick);

    fn command_of(body: Body) -> Option<queue::Command> {
        match body {
            Body::Queues(command) => Some(command),
            Body::Seats(_) | Body::Wallets(_) => None,
        }
    }

    fn key(command: &queue::Command) -> ScheduleId {
        command.schedule_id()
    }

    fn routing_key(key: &ScheduleId) -> RoutingKey {
        RoutingKey::Queue(*key)
    }

    fn changes(rows: Vec<queue::Row>) -> Changes {
        Changes::Queues(rows)
    }

    fn waiting_for(command: &queue::Command) -> Option<String> {
        match command {
            queue::Command::CompleteToken(done) => Some(format!("the token of {}", done.user_id)),
            _ => None,
        }
    }

    fn timer(key: &ScheduleId) -> Option<Body> {
        Some(Body::Queues(queue::Command::Tick(*key)))
    }

    /// One by one: a queue has up to a million tokens, a partition few queues.
    async fn load(store: &dyn AggregateLoads, keys: &[ScheduleId]) -> Result<Vec<(ScheduleId, QueueState)>> {
        let mut states = Vec::new();
        for key in keys {
            states.extend(store.load_queue(*key).await?.map(|(row, live)| (*key, QueueState::load(row, live))));
        }
        Ok(states)
    }

    async fn recall(_: &dyn AggregateLoads, _: &[std::convert::Infallible]) -> Result<Vec<(ScheduleId, queue::Row)>> {
        Ok(Vec::new())
    }

    async fn due(store: &dyn Timers, partition: u32) -> Result<Vec<(ScheduleId, LogTime)>> {
        store.due_queues(partition).await
    }
}
