//! A user and their roles.

use crate::api::http::problem::{Kind, Problem};
use crate::domain::UserId;

/// What a caller may do beyond a user's own affairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Charge and debit the wallets of others.
    Cashier,
    /// Hold, pay and cancel for others.
    BoxOffice,
    /// Check tickets.
    Door,
}

impl Role {
    /// The name in a token or header. An admin's can be set: this is the default.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Cashier => "cashier",
            Role::BoxOffice => "box_office",
            Role::Door => "door",
        }
    }
}

/// Some of the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// The roles among these names; others mean nothing here.
    pub fn named<'n>(names: impl Iterator<Item = &'n str>, admin_role: &str) -> Roles {
        let others = [Role::Cashier, Role::BoxOffice, Role::Door];
        names.fold(Roles::default(), |roles, name| match others.iter().find(|role| role.as_str() == name) {
            _ if name == admin_role => roles.with(Role::Admin),
            Some(role) => roles.with(*role),
            None => roles,
        })
    }

    pub fn with(self, role: Role) -> Roles {
        Roles(self.0 | 1 << role as u8)
    }

    fn contains(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }
}

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub user: UserId,
    pub roles: Roles,
}

impl Caller {
    /// Whether the caller has the role; an admin has all.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(Role::Admin) || self.roles.contains(role)
    }

    /// Refuses a caller without the role as `forbidden`; `what` begins the sentence "… needs the role".
    pub fn needs(&self, role: Role, what: &str) -> Result<(), Problem> {
        match self.has(role) {
            true => Ok(()),
            false => Err(Problem::new(Kind::Forbidden, format!("{what} needs the role {}", role.as_str()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_has_every_role_and_the_others_their_own() {
        let all = [Role::Admin, Role::Cashier, Role::BoxOffice, Role::Door];
        for role in all {
            let caller =
                |name| Caller { user: "a".parse().unwrap(), roles: Roles::named([name, "staff"].into_iter(), "boss") };
            let expected = |has: &Role| *has == role || role == Role::Admin;
            let name = if role == Role::Admin { "boss" } else { role.as_str() };
            assert_eq!(all.map(|has| caller(name).has(has)), all.map(|has| expected(&has)), "{name}");
        }
        assert_eq!(Roles::named(["admin", "Cashier", "door "].into_iter(), "boss"), Roles::default());
    }
}
