//! Refusals as the `problem` of an outcome, and positions in the log.

use super::fields::{DecodeError, Fields};
use super::json::Object;
use crate::domain::{Arrival, More, Position, Refusal};

pub(super) fn write_problem(o: &mut Object<'_>, refusal: &Refusal) {
    o.plain("code", refusal.code).text("detail", &refusal.detail);
    match &refusal.more {
        More::Nothing => {}
        More::Taken { seat, by } => {
            o.object("taken", |o| {
                o.seat("seat", seat);
                write_place_in_log(o, by);
            });
        }
        More::AgainAt(time) => {
            o.time("again_at", *time);
        }
        More::Used(first) => {
            o.object("used", |o| write_place_in_log(o, first));
        }
    }
}

fn write_place_in_log(o: &mut Object<'_>, arrival: &Arrival) {
    o.object("position", |o| write_position(o, arrival.position)).time("at", arrival.time);
}

pub(super) fn read_problem(f: &Fields<'_>) -> Result<Refusal, DecodeError> {
    let taken = |f: &Fields<'_>| Ok(More::Taken { seat: f.required("seat")?, by: read_place_in_log(f)? });
    let more = match f.optional_object("taken", taken)? {
        Some(taken) => taken,
        None => match f.optional("again_at")? {
            Some(time) => More::AgainAt(time),
            None => f.optional_object("used", read_place_in_log)?.map_or(More::Nothing, More::Used),
        },
    };
    Ok(Refusal { code: f.required("code")?, detail: f.required("detail")?, more })
}

fn read_place_in_log(f: &Fields<'_>) -> Result<Arrival, DecodeError> {
    Ok(Arrival { position: f.object("position", read_position)?, time: f.required("at")? })
}

pub(super) fn write_decided(o: &mut Object<'_>, decided: &Arrival) {
    write_position(o, decided.position);
    o.time("at", decided.time);
}

pub(super) fn read_decided(f: &Fields<'_>) -> Result<Arrival, DecodeError> {
    Ok(Arrival { position: read_position(f)?, time: f.required("at")? })
}

fn write_position(o: &mut Object<'_>, position: Position) {
    let partition = position.partition;
    o.plain("lane", partition.lane).bare("partition", partition.partition).bare("offset", position.offset);
}

fn read_position(f: &Fields<'_>) -> Result<Position, DecodeError> {
    Ok(Position::new(f.required("lane")?, f.required("partition")?, f.required("offset")?))
}
