//! Connections: which get a place ([`gate`]), how fast they must take what they are sent ([`line`]), and how many bytes
//! unfinished responses may hold ([`held`]). Those whose other end vanished end ([`vanished`]).

pub mod gate;
pub mod held;
pub mod line;
pub mod vanished;
