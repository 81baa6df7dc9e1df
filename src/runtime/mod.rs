//! Clock, health, shutdown and supervision of the process.

pub mod clock;
pub mod health;
pub mod shutdown;
pub mod supervise;
