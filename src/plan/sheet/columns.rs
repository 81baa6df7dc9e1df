//! The columns of a file and the tags of a seat.

use crate::plan::finding::{PlanError, Warnings};

/// Section, row and seat are required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Section,
    Row,
    Seat,
    /// Without this column, a section is a category of its name.
    Category,
    /// In units, both or none.
    X,
    Y,
    /// Words: [`WHEELCHAIR`] and those below it.
    Tags,
    /// Guid, or number of a seat of the same row: the wheelchair place of this companion seat.
    CompanionOf,
    Guid,
}

impl Column {
    pub const ALL: [Column; 9] = [
        Column::Section,
        Column::Row,
        Column::Seat,
        Column::Category,
        Column::X,
        Column::Y,
        Column::Tags,
        Column::CompanionOf,
        Column::Guid,
    ];
    const REQUIRED: [Column; 3] = [Column::Section, Column::Row, Column::Seat];

    pub fn as_str(self) -> &'static str {
        match self {
            Column::Section => "section",
            Column::Row => "row",
            Column::Seat => "seat",
            Column::Category => "category",
            Column::X => "x",
            Column::Y => "y",
            Column::Tags => "tags",
            Column::CompanionOf => "companion_of",
            Column::Guid => "guid",
        }
    }
}

pub const WHEELCHAIR: &str = "wheelchair";
pub const COMPANION: &str = "companion";
pub const RESTRICTED_VIEW: &str = "restricted_view";
pub const AISLE: &str = "aisle";
/// An aisle lies between the seat before it in the row and this one.
pub const AISLE_BEFORE: &str = "aisle_before";

/// Where each column is.
pub struct Columns([Option<usize>; Column::ALL.len()]);

impl Columns {
    /// Names in any case; unknown ones are ignored.
    pub fn of(header: &csv::StringRecord, warnings: &mut Warnings) -> Result<Columns, PlanError> {
        let mut found = [None; Column::ALL.len()];
        for (at, name) in header.iter().enumerate() {
            let lower = name.trim().to_lowercase();
            let Some(column) = Column::ALL.iter().position(|column| column.as_str() == lower) else {
                warnings.note("line 1", format!("column {name:?} is ignored"));
                continue;
            };
            if found[column].replace(at).is_some() {
                return Err(PlanError::new("line 1", format!("column {lower:?} is there twice")));
            }
        }
        let columns = Columns(found);
        match Column::REQUIRED.into_iter().find(|column| !columns.has(*column)) {
            Some(missing) => {
                let message = format!("column {:?} is missing; section, row and seat are required", missing.as_str());
                Err(PlanError::new("line 1", message))
            }
            None if columns.has(Column::X) != columns.has(Column::Y) => {
                Err(PlanError::new("line 1", "columns \"x\" and \"y\" go together"))
            }
            None => Ok(columns),
        }
    }

    pub fn has(&self, column: Column) -> bool {
        self.0[column as usize].is_some()
    }

    /// Empty if the column is not there.
    pub fn get<'a>(&self, record: &'a csv::StringRecord, column: Column) -> &'a str {
        self.0[column as usize].and_then(|at| record.get(at)).unwrap_or_default()
    }
}
