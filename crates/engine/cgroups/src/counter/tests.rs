//! Parsing of counter files, and readings of real groups.

use super::*;
use crate::testing::{Group, legacy, unified};

#[test]
fn numbers_and_limits() {
    for (text, number, limit) in [
        ("42\n", Some(42), Some(42)),
        ("0", Some(0), Some(0)),
        ("max\n", None, None),
        ("9223372036854771712\n", Some(9_223_372_036_854_771_712), None),
        ("9223372036854710272\n", Some(9_223_372_036_854_710_272), None),
        ("", None, None),
        ("-1\n", None, None),
        ("99999999999999999999\n", None, None),
    ] {
        assert_eq!(parse::number(text.as_bytes()), number, "{text:?}");
        assert_eq!(parse::limit(text.as_bytes()), limit, "{text:?}");
    }
}

#[test]
fn keyed_lines_skip_nonsense() {
    let text = b"anon 7\nbroken\nfile x\n\ninactive_file 9\n";
    let found: Vec<_> = parse::fields(text).collect();
    assert_eq!(found, [(&b"anon"[..], 7), (&b"inactive_file"[..], 9)]);
    assert_eq!(parse::field(text, b"inactive_file"), Some(9));
    assert_eq!(parse::field(text, b"inactive"), None);
}

#[test]
fn pressure_has_two_lines_and_old_kernels_one() {
    let both = b"some avg10=1.50 avg60=0.25 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=3.00 total=7\n";
    let pressure = parse::pressure(both).unwrap();
    assert_eq!((pressure.some.avg10, pressure.some.avg60, pressure.some.total_ns), (1.5, 0.25, 12_000));
    assert_eq!((pressure.full.avg300, pressure.full.total_ns), (3.0, 7_000));
    let one = parse::pressure(b"some avg10=0.10 avg60=0.00 avg300=0.00 total=1\n").unwrap();
    assert_eq!((one.some.total_ns, one.full.total_ns), (1_000, 0));
    for text in ["", "some", "some avg10=x", "full total=1 avg10"] {
        assert_eq!(parse::pressure(text.as_bytes()), None, "{text:?}");
    }
}

/// The kernel adds up `memory.stat` every two seconds, unless much has changed.
#[expect(clippy::disallowed_methods, reason = "the kernel tells nobody when it has added up")]
fn settled<T>(mut read: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + crate::testing::PATIENCE;
    loop {
        if let Some(settled) = read() {
            return settled;
        }
        assert!(std::time::Instant::now() < deadline, "the kernel did not add up");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_legacy_group_is_read_until_it_is_gone() {
    let cgroups = legacy();
    let group = Group::create(&cgroups, "counted");
    let reader = CounterReader::open(&cgroups, &group.path).unwrap().expect("it exists");
    let idle = reader.read().unwrap().expect("it exists");
    assert_eq!(idle.cpu.map(|cpu| cpu.usage_core_ns), Some(0));
    assert_eq!(idle.task_count, Some(0));
    assert_eq!(idle.io, None);

    let mut busy = group.run(&cgroups, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo; read x");
    busy.wait_for_line();
    let used = settled(|| {
        let is_counted = |memory: MemoryStats| memory.rss_bytes > 0 && memory.page_faults > 0;
        reader.read().unwrap().filter(|used| used.memory.is_some_and(is_counted))
    });
    assert!(used.cpu.unwrap().usage_core_ns > 100_000, "{used:?}");
    let memory = used.memory.unwrap();
    assert!(memory.rss_bytes > 0 && memory.usage_bytes >= memory.working_set_bytes, "{memory:?}");
    assert!(memory.page_faults > 0 && memory.available_bytes.is_none(), "{memory:?}");
    assert_eq!(used.task_count, Some(1));

    drop(busy);
    cgroups.remove(&group.path, crate::testing::PATIENCE).unwrap();
    assert_eq!(reader.read().unwrap(), None);
    assert!(CounterReader::open(&cgroups, &group.path).unwrap().is_none());
}

#[test]
fn a_unified_group_is_read_until_it_is_gone() {
    let mounted = unified();
    let group = Group::create(&mounted.cgroups, "counted");
    let reader = CounterReader::open(&mounted.cgroups, &group.path).unwrap().expect("it exists");
    let mut busy = group.run(&mounted.cgroups, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo; read x");
    busy.wait_for_line();
    let used = reader.read().unwrap().expect("it exists");
    let cpu = used.cpu.unwrap();
    assert!(cpu.usage_core_ns > 100_000, "{used:?}");
    assert!(cpu.pressure.is_some() && used.io.is_some(), "{used:?}");
    drop(busy);
    mounted.cgroups.remove(&group.path, crate::testing::PATIENCE).unwrap();
    assert_eq!(reader.read().unwrap(), None);
}

#[test]
fn unified_memory_files_become_figures() {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("cpu.stat", "usage_usec 5\nuser_usec 4\n"),
        ("memory.current", "1000\n"),
        ("memory.max", "5000\n"),
        ("memory.stat", "anon 600\nfile 400\ninactive_file 300\npgfault 8\npgmajfault 2\n"),
        ("memory.swap.current", "10\n"),
        ("memory.swap.max", "max\n"),
        ("pids.current", "3\n"),
    ] {
        std::fs::write(directory.path().join(file), text).unwrap();
    }
    let files = unified::Files::open(&Arc::from(directory.path())).unwrap().unwrap();
    let counters = files.read(Timestamp(7), &mut Buffer([0; BUFFER_LENGTH])).unwrap();
    let memory = counters.memory.unwrap();
    assert_eq!(memory.working_set_bytes, 700);
    assert_eq!(memory.available_bytes, Some(4300));
    assert_eq!((memory.rss_bytes, memory.page_faults, memory.major_page_faults), (600, 8, 2));
    assert_eq!(counters.swap.map(|swap| (swap.usage_bytes, swap.available_bytes)), Some((10, None)));
    assert_eq!(counters.task_count, Some(3));
    assert_eq!(counters.cpu.map(|cpu| (cpu.usage_core_ns, cpu.pressure)), Some((5000, None)));
    assert_eq!(counters.io, None);
}

#[test]
fn unified_details_become_figures() {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("cpu.stat", "usage_usec 9\nuser_usec 6\nsystem_usec 3\nnr_periods 4\nnr_throttled 2\nthrottled_usec 70\n"),
        ("memory.stat", "anon 600\nfile 400\nkernel 50\nfile_mapped 30\n"),
        ("memory.peak", "2000\n"),
        ("memory.events", "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n"),
        ("io.stat", "8:16 \n8:0 rbytes=1024 wbytes=2048 rios=3 wios=4 dbytes=0 dios=0\nx:y rbytes=1\n"),
        ("pids.max", "max\n"),
        ("hugetlb.2MB.current", "4194304\n"),
    ] {
        std::fs::write(directory.path().join(file), text).unwrap();
    }
    let files = details::unified_files(&Arc::from(directory.path()), vec!["2MB".to_owned(), "1GB".to_owned()]).unwrap();
    assert_eq!(files.open_files(), 7);
    let details = files.read(&mut Buffer([0; BUFFER_LENGTH])).unwrap();
    let expected =
        CpuDetails { user_ns: 6000, system_ns: 3000, periods: 4, throttled_periods: 2, throttled_ns: 70_000 };
    assert_eq!(details.cpu, Some(expected));
    let memory = details.memory.unwrap();
    assert_eq!((memory.cache_bytes, memory.kernel_bytes, memory.mapped_file_bytes), (400, Some(50), 30));
    assert_eq!((memory.peak_bytes, memory.limit_hits, memory.own_page_faults), (Some(2000), Some(5), None));
    assert_eq!((details.oom_kills, details.task_limit), (Some(1), None));
    let io = DeviceIo { device: (8, 0), read_bytes: 1024, write_bytes: 2048, reads: 3, writes: 4 };
    assert_eq!(details.io, [io]);
    let huge = HugepageUse { page_size: "2MB".to_owned(), usage_bytes: 4_194_304, peak_bytes: None };
    assert_eq!(details.hugepages, [huge]);
}

#[test]
fn legacy_details_of_a_real_group() {
    let cgroups = legacy();
    let group = Group::create(&cgroups, "detailed");
    let mut busy = group.run(&cgroups, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo; read x");
    busy.wait_for_line();
    let mut reader = CounterReader::open(&cgroups, &group.path).unwrap().expect("it exists");
    let before = reader.open_files();
    let faulted = |details: &Details| details.memory.is_some_and(|memory| memory.own_page_faults > Some(0));
    let details = settled(|| reader.read_details(&cgroups, &group.path).unwrap().filter(faulted));
    assert!(reader.open_files() > before);
    let cpu = details.cpu.expect("accounted");
    assert!(cpu.user_ns + cpu.system_ns > 100_000, "{cpu:?}");
    let memory = details.memory.expect("accounted");
    assert!(memory.peak_bytes.is_some_and(|peak| peak > 0), "{memory:?}");
    assert_eq!((details.oom_kills, details.task_limit), (Some(0), None));
    drop(busy);
    cgroups.remove(&group.path, crate::testing::PATIENCE).unwrap();
    assert_eq!(reader.read_details(&cgroups, &group.path).unwrap(), None);
}
