use proptest::prelude::*;
use replicat_net::{ClusterKey, ClusterKeyError};

/// The key of the bytes 0 to 31, which `docs/protocol.md` gives as an example.
const EXAMPLE: &str = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypu7eja";

#[test]
fn a_key_survives_its_text() {
    let key = ClusterKey::generate().unwrap();
    let text = key.to_text();
    assert_eq!(text.len(), 56);
    assert_eq!(text.parse::<ClusterKey>().unwrap(), key);
    let spaced = format!("  {}\n", text.to_uppercase());
    assert_eq!(spaced.parse::<ClusterKey>().unwrap(), key);
}

#[test]
fn two_keys_differ() {
    assert_ne!(
        ClusterKey::generate().unwrap(),
        ClusterKey::generate().unwrap()
    );
}

#[test]
fn a_key_is_not_shown() {
    let key = ClusterKey::generate().unwrap();
    assert_eq!(format!("{key:?}"), "ClusterKey(hidden)");
}

proptest! {
    #[test]
    fn one_wrong_character_is_a_typing_error(position in 0_usize..56, wrong in 0_usize..32) {
        let mut text = ClusterKey::generate().unwrap().to_text().to_string().into_bytes();
        let wrong = b"abcdefghijklmnopqrstuvwxyz234567"[wrong];
        prop_assume!(text[position] != wrong);
        text[position] = wrong;
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(text.parse::<ClusterKey>(), Err(ClusterKeyError::Checksum));
    }
}

#[test]
fn other_mistakes_are_named() {
    let text = ClusterKey::generate().unwrap().to_text();
    assert_eq!(
        text[..50].parse::<ClusterKey>(),
        Err(ClusterKeyError::Length { found: 50 })
    );
    let zero = format!("0{}", &text[1..]);
    assert_eq!(
        zero.parse::<ClusterKey>(),
        Err(ClusterKeyError::Character {
            character: '0',
            position: 1
        })
    );
}

#[test]
fn derivations_are_those_of_the_documentation() {
    let key: ClusterKey = EXAMPLE.parse().unwrap();
    let authority = key.authority().unwrap();
    assert_eq!(
        authority.cluster_id().to_string(),
        "97c5286edb0b17982bb1da2c173fdb29"
    );
    let certificate = authority.certificate();
    let public_key = "a8caac16f617b97d01e691fe37f0aaf714db8191fda057771b0328854a9472b1";
    assert!(hex(&certificate).contains(public_key));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
    assert_eq!(
        hex(digest.as_ref()),
        "e947d98e636f72dc940568108e3d93b4be0aefe16d2a26f02c6e0b82c73b9834"
    );
}

#[test]
fn all_nodes_derive_one_authority() {
    let key = ClusterKey::generate().unwrap();
    let first = key.authority().unwrap().certificate();
    let second = key.authority().unwrap().certificate();
    assert_eq!(first, second);
    let other = ClusterKey::generate().unwrap().authority().unwrap();
    assert_ne!(first, other.certificate());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
