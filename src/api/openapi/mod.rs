//! The interface described: `/openapi.json`, and `/docs`, the same to read.
//!
//! Handlers describe themselves; [`document`] adds what holds for all commands alike, [`page`] renders it, [`handlers`]
//! serve both. [`bodies`], [`results`] and [`webhooks`] are shapes that exist for the description only.

pub mod bodies;
pub mod document;
pub mod handlers;
pub mod page;
pub mod results;
pub mod webhooks;
