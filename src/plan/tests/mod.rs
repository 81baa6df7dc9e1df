//! Formats against each other and against files as they are found. All files are made here.

mod broken;
mod compact;
mod documented;
mod extend;
mod halls;
mod lenient;
mod limits;
mod round_trips;
mod samples;
mod sections;
mod sheet;
