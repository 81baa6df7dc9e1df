//! Clock, file descriptors, health, shutdown and supervision of the process.

pub mod clock;
pub mod descriptors;
pub mod health;
pub mod shutdown;
pub mod supervise;
