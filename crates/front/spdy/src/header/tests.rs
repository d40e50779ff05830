//! Blocks that a client made, and blocks that no client would make.

use crio_testkit::spdy::{Wire, block};

use super::*;

const LIMIT_BYTES: usize = 16 << 10;

#[test]
fn blocks_of_one_connection_are_one_stream() {
    let (mut wire, mut inflater) = (Wire::default(), Inflater::new(LIMIT_BYTES));
    for number in 0..100 {
        let request = number.to_string();
        let headers = [("streamtype", "data"), ("port", "8080\u{0}8081"), ("requestid", request.as_str())];
        let plain = inflater.inflate(&wire.compressed(&block(&headers))).unwrap();
        let headers = Headers::parse(&plain, 3).unwrap();
        assert_eq!(headers.first("streamType"), Some("data"));
        assert_eq!(headers.first("port"), Some("8080"), "the first of two values");
        assert_eq!(headers.first("requestID"), Some(request.as_str()));
        assert_eq!(headers.first("absent"), None);
    }
}

#[test]
fn a_block_of_any_size_up_to_the_limit() {
    let (mut wire, mut inflater) = (Wire::default(), Inflater::new(LIMIT_BYTES));
    for length in [0, 1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, LIMIT_BYTES] {
        let plain: Vec<u8> = (0..length).map(|at| (at * at) as u8).collect();
        assert_eq!(inflater.inflate(&wire.compressed(&plain)).unwrap(), plain, "{length}");
    }
    let error = inflater.inflate(&wire.compressed(&vec![b'a'; LIMIT_BYTES + 1])).unwrap_err();
    assert!(matches!(error, ProtocolError::HeaderBlock { limit: LIMIT_BYTES }));
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = Wire::default().compressed(&vec![0; 16 << 20]);
    assert!(bomb.len() < 20 << 10, "{}", bomb.len());
    let mut inflater = Inflater::new(LIMIT_BYTES);
    assert!(matches!(inflater.inflate(&bomb), Err(ProtocolError::HeaderBlock { .. })));
    assert!(inflater.zlib.total_out() <= (LIMIT_BYTES + STEP_BYTES) as u64);
}

#[test]
fn what_is_no_part_of_the_stream_is_refused() {
    let good = Wire::default().compressed(&block(&[]));
    let ended = {
        let mut zlib = flate2::Compress::new(flate2::Compression::fast(), true);
        let mut ended = Vec::with_capacity(100);
        zlib.compress_vec(b"end", &mut ended, flate2::FlushCompress::Finish).unwrap();
        ended
    };
    let mut other_dictionary = good.clone();
    other_dictionary[5] ^= 1;
    for (name, bytes) in [
        ("no zlib", vec![0; 32]),
        ("another dictionary", other_dictionary),
        ("the end of the stream", ended),
        ("a bad block", [&good[..], &[0xff; 8]].concat()),
    ] {
        let error = Inflater::new(LIMIT_BYTES).inflate(&bytes).unwrap_err();
        assert!(matches!(error, ProtocolError::Compression { .. }), "{name}: {error}");
    }
}

#[test]
fn malformed_blocks() {
    let upper = block(&[("Name", "v")]);
    let twice = block(&[("a", "1"), ("b", "2"), ("a", "3")]);
    let nameless = block(&[("", "1")]);
    let good = block(&[("a", "1"), ("b", "")]);
    let mut binary = good.clone();
    binary[8] = 0xff;
    let mut longer = good.clone();
    longer.push(0);
    let mut huge = good.clone();
    huge[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(Headers::parse(&good, 2).is_ok());
    for (bytes, expected) in [
        (&[][..], BadHeaders::Length),
        (&[0, 0, 0][..], BadHeaders::Length),
        (&[0xff; 4][..], BadHeaders::TooMany),
        (&block(&[("a", ""), ("b", ""), ("c", "")]), BadHeaders::TooMany),
        (&upper, BadHeaders::Name),
        (&twice[..], BadHeaders::TooMany),
        (&nameless, BadHeaders::Name),
        (&binary, BadHeaders::Text),
        (&longer, BadHeaders::Length),
        (&huge, BadHeaders::Length),
    ] {
        assert_eq!(Headers::parse(bytes, 2), Err(expected), "{bytes:?}");
    }
    assert_eq!(Headers::parse(&twice, 3), Err(BadHeaders::Twice));
    for end in 0..good.len() {
        assert_eq!(Headers::parse(&good[..end], 2), Err(BadHeaders::Length), "{end}");
    }
}
