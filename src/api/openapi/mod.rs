//! The interface described: [`document`] is `/openapi.json`, [`page`] is `/docs`, the same to read.

pub mod document;
pub mod page;
