//! What services that are not trusted with money may send: the commands of a client, with the fields that a client may
//! give and no others.

use super::command::{self, RECORD_BYTES_MAX};
use super::fields::{DecodeError, Fields};
use crate::domain::{Command, CommandKind};

/// What the inbox takes. No wallet command, nothing of staff, nothing of the program's own.
pub const KINDS: [CommandKind; 5] = [
    CommandKind::HoldSeats,
    CommandKind::PayReservation,
    CommandKind::CancelReservation,
    CommandKind::JoinQueue,
    CommandKind::LeaveQueue,
];

/// What a client cannot give: who acted for another, that the queue was passed, what only the program itself derives.
const FORBIDDEN: [&str; 4] = ["by", "admitted", "origin", "payment_id"];

/// Reads a record value of the inbox. What it gives is to be written anew: fields that are not a command's are gone then.
pub fn decode(value: &[u8]) -> Result<Command, DecodeError> {
    if value.len() > RECORD_BYTES_MAX {
        return Err(DecodeError::new(format!("{} bytes, at most {RECORD_BYTES_MAX} are allowed", value.len())));
    }
    let command = command::decode(value)?;
    let kind = command.body.kind();
    if !KINDS.contains(&kind) {
        return Err(DecodeError::new(format!("{kind} is not taken from the inbox")));
    }
    let fields = Fields::parse(value)?;
    for name in FORBIDDEN {
        if fields.raw(name)?.is_some() {
            return Err(DecodeError::field(name, "not taken from the inbox"));
        }
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::wire::samples;

    fn hold() -> Value {
        json!({"type": "hold_seats", "version": 1, "request_id": "0192e4b0-0000-7000-8000-000000000001",
            "user_id": "alice", "schedule_id": "0192e4b0-0000-7000-8000-00000000005c", "seats": ["A-1"]})
    }

    fn refused(command: &Value) -> String {
        decode(command.to_string().as_bytes()).expect_err("refused").to_string()
    }

    #[test]
    fn clients_commands_are_taken_and_no_others() {
        for (name, sample) in samples::commands() {
            let command = Command { by: None, ..sample };
            let (kind, value) = (command.body.kind(), command::encode(&command));
            let admitted = String::from_utf8_lossy(&value).contains("admitted");
            match decode(&value) {
                Ok(taken) => assert!(KINDS.contains(&kind) && !admitted && taken == command, "{name}"),
                Err(error) => assert!(!KINDS.contains(&kind) || admitted, "{name}: {error}"),
            }
        }
    }

    #[test]
    fn what_a_client_cannot_give_is_refused_whatever_its_value() {
        for name in FORBIDDEN {
            for value in [json!(null), json!(false), json!("x"), json!({})] {
                let mut command = hold();
                command[name] = value.clone();
                let reason = refused(&command);
                assert!(reason.starts_with(&format!("field {name}: ")), "{value}: {reason}");
            }
        }
    }

    #[test]
    fn other_fields_are_dropped() {
        let mut command = hold();
        command["note"] = json!("of a later version");
        let taken = decode(command.to_string().as_bytes()).unwrap();
        let written: Value = serde_json::from_slice(&command::encode(&taken)).unwrap();
        let mut expected = hold();
        expected["block"] = json!("main");
        assert_eq!(written, expected);
    }

    #[test]
    fn records_are_as_long_as_on_the_lanes() {
        let mut command = hold();
        command["note"] = json!("x".repeat(RECORD_BYTES_MAX));
        assert!(refused(&command).contains("at most 65536 are allowed"));
    }
}
