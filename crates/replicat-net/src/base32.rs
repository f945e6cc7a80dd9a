//! Base32 of RFC 4648 in lower case, without padding: easy to read out, and one word to a double click.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The text form of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> Zeroizing<String> {
    // The capacity is exact, so that no secret stays behind in a buffer outgrown.
    let mut text = Zeroizing::new(String::with_capacity((bytes.len() * 8).div_ceil(5)));
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(symbol(buffer >> bits));
        }
    }
    if bits > 0 {
        text.push(symbol(buffer << (5 - bits)));
    }
    text
}

fn symbol(value: u32) -> char {
    char::from(ALPHABET[(value & 31) as usize])
}

/// The bytes of a text form, in either case. Bits beyond the last whole byte are dropped.
///
/// # Errors
/// The position (from 1) and the character that is not of the alphabet.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, (usize, char)> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8));
    let (mut buffer, mut bits) = (0_u32, 0);
    for (index, character) in text.chars().enumerate() {
        let lower = character.to_ascii_lowercase();
        let value = ALPHABET
            .iter()
            .position(|symbol| char::from(*symbol) == lower)
            .ok_or((index + 1, character))?;
        buffer = (buffer & 0xff) << 5 | u32::try_from(value).unwrap_or_default();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits & 0xff) as u8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(*encode(bytes.as_bytes()), text);
            assert_eq!(*decode(text).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn other_characters_are_named() {
        assert_eq!(decode("ab1"), Err((3, '1')));
    }
}
