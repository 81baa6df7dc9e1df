//! The scripts in `migrations/`, embedded. By hand and not by `sqlx::migrate!`: the macro brings a second build of
//! sqlx and SQLite, for the compiler, into every clean build.

use std::borrow::Cow;

use futures_util::future::{BoxFuture, FutureExt, ready};
use sqlx::SqlStr;
use sqlx::error::BoxDynError;
use sqlx::migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator};

/// One script: version, description, SQL.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    pub version: i64,
    pub description: &'static str,
    sql: &'static str,
}

macro_rules! script {
    ($version:literal, $description:literal, $file:literal) => {
        Script {
            version: $version,
            description: $description,
            sql: include_str!(concat!("../../../migrations/", $file)),
        }
    };
}

/// In order of version. A script that was released never changes: its checksum is in the database.
pub const SQLITE: &[Script] = &[script!(1, "initial", "sqlite/0001_initial.sql")];
pub const POSTGRES: &[Script] = &[script!(1, "initial", "postgres/0001_initial.sql")];

#[derive(Debug)]
struct Embedded(&'static [Script]);

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let migration = |script: &Script| {
            let description = Cow::Borrowed(script.description);
            Migration::new(script.version, description, MigrationType::Simple, SqlStr::from_static(script.sql), false)
        };
        ready(Ok(self.0.iter().map(migration).collect())).boxed()
    }
}

pub async fn migrator(scripts: &'static [Script]) -> Result<Migrator, MigrateError> {
    Migrator::new(Embedded(scripts)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_in_the_directories_is_embedded_in_order() {
        for (directory, scripts) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let path = format!("{}/migrations/{directory}", env!("CARGO_MANIFEST_DIR"));
            let entries = std::fs::read_dir(path).expect("the directory is there");
            let mut files: Vec<String> = entries
                .map(|entry| entry.expect("readable").file_name().into_string().expect("a plain name"))
                .collect();
            files.sort_unstable();
            let names = scripts.iter().map(|script| format!("{:04}_{}.sql", script.version, script.description));
            assert_eq!(files, names.collect::<Vec<_>>());
        }
    }
}
