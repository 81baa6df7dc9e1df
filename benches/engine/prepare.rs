//! The commands on the log.

use std::collections::VecDeque;

use turnstile::domain::{Body, Command, RequestId, wallet};
use turnstile::log::{NewRecord, Topic};
use turnstile::wire;
use uuid::Uuid;

use crate::pair::Pair;
use crate::{Args, measured};

/// Appends that are not acknowledged yet.
const IN_FLIGHT: usize = 10_000;

pub fn charge(user: usize) -> Command {
    let user_id = format!("w{user}").parse().expect("a name");
    let movement = wallet::Movement { user_id, amount: 1, reason: None };
    let body = Body::Wallets(wallet::Command::ChargeWallet(movement));
    Command { request_id: RequestId(Uuid::now_v7()), by: None, body }
}

pub async fn append(pair: &Pair, args: &Args) -> anyhow::Result<()> {
    let work = async {
        let mut acknowledgments = VecDeque::new();
        for number in 0..args.commands {
            if acknowledgments.len() == IN_FLIGHT
                && let Some(first) = acknowledgments.pop_front()
            {
                first.await?;
            }
            let command = charge(number % args.wallets);
            let key = command.body.routing_key();
            let topic = Topic::Lane(key.lane());
            let key = key.to_string();
            let partition = wire::routing::partition_for(&key, pair.log.partitions().of(topic));
            let value = wire::command::encode(&command).into();
            acknowledgments.push_back(pair.log.append(
                topic,
                partition,
                NewRecord { key: key.into(), value, headers: Vec::new() },
            ));
        }
        for acknowledgment in acknowledgments {
            acknowledgment.await?;
        }
        Ok(())
    };
    measured(&format!("{}: appended", pair.kind), args.commands, &pair.processes(), work).await
}
