//! What every implementation of a port must do, whatever it is made of.

mod log;
mod store;
