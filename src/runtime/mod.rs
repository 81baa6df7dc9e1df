//! What keeps the process going and ends it cleanly: clock, shutdown, supervision.

pub mod clock;
pub mod health;
pub mod shutdown;
pub mod supervise;
