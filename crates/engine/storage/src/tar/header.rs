//! One 512-byte header block: its checksum and its fields.

use super::BLOCK;
use super::source::TarError;

/// Which dialect a header is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// The fields of a header.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: i64,
    pub(crate) gid: i64,
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    pub(crate) type_flag: u8,
    pub(crate) link: Vec<u8>,
    pub(crate) device_major: i64,
    pub(crate) device_minor: i64,
    /// The block itself, for the sparse map of old GNU archives.
    pub(crate) block: [u8; BLOCK],
}

impl Header {
    /// The header in this block, which ended at byte `position` of the archive.
    pub(crate) fn parse(block: &[u8; BLOCK], position: u64) -> Result<Self, TarError> {
        let malformed = |what| TarError::malformed(position, what);
        check_sum(block).ok_or_else(|| malformed("the checksum of a header is wrong"))?;
        let number =
            |from: usize, length: usize, what| parse_number(&block[from..from + length]).ok_or_else(|| malformed(what));
        let dialect = dialect(block);
        let has_device = dialect != Dialect::V7;
        let mut name = text(&block[..100]);
        let prefix = match dialect {
            Dialect::Ustar => text(&block[345..500]),
            Dialect::Star => text(&block[345..476]),
            Dialect::V7 | Dialect::Gnu => Vec::new(),
        };
        if !prefix.is_empty() {
            name = [prefix.as_slice(), b"/", name.as_slice()].concat();
        }
        let size = u64::try_from(number(124, 12, "a size")?).map_err(|_| malformed("a size is negative"))?;
        Ok(Self {
            name,
            mode: (number(100, 8, "a mode")? & 0o7777) as u32,
            uid: number(108, 8, "an owner")?,
            gid: number(116, 8, "a group")?,
            size,
            mtime: number(136, 12, "a time")?,
            type_flag: block[156],
            link: text(&block[157..257]),
            device_major: if has_device { number(329, 8, "a device number")? } else { 0 },
            device_minor: if has_device { number(337, 8, "a device number")? } else { 0 },
            block: *block,
        })
    }
}

fn dialect(block: &[u8; BLOCK]) -> Dialect {
    match (&block[257..263], &block[263..265]) {
        (b"ustar\0", _) if &block[508..512] == b"tar\0" => Dialect::Star,
        (b"ustar\0", _) => Dialect::Ustar,
        (b"ustar ", b" \0") => Dialect::Gnu,
        _ => Dialect::V7,
    }
}

/// Some when the sum over the block, its own field counted as spaces, is the one written. Old programs summed signed bytes.
fn check_sum(block: &[u8; BLOCK]) -> Option<()> {
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (index, byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&index) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    let written = parse_number(&block[148..156])?;
    (written == unsigned || written == signed).then_some(())
}

/// A text field: everything before the first NUL.
fn text(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// A number: octal digits between spaces and NULs, or a big-endian two's complement marked by the top bit.
pub(crate) fn parse_number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 == 0 {
        return parse_octal(field);
    }
    let negative = first & 0x40 != 0;
    let fill = if negative { 0xff } else { 0 };
    let mut value: i64 = if negative { -1 } else { 0 };
    for (index, byte) in field.iter().enumerate() {
        let byte = match index {
            0 if negative => byte | 0x80,
            0 => byte & 0x7f,
            _ => *byte,
        };
        if field.len() - index > 8 {
            if byte != fill {
                return None;
            }
            continue;
        }
        value = (value << 8) | i64::from(byte);
    }
    (negative == (value < 0)).then_some(value)
}

fn parse_octal(field: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_blank(byte)).unwrap_or(field.len());
    let digits = field[start..].split(|byte| *byte == 0).next().unwrap_or_default();
    let end = digits.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1);
    let mut value: i64 = 0;
    for digit in &digits[..end] {
        if !matches!(digit, b'0'..=b'7') {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::parse_number;

    #[test]
    fn numbers_as_go_reads_them() {
        let cases: [(&[u8], Option<i64>); 14] = [
            (b"0000644\0", Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"0000008\0", None),
            (b"0x1\0\0\0\0\0", None),
            (b"77777777", Some(0o77_777_777)),
            (b"12\x003\0\0\0\0", Some(0o12)),
            (b"\x80\0\0\0\0\0\x01\x00", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
        ];
        for (field, expected) in cases {
            assert_eq!(parse_number(field), expected, "{field:?}");
        }
    }
}
