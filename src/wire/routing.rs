//! Which partition a routing key belongs to: the same answer as Java's Kafka clients give by default.

/// The 32-bit hash of Kafka's Java client (`Utils.murmur2`), bit for bit.
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    const SEED: u32 = 0x9747_b28c;

    // The length enters modulo 2^32, as Java's int does.
    let mut hash = SEED ^ (bytes.len() as u32);
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of `key` on a topic of so many `partitions` (at least 1): `(murmur2 & 0x7fffffff) % partitions`.
pub fn partition_for(key: &str, partitions: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_what_the_java_client_gives() {
        let known: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in known {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn partitions_are_within_their_count_and_the_sign_bit_is_masked() {
        // A negative hash must not become a large unsigned one: Java masks the sign bit before the remainder.
        assert_eq!(partition_for("21", 16), ((-973_932_308i32) & 0x7fff_ffff) as u32 % 16);
        for key in ["", "a", "alice", "0192/A"] {
            for partitions in [1, 2, 3, 8, 16] {
                assert!(partition_for(key, partitions) < partitions);
            }
        }
    }
}
