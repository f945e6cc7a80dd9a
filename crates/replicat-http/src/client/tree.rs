//! A tree, of which the API answers one level at a time.

use std::collections::VecDeque;

use replicat_server::control::json::{self, Object};
use replicat_server::control::{Command, PathText};

use super::{ApiClient, ApiError, Call};

/// A directory that is being listed.
struct Level {
    call: Call,
    rows: VecDeque<Object>,
    /// What the next page is asked for with; none if there is no further one.
    next: Option<String>,
}

impl Level {
    fn of(client: &ApiClient, folder: &str, path: PathText) -> Result<Self, ApiError> {
        let folder = folder.to_owned();
        let call = Call::of(&Command::Tree { folder, path });
        let (rows, next) = client.page(&call, None)?;
        Ok(Self {
            call,
            rows: rows.into(),
            next,
        })
    }

    fn row(&mut self, client: &ApiClient) -> Result<Option<Object>, ApiError> {
        while self.rows.is_empty() {
            let Some(after) = self.next.take() else {
                return Ok(None);
            };
            let (rows, next) = client.page(&self.call, Some(&after))?;
            (self.rows, self.next) = (rows.into(), next);
        }
        Ok(self.rows.pop_front())
    }
}

/// Takes what is below a directory, each directory before what it holds.
pub(super) fn walk<E: From<ApiError>>(
    client: &ApiClient,
    folder: &str,
    path: &PathText,
    take: &mut dyn FnMut(Object) -> Result<(), E>,
) -> Result<(), E> {
    let mut levels = vec![Level::of(client, folder, path.clone())?];
    while let Some(level) = levels.last_mut() {
        let Some(row) = level.row(client)? else {
            levels.pop();
            continue;
        };
        let is_directory = row.get("kind").is_some_and(|kind| kind == "directory");
        let below = json::path(&row, "path").filter(|_| is_directory);
        take(row)?;
        if let Some(path) = below {
            match Level::of(client, folder, PathText::from(&path)) {
                Ok(level) => levels.push(level),
                // It was removed since it was listed.
                Err(ApiError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
