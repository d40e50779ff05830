//! One file of an archive, all headers taken into account.

use super::header::Header;
use super::pax::Extensions;
use super::source::TarError;
use crate::config::ApplyLimits;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Character,
    Block,
    Fifo,
}

/// A moment, as files carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// Part of a sparse file that has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// One file of an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// Path as written: it may be absolute, climb, or end with a slash.
    pub(crate) path: Vec<u8>,
    /// Target of a link, as written.
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Size of the file; of a sparse file, with its holes.
    pub(crate) size: u64,
    pub(crate) mtime: Time,
    pub(crate) atime: Time,
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the stored bytes of a sparse file belong.
    pub(crate) regions: Option<Vec<Region>>,
}

impl Entry {
    /// The file these headers describe; its size and regions are filled in by the caller.
    pub(crate) fn new(
        header: &Header,
        extensions: &Extensions,
        limits: &ApplyLimits,
        position: u64,
    ) -> Result<Self, TarError> {
        let malformed = |what| TarError::malformed(position, what);
        let path = first_of([&extensions.sparse.name, &extensions.path, &extensions.long_name], &header.name);
        let link = first_of([&None, &extensions.link, &extensions.long_link], &header.link);
        for text in [&path, &link] {
            if text.len() > limits.path_bytes {
                return Err(TarError::Limit { what: "bytes in a path", limit: limits.path_bytes as u64 });
            }
            if text.contains(&0) {
                return Err(malformed("a path holds a zero byte"));
            }
        }
        let owner = |id: i64| u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or_else(|| malformed("an owner"));
        let device = |number: i64| u32::try_from(number).map_err(|_| malformed("a device number"));
        let mtime = extensions.mtime.unwrap_or(Time { seconds: header.mtime, nanoseconds: 0 });
        let atime = extensions.atime.filter(|atime| !atime.is_before(mtime)).unwrap_or(mtime);
        Ok(Self {
            kind: kind(header.type_flag, &path).ok_or_else(|| malformed("an unknown type of file"))?,
            path,
            link,
            mode: header.mode,
            uid: owner(extensions.uid.unwrap_or(header.uid))?,
            gid: owner(extensions.gid.unwrap_or(header.gid))?,
            size: 0,
            mtime,
            atime,
            device: (device(header.device_major)?, device(header.device_minor)?),
            xattrs: extensions.xattrs.clone(),
            regions: None,
        })
    }
}

fn first_of(candidates: [&Option<Vec<u8>>; 3], fallback: &[u8]) -> Vec<u8> {
    candidates.into_iter().flatten().next().map_or_else(|| fallback.to_vec(), Clone::clone)
}

fn kind(type_flag: u8, path: &[u8]) -> Option<Kind> {
    Some(match type_flag {
        0 if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Character,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => return None,
    })
}

impl Time {
    /// A PAX time: decimal seconds with an optional sign and fraction. Digits beyond nanoseconds are dropped.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let negative = whole.starts_with('-');
        let mut seconds: i64 = whole.parse().ok()?;
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut nanoseconds = 0;
        for index in 0..9 {
            nanoseconds = nanoseconds * 10 + fraction.as_bytes().get(index).map_or(0, |digit| u32::from(digit - b'0'));
        }
        if negative && nanoseconds > 0 {
            seconds = seconds.checked_sub(1)?;
            nanoseconds = 1_000_000_000 - nanoseconds;
        }
        Some(Self { seconds, nanoseconds })
    }

    fn is_before(self, other: Self) -> bool {
        (self.seconds, self.nanoseconds) < (other.seconds, other.nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn times() {
        let cases: [(&str, Option<(i64, u32)>); 9] = [
            ("1350244992.023960108", Some((1_350_244_992, 23_960_108))),
            ("1350244992.0239601089", Some((1_350_244_992, 23_960_108))),
            ("0", Some((0, 0))),
            ("5.5", Some((5, 500_000_000))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-0.5", Some((-1, 500_000_000))),
            ("1.x", None),
            ("", None),
            ("1,5", None),
        ];
        for (text, expected) in cases {
            let parsed = Time::parse(text.as_bytes()).map(|time| (time.seconds, time.nanoseconds));
            assert_eq!(parsed, expected, "{text:?}");
        }
    }
}
