//! Frames as they come: whole, a byte at a time, and wrong.

use bytes::BufMut as _;
use crio_testkit::spdy::{FIN, Wire, control, data, go_away, ping, reset};

use super::*;

fn decoder() -> Decoder {
    Decoder::new(&Limits::default())
}

/// What a client sent, in short.
fn all(decoder: &mut Decoder, bytes: &[u8], at_once: usize) -> Result<Vec<String>, ProtocolError> {
    let (mut input, mut frames) = (BytesMut::new(), Vec::new());
    for part in bytes.chunks(at_once) {
        input.put_slice(part);
        while let Some(frame) = decoder.next_frame(&mut input)? {
            match frame {
                Frame::Data { bytes, is_last: false, .. } if bytes.is_empty() => {}
                frame => frames.push(format!("{frame:?}")),
            }
        }
    }
    assert!(input.is_empty() && decoder.is_between_frames(), "{input:?}");
    Ok(frames)
}

#[test]
fn frames_are_the_same_however_they_come() {
    let mut wire = Wire::default();
    let session = [
        wire.syn_stream(1, &[("streamtype", "error")]),
        wire.syn_stream_of(3, FIN, &crio_testkit::spdy::block(&[("streamtype", "stdin")])),
        control(4, 0, &[0; 12]),
        control(9, 0, &[0; 8]),
        control(77, 0, &[0; 100]),
        ping(1),
        data(1, 0, b""),
        data(1, FIN, b"x"),
        reset(3),
        go_away(),
    ]
    .concat();
    let expected = [
        "SynStream { id: StreamId(1), headers: Ok(Headers([(\"streamtype\", \"error\")])), is_last: false, is_one_way: false }",
        "SynStream { id: StreamId(3), headers: Ok(Headers([(\"streamtype\", \"stdin\")])), is_last: true, is_one_way: false }",
        "Ping { number: 1 }",
        "Data { id: StreamId(1), bytes: b\"x\", is_first_part: true, is_last: true }",
        "Reset { id: StreamId(3) }",
        "GoAway",
    ];
    for at_once in [1, 2, 7, 1000] {
        let frames = all(&mut decoder(), &session, at_once).unwrap();
        // Bytewise, a data frame has a first part without bytes.
        let frames: Vec<String> =
            frames.iter().map(|frame| frame.replace("is_first_part: false", "is_first_part: true")).collect();
        assert_eq!(frames, expected, "{at_once} at once");
    }
}

#[test]
fn a_data_frame_comes_in_parts() {
    let mut decoder = decoder();
    let mut input = BytesMut::from(&data(5, FIN, b"parts")[..10]);
    let part = |frame| match frame {
        Ok(Some(Frame::Data { bytes, is_first_part, is_last, .. })) => (bytes, is_first_part, is_last),
        other => panic!("{other:?}"),
    };
    assert_eq!(part(decoder.next_frame(&mut input)), (Bytes::from_static(b"pa"), true, false));
    assert!(matches!(decoder.next_frame(&mut input), Ok(None)) && !decoder.is_between_frames());
    input.put_slice(b"rts");
    assert_eq!(part(decoder.next_frame(&mut input)), (Bytes::from_static(b"rts"), false, true));
    assert!(decoder.is_between_frames());
}

#[test]
fn frames_that_end_the_connection() {
    let too_long = 10 + Limits::default().max_header_block_bytes + 1;
    let version_2 = [0x80, 2, 0, 1, 0, 0, 0, 10];
    for (name, bytes, expected) in [
        ("another version", version_2.to_vec(), "version 2"),
        ("data of no stream", data(0, 0, b"x"), "stream 0"),
        ("a stream without id", Wire::default().syn_stream(0, &[]), "stream 0"),
        ("a reset of no stream", reset(0), "stream 0"),
        ("headers of no stream", control(8, 0, &[0; 10]), "stream 0"),
        ("a short stream", control(1, 0, &[1; 9]), "kind 1 has 9"),
        ("an empty stream", control(1, 0, &[]), "kind 1 has 0"),
        ("a long stream", control(1, 0, &vec![1; too_long]), &format!("kind 1 has {too_long}")),
        ("a short reply", control(2, 0, &[1; 3]), "kind 2 has 3"),
        ("a short reset", control(3, 0, &[1; 7]), "kind 3 has 7"),
        ("a long reset", control(3, 0, &[1; 9]), "kind 3 has 9"),
        ("a short ping", control(6, 0, &[1; 3]), "kind 6 has 3"),
        ("a long ping", control(6, 0, &[1; 5]), "kind 6 has 5"),
        ("a short goodbye", control(7, 0, &[1; 4]), "kind 7 has 4"),
        ("garbage for headers", control(1, 0, &[1; 30]), "decompressed"),
        ("garbage for later headers", control(8, 0, &[1; 30]), "decompressed"),
    ] {
        let error = all(&mut decoder(), &bytes, 1000).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn a_frame_that_is_skipped_is_not_kept() {
    let (mut decoder, mut input) = (decoder(), BytesMut::new());
    input.put_slice(&[0x80, 3, 0, 4, 0, 0xff, 0xff, 0xff]);
    let mut left = 0x00ff_ffff;
    while left > 0 {
        let step = left.min(1000);
        input.put_bytes(0xff, step);
        left -= step;
        assert!(matches!(decoder.next_frame(&mut input), Ok(None)) && input.is_empty());
    }
    input.put_slice(&ping(9));
    assert!(matches!(decoder.next_frame(&mut input), Ok(Some(Frame::Ping { number: 9 }))));
}
