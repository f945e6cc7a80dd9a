//! From older formats to the one written now: one step a format, all steps in one commit.

use redb::WriteTransaction;

use crate::error::Fault;
use crate::format::FORMAT_VERSION;
use crate::summary::count_holdings;
use crate::tables::{Name, OpenTables, Rows};

const FORMAT: &[u8] = b"format";

/// One step, in the transaction of all.
type Step = fn(&WriteTransaction) -> Result<(), Fault>;

/// `STEPS[n]` makes format n + 1 of format n.
const STEPS: [Step; FORMAT_VERSION as usize] = [
    add_history,
    add_skipped,
    add_scope,
    add_versions,
    add_unheld,
];

/// Format 0 had neither a history nor settings.
fn add_history(transaction: &WriteTransaction) -> Result<(), Fault> {
    for table in [Name::History, Name::Settings] {
        transaction.open_table(table.definition())?;
    }
    Ok(())
}

/// Format 1 did not say what was skipped.
fn add_skipped(transaction: &WriteTransaction) -> Result<(), Fault> {
    transaction.open_table(Name::Skipped.definition())?;
    Ok(())
}

/// Format 2 did not know what filters leave out, nor how much the storage holds.
fn add_scope(transaction: &WriteTransaction) -> Result<(), Fault> {
    transaction.open_table(Name::Excluded.definition())?;
    count_holdings(&mut OpenTables::of(transaction)?)
}

/// Format 3 had no replaced versions in its history. Its rows read as before: the step keeps older programs away.
fn add_versions(_: &WriteTransaction) -> Result<(), Fault> {
    Ok(())
}

/// Format 4 did not say what of a description a storage could not take. Its rows read as before, as those of format 3 do.
fn add_unheld(_: &WriteTransaction) -> Result<(), Fault> {
    Ok(())
}

/// The format of a file.
pub(crate) fn format(rows: &impl Rows) -> Result<u32, Fault> {
    let found = rows.get(Name::Meta, FORMAT, |row| {
        let bytes = row.try_into();
        let bytes = bytes.map_err(|_| Fault::damaged("its format is not a number"))?;
        Ok(u32::from_le_bytes(bytes))
    })?;
    found.ok_or_else(|| Fault::damaged("it does not say its format"))
}

/// Notes that a file has the format written now.
pub(crate) fn set_format(tables: &mut OpenTables<'_>) -> Result<(), Fault> {
    tables.put(Name::Meta, FORMAT, &FORMAT_VERSION.to_le_bytes())?;
    Ok(())
}

/// Brings a file of format `found` to the format written now; the caller commits.
pub(crate) fn migrate(transaction: &WriteTransaction, found: u32) -> Result<(), Fault> {
    for step in STEPS.iter().skip(found as usize) {
        step(transaction)?;
    }
    set_format(&mut OpenTables::of(transaction)?)
}
