//! `/v1/ops`: how the system goes, and what an operator can do about it. For admins; answered when all else is full.
//!
//! [`system`] reads what all processes say and how far every partition is, for however many who look; [`verdict`] makes
//! a sentence of it. What an owner holds is changed by commands and interventions only, under the admin's name.

pub mod acts;
pub mod audit;
pub mod dead_letters;
pub mod lag;
pub mod life;
pub mod metrics;
pub mod overview;
pub mod partitions;
pub mod processes;
mod published;
pub mod queues;
pub mod replay;
pub mod requests;
pub mod sale_parts;
pub mod sales;
pub mod sold;
pub mod system;
pub mod throughput;
pub mod undelivered;
pub mod verdict;
pub mod webhook_object;
pub mod webhooks;
