//! File descriptors: how many the process may have, and how many connections that allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files as far as the process may. The limit now; `None`: there is none.
pub fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // It stays as it was.
        Err(_) => limit.current,
    }
}

/// How many of the `wanted` connections fit into the limit beside `others`; at least one.
pub fn fitting(limit: Option<u64>, others: u64, wanted: usize) -> usize {
    let free = limit.map_or(u64::MAX, |limit| limit.saturating_sub(others).max(1));
    wanted.min(usize::try_from(free).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_what_others_leave() {
        assert_eq!(fitting(None, 100, 20_000), 20_000);
        assert_eq!(fitting(Some(65_536), 100, 20_000), 20_000);
        assert_eq!(fitting(Some(1024), 100, 20_000), 924);
        assert_eq!(fitting(Some(1024), 100, 500), 500);
        assert_eq!(fitting(Some(50), 100, 500), 1);
    }

    #[test]
    fn the_limit_is_raised_to_what_it_may_be() {
        let limit = raise_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, limit);
        assert_eq!(raise_limit(), limit);
    }
}
