//! Extended headers: PAX records (POSIX.1-2001) and GNU long names.
//!
//! As in Go, an empty value leaves the header's own field in force, a later record wins over an earlier one, and a
//! second extended header before the same file replaces the first.

use super::entry::Time;
use super::source::TarError;
use crate::config::ApplyLimits;

/// Extended attributes of one file at most.
const XATTRS: usize = 1024;

/// What the extended headers before a file say.
#[derive(Debug, Default, Clone)]
pub(crate) struct Extensions {
    pub(crate) long_name: Option<Vec<u8>>,
    pub(crate) long_link: Option<Vec<u8>>,
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<i64>,
    pub(crate) gid: Option<i64>,
    pub(crate) mtime: Option<Time>,
    pub(crate) atime: Option<Time>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: SparseRecords,
}

/// The `GNU.sparse.*` records.
#[derive(Debug, Default, Clone)]
pub(crate) struct SparseRecords {
    pub(crate) major: Option<u64>,
    pub(crate) minor: Option<u64>,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) real_size: Option<u64>,
    pub(crate) block_count: Option<u64>,
    /// The map of version 0.1: offsets and lengths between commas.
    pub(crate) map: Option<Vec<u8>>,
    /// The map of version 0.0: offsets and lengths, a record each.
    pub(crate) offsets: Vec<u64>,
}

impl Extensions {
    /// Takes over the records of a PAX header.
    pub(crate) fn set_pax(&mut self, mut records: &[u8], limits: &ApplyLimits) -> Result<(), TarError> {
        let (long_name, long_link) = (self.long_name.take(), self.long_link.take());
        *self = Self { long_name, long_link, ..Self::default() };
        while !records.is_empty() {
            let (key, value, rest) = split_record(records).ok_or_else(bad_record)?;
            self.set(key, value, limits)?;
            records = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8], limits: &ApplyLimits) -> Result<(), TarError> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return self.set_xattr(name, value);
        }
        if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.set(name, value, limits);
        }
        let is_text = matches!(key, b"path" | b"linkpath");
        if is_text && value.contains(&0) {
            return Err(bad_record());
        }
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(i64::try_from(decimal(value)?).map_err(|_| bad_record())?),
            b"gid" => self.gid = Some(i64::try_from(decimal(value)?).map_err(|_| bad_record())?),
            b"mtime" => self.mtime = Some(Time::parse(value).ok_or_else(bad_record)?),
            b"atime" => self.atime = Some(Time::parse(value).ok_or_else(bad_record)?),
            _ => {}
        }
        Ok(())
    }

    fn set_xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), TarError> {
        if name.is_empty() || name.contains(&0) {
            return Err(bad_record());
        }
        self.xattrs.retain(|(known, _)| known != name);
        if self.xattrs.len() >= XATTRS {
            return Err(TarError::Limit { what: "extended attributes of a file", limit: XATTRS as u64 });
        }
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }
}

impl SparseRecords {
    fn set(&mut self, name: &[u8], value: &[u8], limits: &ApplyLimits) -> Result<(), TarError> {
        match name {
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"name" => self.name = Some(value.to_vec()),
            b"realsize" | b"size" => self.real_size = Some(decimal(value)?),
            b"numblocks" => self.block_count = Some(decimal(value)?),
            b"map" => self.map = Some(value.to_vec()),
            b"offset" | b"numbytes" => {
                let is_offset = name == b"offset";
                if is_offset != self.offsets.len().is_multiple_of(2) {
                    return Err(bad_record());
                }
                if self.offsets.len() >= limits.sparse_regions * 2 {
                    return Err(TarError::Limit { what: "regions in a file", limit: limits.sparse_regions as u64 });
                }
                self.offsets.push(decimal(value)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Splits `<length> <key>=<value>\n` off; the length counts the whole record.
fn split_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&records[..space]).ok()?).ok()?;
    if length <= space + 1 || length > records.len() {
        return None;
    }
    let record = records[space + 1..length].strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    if equals == 0 || record[..equals].contains(&0) {
        return None;
    }
    Some((&record[..equals], &record[equals + 1..], &records[length..]))
}

/// A decimal number without sign.
pub(crate) fn decimal(digits: &[u8]) -> Result<u64, TarError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad_record());
    }
    digits
        .iter()
        .try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or_else(bad_record)
}

fn bad_record() -> TarError {
    TarError::malformed(0, "an extended header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(records: &[u8]) -> Result<Extensions, TarError> {
        let mut extensions = Extensions::default();
        extensions.set_pax(records, &ApplyLimits::default()).map(|()| extensions)
    }

    #[test]
    fn reads_records() {
        let read = parse(b"12 path=a/b\n12 path=c=d\n7 uid=\n12 size=123\n27 SCHILY.xattr.user.k=\x00v1\n").unwrap();
        assert_eq!(read.path.as_deref(), Some(b"c=d".as_slice()));
        assert_eq!((read.size, read.uid), (Some(123), None));
        assert_eq!(read.xattrs, [(b"user.k".to_vec(), b"\x00v1".to_vec())]);
    }

    #[test]
    fn refuses_broken_records() {
        let cases: [&[u8]; 9] = [
            b"11 path=a/b\n",
            b"99 path=a/b\n",
            b"path=a/b\n",
            b"5 =ab\n",
            b"9 path=\x00\n",
            b"11 size=-1\n",
            b"12 size=1e3\n",
            b"0 a=b\n",
            b"30 size=99999999999999999999999\n",
        ];
        for records in cases {
            assert!(parse(records).is_err(), "{:?}", String::from_utf8_lossy(records));
        }
    }
}
