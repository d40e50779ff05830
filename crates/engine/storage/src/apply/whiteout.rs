//! Names that take something of a lower layer away (OCI image specification, "Whiteouts").

/// What a name beginning with `.wh.` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whiteout<'a> {
    /// `.wh.NAME`: the lower layers' NAME is gone.
    Name(&'a [u8]),
    /// `.wh..wh..opq`: everything in the lower layers' directory is gone.
    Opaque,
    /// Book-keeping of the AUFS driver that has no meaning in a layer.
    Bookkeeping,
    /// A name nothing can have.
    Invalid,
}

impl<'a> Whiteout<'a> {
    /// The whiteout this name is, if it is one.
    pub(crate) fn parse(name: &'a [u8]) -> Option<Self> {
        Some(match name.strip_prefix(b".wh.")? {
            b".wh..opq" => Self::Opaque,
            b"" | b"." | b".." => Self::Invalid,
            rest if rest.starts_with(b".wh.") => Self::Bookkeeping,
            rest => Self::Name(rest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Whiteout;

    #[test]
    fn parses() {
        let cases: [(&[u8], Option<Whiteout<'_>>); 8] = [
            (b"file", None),
            (b".wh", None),
            (b".wh.file", Some(Whiteout::Name(b"file"))),
            (b".wh..hidden", Some(Whiteout::Name(b".hidden"))),
            (b".wh..wh..opq", Some(Whiteout::Opaque)),
            (b".wh..wh.plnk", Some(Whiteout::Bookkeeping)),
            (b".wh.", Some(Whiteout::Invalid)),
            (b".wh...", Some(Whiteout::Invalid)),
        ];
        for (name, expected) in cases {
            assert_eq!(Whiteout::parse(name), expected, "{name:?}");
        }
    }
}
