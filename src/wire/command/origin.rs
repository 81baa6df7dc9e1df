//! For whose sake money moves between lanes: part of the commands that carry it there and back.

use crate::domain::block::Origin;
use crate::domain::{Asking, UserId};
use crate::wire::fields::{DecodeError, Fields};
use crate::wire::json::Object;
use crate::wire::key;
use crate::wire::values::fingerprint_text;

pub(super) fn read(f: &Fields<'_>) -> Result<Origin, DecodeError> {
    Ok(Origin {
        key: key::read(f)?,
        reservation_id: f.required("reservation_id")?,
        payment_id: f.required("payment_id")?,
        asking: read_asking(f)?,
    })
}

fn read_asking(f: &Fields<'_>) -> Result<Option<Asking>, DecodeError> {
    match (f.optional("request_id")?, f.optional("fingerprint")?, f.optional("by")?) {
        (Some(request_id), Some(fingerprint), by) => Ok(Some(Asking { request_id, fingerprint, by })),
        (None, None, None) => Ok(None),
        _ => Err(DecodeError::new("request_id and fingerprint must be given together, and by only with them")),
    }
}

pub(super) fn write(o: &mut Object<'_>, origin: &Origin) {
    o.object("origin", |o| {
        key::write(o, &origin.key);
        o.plain("reservation_id", origin.reservation_id).plain("payment_id", origin.payment_id);
        if let Some(asking) = &origin.asking {
            o.plain("request_id", asking.request_id).plain("fingerprint", fingerprint_text(asking.fingerprint));
            o.text_if("by", asking.by.as_ref().map(UserId::as_str));
        }
    });
}
