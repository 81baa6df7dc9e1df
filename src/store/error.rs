//! Why the store did not do what it was asked for.

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is away; nothing was changed. Try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke after COMMIT was sent: read the progress before anything else.
    #[error("whether the commit took effect is unknown: {0}")]
    Unknown(String),
    /// It took longer than a statement may; nothing was changed. Less at once may work.
    #[error("the store took too long: {0}")]
    TimedOut(String),
    /// The store answered, and trying again would fail the same way (schema, constraint, corrupt row).
    #[error("the store refused: {0}")]
    Failed(String),
}
