//! Turns and limits, without any I/O.

use std::task::Poll;

use tokio::io::ReadBuf;

use super::*;
use crate::frame::Frame;
use crate::frame::encode::MAX_DATA_BYTES;

fn context() -> std::task::Context<'static> {
    std::task::Context::from_waker(Waker::noop())
}

fn id(number: u32) -> StreamId {
    StreamId::from_wire(number)
}

fn open(core: &mut Core, number: u32) -> Poll<Option<StreamId>> {
    let mut frame =
        Frame::SynStream { id: id(number), headers: Ok(Headers::default()), is_last: false, is_one_way: false };
    core.apply(&mut frame);
    core.poll_arrival(&context()).map(|arrival| arrival.map(|arrival| arrival.id))
}

fn send(core: &mut Core, number: u32, bytes: &'static [u8]) -> Applied {
    let bytes = bytes.into();
    core.apply(&mut Frame::Data { id: id(number), bytes, is_first_part: true, is_last: false })
}

fn write(core: &mut Core, number: u32, count: usize) -> usize {
    match core.poll_write(id(number), &context(), &vec![b'x'; count]) {
        Poll::Ready(written) => written.unwrap(),
        Poll::Pending => 0,
    }
}

/// The streams of the data frames that are sent.
fn turns(core: &mut Core) -> Vec<u32> {
    let mut output = BytesMut::new();
    core.fill(&mut output);
    let mut wire = crio_testkit::spdy::Wire::default();
    wire.receive(&output);
    let frames = std::iter::from_fn(|| wire.next_frame().unwrap());
    frames
        .filter_map(|frame| match frame {
            crio_testkit::spdy::Frame::Data { id, .. } => Some(id),
            _ => None,
        })
        .collect()
}

fn with(limits: Limits, streams: u32) -> Core {
    let mut core = Core::new(limits);
    for number in (1..).step_by(2).take(streams as usize) {
        assert_eq!(open(&mut core, number), Poll::Ready(Some(id(number))));
    }
    core
}

#[test]
fn streams_are_sent_in_turn() {
    let mut core = with(Limits::default(), 3);
    write(&mut core, 1, 3 * MAX_DATA_BYTES);
    write(&mut core, 3, 10);
    write(&mut core, 5, MAX_DATA_BYTES + 1);
    assert_eq!(turns(&mut core), [1, 3, 5, 1, 5, 1]);
    assert!(turns(&mut core).is_empty());
    assert_eq!(core.queued_bytes, 0);
}

#[test]
fn what_is_written_is_bounded_and_nobody_starves() {
    let limits = Limits { stream_buffer_bytes: 10_000, connection_buffer_bytes: 15_000, ..Limits::default() };
    let mut core = with(limits, 4);
    assert_eq!(write(&mut core, 1, 20_000), 10_000);
    assert_eq!(write(&mut core, 1, 1), 0, "its own limit");
    assert_eq!(write(&mut core, 3, 20_000), 5_000, "the common limit");
    assert_eq!(write(&mut core, 5, 20_000), 4 << 10, "what each may");
    assert_eq!(write(&mut core, 5, 1), 0);
    assert_eq!(write(&mut core, 7, 20_000), 4 << 10);
    assert_eq!(turns(&mut core), [1, 3, 5, 7]);
    assert_eq!(core.queued_bytes, 0);
    assert_eq!(write(&mut core, 5, 20_000), 10_000);
}

#[test]
fn what_is_received_is_bounded() {
    let limits = Limits { stream_buffer_bytes: 10, connection_buffer_bytes: 15, ..Limits::default() };
    let mut core = with(limits, 2);
    assert_eq!(send(&mut core, 1, b"0123456789"), Applied::Wholly);
    assert_eq!(send(&mut core, 1, b"more"), Applied::Partly);
    assert_eq!(send(&mut core, 3, b"012345"), Applied::Partly);
    assert_eq!(core.received_bytes, 15);

    let mut space = [0; 4];
    let mut buffer = ReadBuf::new(&mut space);
    assert!(core.poll_read(id(1), &context(), &mut buffer).is_ready());
    assert_eq!((buffer.filled(), core.received_bytes), (&b"0123"[..], 11));
    core.drop_reader(id(1));
    assert_eq!(core.received_bytes, 5);
    assert_eq!(send(&mut core, 1, b"thrown away, however much it is"), Applied::Wholly);
    assert_eq!(core.received_bytes, 5);
}

#[test]
fn answers_stop_the_reading() {
    let mut core = Core::new(Limits::default());
    let mut pings = 0;
    while core.may_read() {
        core.apply(&mut Frame::Ping { number: 1 });
        pings += 1;
    }
    assert!((1300..1400).contains(&pings), "{pings} of 12 bytes");
    turns(&mut core);
    assert!(core.may_read());
}

#[test]
fn a_stream_is_kept_until_it_is_let_go_and_sent() {
    let mut core = with(Limits::default(), 1);
    write(&mut core, 1, 10);
    core.finish(id(1)).unwrap();
    core.drop_reader(id(1));
    core.drop_writer(id(1));
    assert_eq!(core.streams.len(), 1, "its bytes are not sent");
    turns(&mut core);
    assert!(core.streams.is_empty());
}

#[test]
fn streams_that_come_and_go_before_they_are_accepted_cost_nothing() {
    let mut core = Core::new(Limits::default());
    for number in (1..100_000).step_by(2) {
        let headers = Ok(Headers::default());
        core.apply(&mut Frame::SynStream { id: id(number), headers, is_last: false, is_one_way: false });
        send(&mut core, number, b"data");
        core.apply(&mut Frame::Reset { id: id(number) });
    }
    assert!(core.streams.is_empty() && core.arrivals.is_empty() && core.answers.is_empty());
    assert_eq!((core.received_bytes, core.queued_bytes), (0, 0));
}
