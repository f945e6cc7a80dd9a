//! Where bytes come from. A source may know of holes, which then need not be read.

use std::io::{self, Read};

/// What came next from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// This many bytes, at least one, were written to the front of the buffer.
    Data(usize),
    /// This many zero bytes follow, at least one; the buffer was not touched.
    Zeros(u64),
    /// There is nothing more.
    End,
}

/// A content, front to back.
pub trait Source {
    /// Reads on into `buffer`, which is not empty.
    ///
    /// # Errors
    ///
    /// Whatever stopped the reading. [`io::ErrorKind::Interrupted`] is tried again by the caller.
    fn next_span(&mut self, buffer: &mut [u8]) -> io::Result<Span>;
}

/// Any reader, which knows of no holes.
#[derive(Debug)]
pub struct ReaderSource<R>(pub R);

impl<R: Read> Source for ReaderSource<R> {
    fn next_span(&mut self, buffer: &mut [u8]) -> io::Result<Span> {
        Ok(match self.0.read(buffer)? {
            0 => Span::End,
            length => Span::Data(length),
        })
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn next_span(&mut self, buffer: &mut [u8]) -> io::Result<Span> {
        (**self).next_span(buffer)
    }
}
