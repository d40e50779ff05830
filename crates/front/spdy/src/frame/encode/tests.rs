//! A client understands what we write.

use crio_testkit::spdy::{Frame, Wire};

use super::*;

#[test]
fn every_frame_is_understood() {
    let (one, three) = (StreamId::from_wire(1), StreamId::from_wire(3));
    let mut output = BytesMut::new();
    syn_reply(&mut output, one, Block::First);
    syn_reply(&mut output, three, Block::Later);
    syn_reply(&mut output, StreamId::from_wire(5), Block::Later);
    data(&mut output, three, b"bytes");
    fin(&mut output, three);
    ping(&mut output, 7);
    reset(&mut output, one, ResetStatus::Cancel);
    go_away(&mut output, three, GoAwayStatus::ProtocolError);

    let mut wire = Wire::default();
    wire.receive(&output);
    let reply = |id| Frame::SynReply { id, headers: Default::default() };
    for expected in [
        reply(1),
        reply(3),
        reply(5),
        Frame::Data { id: 3, bytes: b"bytes".to_vec(), is_last: false },
        Frame::Data { id: 3, bytes: Vec::new(), is_last: true },
        Frame::Ping { number: 7 },
        Frame::Reset { id: 1, status: 5 },
        Frame::GoAway { last_good: 3, status: 1 },
    ] {
        assert_eq!(wire.next_frame().unwrap(), Some(expected));
    }
    assert_eq!(wire.next_frame().unwrap(), None);
}
