//! Every codec: what it takes, what it refuses, and that it writes what it reads.

use std::time::Duration;

use super::*;
use crate::section::{CgroupManager, LogLevel};

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// `cases`: a string, and the canonical string it is read as, or `None` when it is refused.
fn check<T, C: Codec<T>>(cases: &[(&str, Option<&str>)]) {
    for (text, expected) in cases {
        let written = C::decode(&string(text)).ok().and_then(|value| C::encode(&value));
        assert_eq!(written, expected.map(string), "{text:?}");
        if let Some(value) = &written {
            let again = C::decode(value).ok().and_then(|value| C::encode(&value));
            assert_eq!(again.as_ref(), Some(value), "{text:?} does not read back");
        }
    }
}

#[test]
fn durations_are_written_as_go_writes_them() {
    check::<Duration, GoDuration>(&[
        ("0", Some("0s")),
        ("0s", Some("0s")),
        ("90s", Some("1m30s")),
        ("4h", Some("4h0m0s")),
        ("1h30m", Some("1h30m0s")),
        ("1.5h", Some("1h30m0s")),
        (".5s", Some("500ms")),
        ("1.25s", Some("1.25s")),
        ("300ms", Some("300ms")),
        ("5us", Some("5µs")),
        ("7ns", Some("7ns")),
        ("+1m", Some("1m0s")),
        ("", None),
        ("5", None),
        ("-5s", None),
        ("s", None),
        (".s", None),
        ("1x", None),
        ("1s2", None),
        ("1.2.3s", None),
        ("99999999999999h", None),
    ]);
    assert_eq!(GoDuration::decode(&Value::Integer(1_000_000)), Ok(Duration::from_millis(1)));
    assert!(GoDuration::decode(&Value::Integer(-1)).is_err());
}

#[test]
fn sizes_take_binary_units() {
    check::<u64, ByteSize>(&[
        ("12MiB", Some("12MiB")),
        ("12m", Some("12MiB")),
        ("12 mb", Some("12MiB")),
        ("512000", Some("500KiB")),
        ("1025", Some("1025B")),
        ("1025B", Some("1025B")),
        ("0", Some("0")),
        ("", None),
        ("MiB", None),
        ("1x", None),
        ("1i", None),
        ("-1", None),
        ("99999999999TiB", None),
    ]);
}

#[test]
fn rules_are_checked_against_the_kernels_vocabulary() {
    check::<_, UlimitRule>(&[
        ("nofile=1024:2048", Some("nofile=1024:2048")),
        ("NOFILE=1024", Some("nofile=1024:1024")),
        ("core=-1:-1", Some("core=-1:-1")),
        ("core=unlimited", Some("core=-1:-1")),
        ("nofile=2:1", None),
        ("nofiles=1", None),
        ("nofile", None),
        ("nofile=x", None),
    ]);
    check::<_, CapabilityName>(&[("CAP_CHOWN", Some("CHOWN")), ("net_raw", Some("NET_RAW")), ("FLY", None)]);
    check::<_, Sysctl>(&[
        ("net.core.somaxconn=1", Some("net.core.somaxconn=1")),
        ("net/core/somaxconn = 1", Some("net.core.somaxconn=1")),
        ("kernel.shmmax=1", Some("kernel.shmmax=1")),
        ("kernel.panic=1", None),
        ("net.core.somaxconn", None),
        ("net/../../x=1", None),
    ]);
    check::<_, DeviceRule>(&[
        ("/dev/fuse", Some("/dev/fuse:/dev/fuse:rwm")),
        ("/dev/fuse:rw", Some("/dev/fuse:/dev/fuse:rw")),
        ("/dev/a:/dev/b", Some("/dev/a:/dev/b:rwm")),
        ("/dev/a:/dev/b:r", Some("/dev/a:/dev/b:r")),
        ("/dev/a:/dev/b:x", None),
        ("/dev/a:/dev/b:rr", None),
        ("dev/a", None),
        ("/a:/b:r:w", None),
        ("/a:b:r", None),
    ]);
    check::<_, Assigned>(&[("A=b=c", Some("A=b=c")), ("A=", Some("A=")), ("=b", None), ("A", None)]);
    check::<_, CpuList>(&[("0-3,8", Some("0-3,8")), ("3-1", None), ("a", None), ("1,", None)]);
    check::<_, IdMappings>(&[
        ("", Some("")),
        ("0:100000:65536", Some("0:100000:65536")),
        ("0:1:2,2:5:1", Some("0:1:2,2:5:1")),
        ("0:1", None),
        ("0:1:0", None),
        ("0:4294967295:2", None),
        ("0:1:2:3", None),
    ]);
    check::<u16, PortText>(&[("0", Some("0")), ("65535", Some("65535")), ("65536", None), ("", None)]);
    check::<_, CollectorName>(&[
        ("operations_total", Some("operations_total")),
        ("container_runtime_crio_operations_total", Some("operations_total")),
        ("crio_operations_total", Some("operations_total")),
        ("no_such", None),
    ]);
    check::<_, PodMetrics>(&[("diskIO", Some("diskIO")), ("diskio", None)]);
    check::<_, StorageOption>(&[("overlay.size=1G", Some("overlay.size=1G")), ("overlay", None)]);
    check::<std::path::PathBuf, AbsolutePath>(&[("/a", Some("/a")), ("a", None), ("", None)]);
}

#[test]
fn words_name_what_they_would_take() {
    check::<CgroupManager, Word>(&[("systemd", Some("systemd")), ("Cgroupfs", Some("cgroupfs")), ("", None)]);
    check::<Option<LogLevel>, Optional<Word>>(&[("", Some("")), ("debug", Some("debug")), ("loud", None)]);
    let refused = <Word as Codec<CgroupManager>>::decode(&string("upstart")).expect_err("no such word");
    assert_eq!(refused.found, "\"upstart\"");
    assert_eq!(refused.expected, "one of \"systemd\", \"cgroupfs\"");
}

#[test]
fn numbers_stay_in_range() {
    let decode = <Number<-1, 10> as Codec<i64>>::decode;
    assert_eq!(decode(&Value::Integer(10)), Ok(10));
    assert!(decode(&Value::Integer(11)).is_err());
    assert!(decode(&string("1")).is_err());
    assert_eq!(PositiveOr::<8192>::decode(&Value::Integer(-7)), Ok(None));
    assert_eq!(PositiveOr::<8192>::decode(&Value::Integer(8192)), Ok(Some(8192)));
    assert!(PositiveOr::<8192>::decode(&Value::Integer(0)).is_err());
    assert_eq!(MessageSize::decode(&Value::Integer(0)), Ok(MessageSize::DEFAULT));
    assert_eq!(MessageSize::decode(&Value::Integer(5)), Ok(5));
    assert!(MessageSize::decode(&Value::Integer(1 << 40)).is_err());
}

#[test]
fn lists_drop_empty_strings_and_refuse_other_shapes() {
    let list = Value::Array(vec![string(""), string("b")]);
    assert_eq!(List::<Regular>::decode(&list), Ok(vec!["b".to_owned()]));
    assert!(List::<Regular>::decode(&string("b")).is_err());
    assert!(List::<Regular>::decode(&Value::Array(vec![Value::Integer(1)])).is_err());
    assert!(StringMap::decode(&Value::Table(toml::Table::from_iter([("a".to_owned(), Value::Integer(1))]))).is_err());
}

#[test]
fn text_becomes_what_an_author_would_have_written() {
    let cases = [
        (Shape::Switch, vec!["T"], Ok(Value::Boolean(true))),
        (Shape::Switch, vec!["true", "0"], Ok(Value::Boolean(false))),
        (Shape::Switch, vec!["yes"], Err(())),
        (Shape::Integer, vec!["7"], Ok(Value::Integer(7))),
        (Shape::Integer, vec!["seven"], Err(())),
        (Shape::Text, vec!["a,b"], Ok(string("a,b"))),
        (Shape::List, vec!["a, b", "c"], Ok(Value::Array(vec![string("a"), string("b"), string("c")]))),
    ];
    for (shape, texts, expected) in cases {
        let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        assert_eq!(value_from_text(shape, &texts).map_err(|_| ()), expected, "{texts:?}");
    }
}
