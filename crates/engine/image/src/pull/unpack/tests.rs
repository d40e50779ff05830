//! Streams of every format, broken ones, and bombs.

use std::io::Write;

use super::*;

const NO_LIMIT: u64 = u64::MAX;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn unpack(blob: Vec<u8>, limit: u64) -> std::result::Result<(Vec<u8>, Unpacked), UnpackError> {
    let mut unpacker = Unpacker::new(Cursor::new(blob), limit)?;
    // The sink reads a part, as one that stops at the archive's end does; the rest is drained.
    let mut content = vec![0; 10];
    let amount = unpacker.read(&mut content).map_err(|_| unpacker.take_failure().unwrap())?;
    content.truncate(amount);
    Ok((content, unpacker.finish()?))
}

#[test]
fn every_format_gives_the_same_stream() {
    let content = b"not really a tar stream, but long enough to be read in parts".repeat(1000);
    let mut members = gzip(&content[..1000]);
    members.extend(gzip(b""));
    members.extend(gzip(&content[1000..]));
    let mut frames = zstd::encode_all(&content[..1000], 3).unwrap();
    frames.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    frames.extend(zstd::encode_all(&content[1000..], 3).unwrap());
    for (blob, compression) in [
        (content.clone(), Compression::None),
        (gzip(&content), Compression::Gzip),
        (members, Compression::Gzip),
        (zstd::encode_all(content.as_slice(), 3).unwrap(), Compression::Zstd),
        (frames, Compression::Zstd),
    ] {
        let (start, unpacked) = unpack(blob, NO_LIMIT).unwrap();
        assert_eq!(start, content[..start.len()]);
        assert_eq!(unpacked.compression, compression);
        assert_eq!(unpacked.diff_id, Digest::of(&content));
        assert_eq!(unpacked.size_bytes, content.len() as u64);
    }
    for short in [&b""[..], b"a", b"\x1f"] {
        assert_eq!(unpack(short.to_vec(), NO_LIMIT).unwrap().1.diff_id, Digest::of(short));
    }
}

#[test]
fn refuses_broken_and_foreign_streams() {
    let content = b"content ".repeat(1000);
    let whole = gzip(&content);
    let compressed = zstd::encode_all(content.as_slice(), 3).unwrap();
    let mut trailing = whole.clone();
    trailing.extend(b"rubbish behind the last member");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut bad_checksum = whole.clone();
    let end = bad_checksum.len() - 6;
    bad_checksum[end] ^= 0xff;
    for (name, blob) in [
        ("truncated gzip", whole[..whole.len() - 1].to_vec()),
        ("truncated gzip body", whole[..whole.len() / 2].to_vec()),
        ("gzip header alone", whole[..5].to_vec()),
        ("gzip with trailing rubbish", trailing),
        ("flipped gzip", flipped),
        ("gzip with a bad checksum", bad_checksum),
        ("truncated zstd", compressed[..compressed.len() - 1].to_vec()),
        ("zstd header alone", compressed[..4].to_vec()),
        ("xz", b"\xfd7zXZ\0rest".to_vec()),
        ("bzip2", b"BZh9rest".to_vec()),
    ] {
        assert!(unpack(blob, NO_LIMIT).is_err(), "{name}");
    }
}

#[test]
fn stops_a_bomb_at_its_limit() {
    let zeros = vec![0; 4 << 20];
    for blob in [gzip(&zeros), zstd::encode_all(zeros.as_slice(), 3).unwrap()] {
        assert!(matches!(unpack(blob.clone(), (4 << 20) - 1), Err(UnpackError::Bomb { .. })));
        assert!(unpack(blob, 4 << 20).is_ok());
    }
    let limits = UnpackLimits { ratio: 10, allowance_bytes: 5 };
    assert_eq!(limits.most(3), 35);
    assert_eq!(limits.most(u64::MAX), u64::MAX);
}

#[test]
fn refuses_a_zstd_window_that_is_too_large() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.write_all(b"content").unwrap();
    let blob = encoder.finish().unwrap();
    assert!(matches!(unpack(blob, NO_LIMIT), Err(UnpackError::Corrupt(_))));
}

#[test]
fn many_empty_members_take_little_time() {
    let blob = gzip(b"").repeat(100_000);
    let (_, unpacked) = unpack(blob, NO_LIMIT).unwrap();
    assert_eq!(unpacked.size_bytes, 0);
}
