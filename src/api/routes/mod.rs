//! The handlers, a file a resource. The body of a new date is read in [`schedule_plan`] and [`section_plan`], that of
//! its amendment in [`amendment`] and [`enlarging`]; [`steps`] sends the commands of both.

pub mod acting;
pub mod amending;
pub mod amendment;
pub mod concerts;
pub mod enlarging;
pub mod health;
pub mod holds;
pub mod labels;
pub mod layout_object;
pub mod me;
pub mod opening;
pub mod pages;
pub mod payments;
pub mod plan_object;
pub mod planned;
pub mod plans;
pub mod queue;
pub mod queue_position;
pub mod queue_stats;
pub mod queue_streams;
pub mod requests;
pub mod reservations;
pub mod schedule_plan;
pub mod schedules;
pub mod seats;
pub mod section_plan;
pub mod steps;
pub mod tickets;
pub mod wallet;
