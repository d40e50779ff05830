//! Archives made byte by byte: precedence of headers, ends, limits, sparse maps, damage.

use super::*;

/// Keeps everything that passes, as tar-split would.
#[derive(Default)]
struct Tape {
    raw: Vec<u8>,
    contents: Vec<u8>,
}

impl Recorder for Tape {
    fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.raw.extend_from_slice(bytes);
        Ok(())
    }

    fn contents(&mut self, bytes: &[u8]) {
        self.contents.extend_from_slice(bytes);
    }
}

fn header(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0u8; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn member(name: &str, kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut member = header(name, kind, contents.len() as u64);
    member.extend_from_slice(contents);
    member.resize(member.len().next_multiple_of(BLOCK), 0);
    member
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let bare = key.len() + value.len() + 3;
        let length = (bare..).find(|length| bare + length.to_string().len() == *length).unwrap();
        text.push_str(&format!("{length} {key}={value}\n"));
    }
    member("pax", b'x', text.as_bytes())
}

/// Reads an archive whole: entries with their stored contents, and the error that ended it, if any.
fn read(archive: &[u8], limits: ApplyLimits) -> (Vec<(Entry, Vec<u8>)>, Option<TarError>) {
    let mut tape = Tape::default();
    let mut reader = Archive::new(archive, limits);
    let mut entries = Vec::new();
    loop {
        match reader.next_entry(&mut tape) {
            Ok(Some(entry)) => {
                let mut contents = Vec::new();
                loop {
                    let chunk = reader.read_chunk::<TarError>(1000, &mut tape, |chunk| {
                        contents.extend_from_slice(chunk);
                        Ok(())
                    });
                    match chunk {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(error) => return (entries, Some(error)),
                    }
                }
                entries.push((entry, contents));
            }
            Ok(None) => break,
            Err(error) => return (entries, Some(error)),
        }
    }
    let error = reader.finish(&mut tape).err();
    if error.is_none() {
        assert_eq!(tape.raw, archive, "every byte is recorded in order");
    }
    (entries, error)
}

fn names(archive: &[u8]) -> Result<Vec<String>, TarError> {
    let (entries, error) = read(archive, ApplyLimits::default());
    match error {
        Some(error) => Err(error),
        None => Ok(entries.into_iter().map(|(entry, _)| String::from_utf8(entry.path).unwrap()).collect()),
    }
}

#[test]
fn extended_headers_have_gos_precedence() {
    let end = vec![0; 1024];
    let cases: [(Vec<Vec<u8>>, &[&str]); 7] = [
        (vec![member("a", b'0', b"x"), member("b/", b'5', b"")], &["a", "b/"]),
        (vec![member("L", b'L', b"gnu\0"), member("a", b'0', b"x")], &["gnu"]),
        (vec![member("L", b'L', b"gnu\0"), pax(&[("path", "pax")]), member("a", b'0', b"x")], &["pax"]),
        (vec![pax(&[("path", "one")]), pax(&[("size", "1")]), member("a", b'0', b"x")], &["a"]),
        (vec![pax(&[("path", "")]), member("a", b'0', b"x")], &["a"]),
        (vec![member("g", b'g', b"12 path=all\n"), member("a", b'0', b"x")], &["a"]),
        (
            vec![pax(&[("size", "600")]), [header("a", b'0', 1), vec![0; 1024]].concat(), member("b", b'0', b"")],
            &["a", "b"],
        ),
    ];
    for (members, expected) in cases {
        let archive = [members.concat(), end.clone()].concat();
        assert_eq!(names(&archive).unwrap(), expected);
    }
}

#[test]
fn the_archive_may_end_in_several_ways() {
    let file = member("a", b'0', b"x");
    for end in [vec![], vec![0; 512], vec![0; 1024], vec![0; 10_240], [vec![0; 1024], b"trailing".to_vec()].concat()] {
        assert_eq!(names(&[file.clone(), end].concat()).unwrap(), ["a"]);
    }
    assert!(names(&[]).unwrap().is_empty());
}

#[test]
fn malformed_archives_are_refused() {
    let file = member("a", b'0', &[1; 600]);
    let mut bad_sum = file.clone();
    bad_sum[0] = b'b';
    let mut bad_size = header("a", b'0', 0);
    bad_size[124] = b'9';
    let cases: [(&str, Vec<u8>); 10] = [
        ("checksum", bad_sum),
        ("octal", bad_size),
        ("cut header", file[..100].to_vec()),
        ("cut contents", file[..700].to_vec()),
        ("zero block inside", [vec![0; 512], file.clone()].concat()),
        ("unknown type", member("a", b'Z', b"")),
        ("pax record", member("p", b'x', b"nonsense\n")),
        ("pax zero in path", pax(&[("path", "a\0b")])),
        ("negative pax size", [pax(&[("size", "-1")]), file.clone()].concat()),
        ("huge owner", [pax(&[("uid", "4294967295")]), file].concat()),
    ];
    for (what, archive) in cases {
        assert!(names(&archive).is_err(), "{what}");
    }
}

#[test]
fn limits_are_checked_before_memory_is_used() {
    let limits = ApplyLimits { entries: 2, archive_bytes: 4096, path_bytes: 8, header_bytes: 600, sparse_regions: 2 };
    let cases: [(&str, Vec<u8>); 5] = [
        ("entries", [member("a", b'0', b""), member("b", b'0', b""), member("c", b'0', b"")].concat()),
        ("bytes", member("a", b'0', &[0; 8192])),
        ("bytes in a path", member("123456789", b'0', b"")),
        ("bytes of an extended header", header("p", b'x', 1 << 30)),
        (
            "regions in a file",
            [
                pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")]),
                member("a", b'0', &[b"999999999\n".as_slice(), &[0; 502]].concat()),
            ]
            .concat(),
        ),
    ];
    for (expected, archive) in cases {
        match read(&archive, limits).1 {
            Some(TarError::Limit { what, .. }) => assert_eq!(what, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn sparse_maps_of_every_version() {
    let regions = [Region { offset: 0, length: 2 }, Region { offset: 10, length: 3 }];
    let plain = b"abcde";
    let leading = [b"2\n0\n2\n10\n3\n".as_slice(), &[0; 501], plain].concat();
    let numbered = |extra: &[(&str, &str)]| {
        let mut records = vec![("GNU.sparse.size", "20"), ("GNU.sparse.numblocks", "2")];
        records.extend_from_slice(extra);
        pax(&records)
    };
    let repeated = [
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "2"),
        ("GNU.sparse.offset", "10"),
        ("GNU.sparse.numbytes", "3"),
    ];
    let mut old = header("a", b'S', 5);
    for (index, number) in [0u64, 2, 10, 3].into_iter().enumerate() {
        old[386 + index * 12..][..11].copy_from_slice(format!("{number:011o}").as_bytes());
    }
    old[483..494].copy_from_slice(format!("{:011o}", 20).as_bytes());
    old[257..265].copy_from_slice(b"ustar  \0");
    old[148..156].copy_from_slice(b"        ");
    let sum: u32 = old.iter().map(|byte| u32::from(*byte)).sum();
    old[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let version_1 = pax(&[
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "real"),
        ("GNU.sparse.realsize", "20"),
    ]);
    let archives = [
        [numbered(&repeated), member("a", b'0', plain)].concat(),
        [numbered(&[("GNU.sparse.map", "0,2,10,3")]), member("a", b'0', plain)].concat(),
        [version_1, member("a", b'0', &leading)].concat(),
        [old, plain.to_vec(), vec![0; 507]].concat(),
    ];
    for (index, archive) in archives.iter().enumerate() {
        let (entries, error) = read(archive, ApplyLimits::default());
        assert!(error.is_none(), "{index}: {error:?}");
        let (entry, contents) = &entries[0];
        assert_eq!(entry.regions.as_deref(), Some(regions.as_slice()), "{index}");
        assert_eq!((entry.size, contents.as_slice()), (20, plain.as_slice()), "{index}");
    }
    for map in ["0,2,1,3", "0,2,18,3", "0,2,10,4", "0,2", "0,2,10,99999999999999999999"] {
        let archive = [numbered(&[("GNU.sparse.map", map)]), member("a", b'0', plain)].concat();
        assert!(read(&archive, ApplyLimits::default()).1.is_some(), "{map}");
    }
}

#[test]
fn header_only_types_have_no_contents() {
    let mut link = header("l", b'1', 5000);
    link[157..161].copy_from_slice(b"file");
    link[148..156].copy_from_slice(b"        ");
    let sum: u32 = link.iter().map(|byte| u32::from(*byte)).sum();
    link[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(names(&[link, member("after", b'0', b"x")].concat()).unwrap(), ["l", "after"]);
}

/// Archives with a few bytes changed are read or refused, never more.
#[test]
fn damaged_archives_do_no_harm() {
    let sparse = pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "20")]);
    let map = [b"1\n0\n2\n".as_slice(), &[0; 506], b"ab"].concat();
    let seed = [
        member("L", b'L', b"a long name\0"),
        member("a", b'0', b"x"),
        pax(&[("path", "pax"), ("mtime", "1.5"), ("SCHILY.xattr.user.x", "v")]),
        member("b", b'5', b""),
        sparse,
        member("s", b'0', &map),
        vec![0; 1024],
    ]
    .concat();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap()
    };
    for _ in 0..20_000 {
        let mut archive = seed.clone();
        for _ in 0..=random() % 4 {
            let at = random() % archive.len();
            archive[at] = u8::try_from(random() % 256).unwrap();
        }
        let start = random() % (archive.len() / BLOCK) * BLOCK;
        let sum: u32 = archive[start..start + BLOCK]
            .iter()
            .enumerate()
            .map(|(index, byte)| if (148..156).contains(&index) { 32 } else { u32::from(*byte) })
            .sum();
        archive[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.truncate(archive.len() - random() % 3 * 100);
        read(&archive, ApplyLimits::default());
    }
}
