//! The files of a folder.

use std::io::{self, Read, Write};

use axum::http::{HeaderMap, Method, header};
use replicat_content::ContentHasher;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_server::control::json::Object;
use ureq::SendBody;

use super::call::of_folder;
use super::{ApiClient, ApiError, Call, UPLOAD_PATIENCE};

/// How much is taken at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// What must be there for a file to be put in its place, or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PutIf {
    /// Anything, or nothing.
    #[default]
    Anything,
    /// Nothing.
    Nothing,
    /// A file of this content.
    Content(ContentHash),
}

/// A file, or a part of one, that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// How much came, in bytes.
    pub size: u64,
    /// The name of the whole content, in hexadecimal.
    pub content: String,
}

impl ApiClient {
    /// Fetches a file of a folder into `to`, or those of its bytes that lie in `range`; without an end, up to the end of the file.
    ///
    /// A whole file is checked against the name of its content. What went into `to` is good only if this returns `Ok`.
    ///
    /// # Errors
    /// If it is not answered; [`ApiError::Content`] if it broke off, or is not what it was said to be. What `to` fails by, as
    /// `failed` makes it.
    pub fn download<E: From<ApiError>>(
        &self,
        folder: &str,
        path: &RelPath,
        range: Option<(u64, Option<u64>)>,
        to: &mut dyn Write,
        failed: impl Fn(io::Error) -> E,
    ) -> Result<Downloaded, E> {
        let mut call = file(Method::GET, folder, path);
        if let Some((first, end)) = range {
            let last = end.map(|end| end.saturating_sub(1).to_string());
            let last = last.unwrap_or_default();
            call = call.header("range", format!("bytes={first}-{last}"));
        }
        let response = self.send(&call)?;
        let (is_part, headers) = (response.status() == 206, response.headers());
        let content = content(headers).ok_or_else(|| self.broken("it has no ETag"))?;
        let size = length(headers).ok_or_else(|| self.broken("it has no Content-Length"))?;
        let body = response.into_body().into_with_config().limit(u64::MAX);
        let mut from = body.reader();
        let mut hasher = ContentHasher::new(size);
        let (mut piece, mut came) = (vec![0; PIECE_BYTES], 0);
        loop {
            let read = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => return Err(ApiError::Content(error.to_string()).into()),
            };
            hasher.update(&piece[..read]);
            to.write_all(&piece[..read]).map_err(&failed)?;
            came += read as u64;
        }
        if came != size {
            return Err(ApiError::Content(format!("{came} bytes came of {size}")).into());
        }
        if !is_part && hasher.finish().hash.to_string() != content {
            return Err(ApiError::Content("it is not what it was said to be".to_owned()).into());
        }
        to.flush().map_err(failed)?;
        Ok(Downloaded { size, content })
    }

    /// Puts `size` bytes of `from` at a path of a folder, if what is there is as `condition` says: an `uploaded`.
    ///
    /// # Errors
    /// If it is not answered, or refused. Nothing is changed then.
    pub fn upload(
        &self,
        folder: &str,
        path: &RelPath,
        condition: PutIf,
        from: &mut dyn Read,
        size: u64,
    ) -> Result<Object, ApiError> {
        let call = conditional(file(Method::PUT, folder, path), condition)
            .header("content-length", size.to_string())
            // Whoever refuses says so before the content is sent.
            .header("expect", "100-continue");
        let response = self.send_with(&call, SendBody::from_reader(from), UPLOAD_PATIENCE)?;
        self.object(response)
    }

    /// Moves a file of a folder to the trash, if it is as `condition` says: a `removed`.
    ///
    /// # Errors
    /// If it is not answered, or refused. Nothing is changed then.
    pub fn remove(
        &self,
        folder: &str,
        path: &RelPath,
        condition: PutIf,
    ) -> Result<Object, ApiError> {
        self.one(&conditional(file(Method::DELETE, folder, path), condition))
    }
}

fn file(method: Method, folder: &str, path: &RelPath) -> Call {
    let target = of_folder(folder, "/file");
    Call::change(method, &target, None).query("path", path.as_bytes())
}

fn conditional(call: Call, condition: PutIf) -> Call {
    match condition {
        PutIf::Anything => call,
        PutIf::Nothing => call.header("if-none-match", "*"),
        PutIf::Content(content) => call.header("if-match", format!("\"{content}\"")),
    }
}

/// The hash that a file is tagged with.
fn content(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(header::ETAG)?.to_str().ok()?;
    let content = tag.strip_prefix('"')?.strip_suffix('"')?;
    Some(content.to_owned())
}

fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}
