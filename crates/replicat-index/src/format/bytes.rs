//! Integers, times and byte strings: the alphabet of all rows.

use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;

use crate::error::Fault;

/// Bytes being written.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Seven bits a byte, lowest first, the top bit set on all but the last (LEB128).
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// The difference `value - reference`, small in either direction.
    pub(crate) fn delta(&mut self, value: u64, reference: u64) {
        let difference = value.wrapping_sub(reference).cast_signed();
        self.varint(((difference << 1) ^ (difference >> 63)).cast_unsigned());
    }

    pub(crate) fn length(&mut self, value: usize) {
        self.varint(value as u64);
    }

    /// A length, then the bytes.
    pub(crate) fn string(&mut self, value: &[u8]) {
        self.length(value.len());
        self.0.extend_from_slice(value);
    }

    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }
}

/// Bytes being read.
pub(crate) struct Input<'a>(&'a [u8]);

fn cut() -> Fault {
    Fault::damaged("a row ends too early")
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(cut)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::damaged("a number of a row is too large"))
    }

    pub(crate) fn varint_u32(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.varint()?)
            .map_err(|_| Fault::damaged("a number of a row is over 32 bits"))
    }

    pub(crate) fn delta(&mut self, reference: u64) -> Result<u64, Fault> {
        let value = self.varint()?;
        let difference = (value >> 1) ^ (value & 1).wrapping_neg();
        Ok(reference.wrapping_add(difference))
    }

    /// How many items follow, if there can be so many: each takes `item_bytes_min` bytes or more.
    pub(crate) fn count(&mut self, item_bytes_min: usize) -> Result<usize, Fault> {
        let count = usize::try_from(self.varint()?).map_err(|_| cut())?;
        if count > self.left() / item_bytes_min {
            return Err(cut());
        }
        Ok(count)
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.count(1)?;
        self.raw(length)
    }

    pub(crate) fn text(&mut self) -> Result<String, Fault> {
        let bytes = self.string()?.to_vec();
        String::from_utf8(bytes).map_err(|_| Fault::damaged("a name of a row is not UTF-8"))
    }

    pub(crate) fn hash(&mut self) -> Result<ContentHash, Fault> {
        self.array().map(ContentHash)
    }

    pub(crate) fn path(&mut self) -> Result<RelPath, Fault> {
        RelPath::new(self.string()?).map_err(|error| Fault::damaged(error.to_string()))
    }

    /// Ends the row.
    pub(crate) fn end(self) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Fault::damaged("a row is longer than what it says"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: u64, reference: u64) {
            let mut writer = Writer::default();
            writer.varint(value);
            writer.delta(value, reference);
            let mut input = Input::new(&writer.0);
            prop_assert_eq!(input.varint().unwrap(), value);
            prop_assert_eq!(input.delta(reference).unwrap(), value);
            prop_assert!(input.end().is_ok());
        }
    }

    #[test]
    fn a_small_difference_takes_one_byte_in_either_direction() {
        for (value, reference) in [(1_000, 1_063), (1_063, 1_000), (u64::MAX, 3), (3, u64::MAX)] {
            let mut writer = Writer::default();
            writer.delta(value, reference);
            assert_eq!(writer.0.len(), 1, "{value} from {reference}");
        }
    }

    #[test]
    fn lengths_beyond_the_row_are_refused_before_anything_is_allocated() {
        let mut writer = Writer::default();
        writer.varint(u64::MAX);
        writer.raw(b"abc");
        assert!(Input::new(&writer.0).string().is_err());
        assert!(Input::new(&writer.0).count(1).is_err());
        assert!(Input::new(&[0xff; 11]).varint().is_err());
    }
}
