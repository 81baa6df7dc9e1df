//! Who runs a command that changes something.

use turnstile::domain::UserId;

#[derive(Debug, clap::Args)]
pub struct By {
    /// Who; it is kept with what is changed
    #[arg(long, env = "USER", value_name = "NAME", default_value = "operator")]
    pub by: UserId,
}
