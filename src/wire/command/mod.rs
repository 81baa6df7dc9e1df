//! Commands as JSON records: `{"type":…,"version":1,"request_id":…,…}`, one object each. A file a lane, which also
//! writes the results of its commands.

mod opening;
mod origin;
mod queues;
mod seats;
mod sections;
mod wallets;

use xxhash_rust::xxh3::xxh3_64;

use super::fields::{DecodeError, Fields, no_reader, quoted};
use super::json::Object;
use crate::domain::{Body, Command, CommandKind, Fingerprint, Lane, Reply, UserId, block};

pub use queues::BLOCKS_MAX;
pub(super) use queues::write_status;

/// Longest record value of a command that describes no sections, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Longest record value of `open_block` and `amend_block`. 200,000 seats in rows of 20 with an aisle, each half row
/// with a category of its own, take 465 KiB.
pub const SECTIONS_BYTES_MAX: usize = 1024 * 1024;

/// The one version of every command's fields.
pub const VERSION: u32 = 1;

/// Longest record value of this kind of command, in bytes.
pub fn bytes_max(kind: CommandKind) -> usize {
    match kind {
        CommandKind::OpenBlock | CommandKind::AmendBlock => SECTIONS_BYTES_MAX,
        _ => RECORD_BYTES_MAX,
    }
}

/// The record value of a command. Longer than [`bytes_max`] only for what lists very many things (sections, runs,
/// sequence numbers): who makes such a command checks the length.
pub fn encode(command: &Command) -> Vec<u8> {
    let mut out = String::with_capacity(320);
    Object::write(&mut out, |o| {
        o.plain("type", command.body.kind()).bare("version", VERSION).plain("request_id", command.request_id);
        write_content(o, command);
        if let Body::Seats(block::Command::HoldSeats(hold)) = &command.body
            && hold.admitted
        {
            o.bare("admitted", true);
        }
    });
    out.into_bytes()
}

/// Hash of what a command asks: tells a repeat from another command under the same id. `by` is part of it; the request
/// id and `admitted`, which depends on when the client asks, are not. Stored, so it must stay the same for the same
/// content.
pub fn fingerprint(command: &Command) -> Fingerprint {
    let mut out = String::with_capacity(320);
    Object::write(&mut out, |o| {
        o.plain("type", command.body.kind());
        write_content(o, command);
    });
    Fingerprint(xxh3_64(out.as_bytes()))
}

/// Reads a record value. The error says what is wrong in words for whoever sent it.
pub fn decode(value: &[u8]) -> Result<Command, DecodeError> {
    check_length(value, SECTIONS_BYTES_MAX)?;
    let fields = Fields::parse(value)?;
    let name: String = fields.required("type")?;
    let kind: CommandKind = name.parse().map_err(|_| DecodeError::new(format!("unknown type {}", quoted(&name))))?;
    check_length(value, bytes_max(kind))?;
    let version: u32 = fields.required("version")?;
    if version != VERSION {
        return Err(DecodeError::new(format!("unknown version {version} of {kind}")));
    }
    Ok(Command {
        request_id: fields.required("request_id")?,
        by: fields.optional("by")?,
        body: read_body(kind, &fields)?,
    })
}

fn check_length(value: &[u8], most: usize) -> Result<(), DecodeError> {
    if value.len() <= most {
        return Ok(());
    }
    Err(DecodeError::new(format!("{} bytes, at most {most} are allowed", value.len())))
}

fn read_body(kind: CommandKind, f: &Fields<'_>) -> Result<Body, DecodeError> {
    Ok(match kind.lane() {
        Lane::Seats => Body::Seats(seats::read(kind, f)?),
        Lane::Wallets => Body::Wallets(wallets::read(kind, f)?),
        Lane::Queues => Body::Queues(queues::read(kind, f)?),
        Lane::Inbox => return Err(no_reader(kind)),
    })
}

/// What the fingerprint covers, besides the type.
fn write_content(o: &mut Object<'_>, command: &Command) {
    o.text_if("user_id", command.body.user_id().map(UserId::as_str));
    o.text_if("by", command.by.as_ref().map(UserId::as_str));
    match &command.body {
        Body::Seats(command) => seats::write(o, command),
        Body::Wallets(command) => wallets::write(o, command),
        Body::Queues(command) => queues::write(o, command),
    }
}

/// What a success hands back, as the `result` of its outcome.
pub(super) fn write_result(o: &mut Object<'_>, reply: &Reply) {
    match reply {
        Reply::Seats(reply) => seats::write_result(o, reply),
        Reply::Wallets(reply) => wallets::write_result(o, reply),
        Reply::Queues(reply) => queues::write_result(o, reply),
    }
}

#[cfg(test)]
mod tests;
