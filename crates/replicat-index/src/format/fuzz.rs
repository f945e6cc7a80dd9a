//! Every row comes back as it went in, and no bytes whatever bring a decoder down.

use proptest::collection::vec;
use proptest::prelude::*;
use replicat_core::id::ReplicaId;
use replicat_core::record::Record;

use crate::format::keys::{Place, path_of};
use crate::format::rows::{
    decode_history, decode_identity, decode_manifest, decode_member, decode_skipped,
};
use crate::format::v1::{decode_record, decode_vector, encode_record, encode_vector};
use crate::replicas::Replicas;

// The same records as the tests of the whole index.
#[path = "../../tests/it/generate.rs"]
#[allow(dead_code, unreachable_pub)]
mod generate;

fn replicas() -> Replicas {
    let mut replicas = Replicas::default();
    for id in 1..4 {
        replicas.number(ReplicaId(id));
    }
    replicas
}

/// What a decoder makes of the bytes matters less than that it comes back, having kept no more than
/// a few times their length.
fn decode_all(bytes: &[u8]) {
    let replicas = replicas();
    let _ = decode_record(bytes, &replicas);
    let _ = decode_vector(bytes, &replicas);
    let _ = decode_member(bytes, &replicas);
    let _ = decode_history(bytes, &replicas);
    let _ = decode_identity(bytes);
    let _ = decode_manifest(bytes);
    let _ = decode_skipped(bytes);
    let _ = Place::decode(bytes);
    let _ = path_of(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_record_comes_back_whole(record in generate::record()) {
        let mut replicas = Replicas::default();
        let bytes = encode_record(&record, &mut replicas);
        prop_assert_eq!(decode_record(&bytes, &replicas).unwrap(), record);
    }

    #[test]
    fn a_vector_comes_back_whole(dots in vec(generate::dot(), 0..6)) {
        let mut replicas = Replicas::default();
        let vector = dots.into_iter().collect();
        let bytes = encode_vector(&vector, &mut replicas);
        prop_assert_eq!(decode_vector(&bytes, &replicas).unwrap(), vector);
    }

    #[test]
    fn random_bytes_are_an_error_or_a_row(bytes in vec(any::<u8>(), 0..200)) {
        decode_all(&bytes);
    }

    #[test]
    fn a_changed_record_is_an_error_or_another_record(
        record in generate::record(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
    ) {
        let mut replicas = Replicas::default();
        let mut bytes = encode_record(&record, &mut replicas);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        decode_all(&bytes);
        let _ = decode_record(&bytes, &replicas);
        let _ = decode_record(&bytes[..length.index(bytes.len())], &replicas);
    }

    #[test]
    fn a_record_that_is_cut_or_longer_is_an_error(
        record in generate::record(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut replicas = Replicas::default();
        let mut bytes = encode_record(&record, &mut replicas);
        let cut = &bytes[..length.index(bytes.len())];
        prop_assert!(decode_record(cut, &replicas).is_err());
        bytes.push(0);
        prop_assert!(decode_record(&bytes, &replicas).is_err());
    }
}

#[test]
fn a_row_may_not_name_a_replica_that_has_no_number() {
    let mut numbered = replicas();
    let dots = [replicat_core::version::Dot {
        counter: 1,
        replica: ReplicaId(77),
    }];
    let bytes = encode_vector(&dots.into_iter().collect(), &mut numbered);
    assert!(decode_vector(&bytes, &replicas()).is_err());
    assert!(decode_record(&encode_record(&Record::default(), &mut numbered), &numbered).is_ok());
}
