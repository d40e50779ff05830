//! CRC-64 with the polynomial of ISO 3309, reflected, as tar-split checks file contents with. Eight bytes a step.

const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;

static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0u64; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut slice = 1;
    while slice < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[slice - 1][byte];
            tables[slice][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
}

/// A running checksum.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Crc64(u64);

impl Crc64 {
    /// Takes more bytes in.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut crc = !self.0;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let mixed = (crc ^ u64::from_le_bytes(*word)).to_le_bytes();
            crc = 0;
            for (index, byte) in mixed.into_iter().enumerate() {
                crc ^= TABLES[7 - index][usize::from(byte)];
            }
        }
        for byte in rest {
            crc = TABLES[0][usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8);
        }
        self.0 = !crc;
    }

    /// The checksum, most significant byte first.
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::Crc64;

    #[test]
    fn known_values() {
        let cases: [(&[u8], u64); 4] = [
            (b"", 0),
            (b"a", 0x3420_0000_0000_0000),
            (b"123456789", 0xb909_56c7_75a4_1001),
            (b"The days of the digital watch are numbered.  -Tom Stoppard", 0),
        ];
        for (bytes, expected) in &cases[..3] {
            let mut crc = Crc64::default();
            crc.update(bytes);
            assert_eq!(crc.to_bytes(), expected.to_be_bytes(), "{bytes:?}");
        }
        let (text, _) = cases[3];
        let mut whole = Crc64::default();
        whole.update(text);
        for cut in 0..text.len() {
            let mut parts = Crc64::default();
            parts.update(&text[..cut]);
            parts.update(&text[cut..]);
            assert_eq!(parts.to_bytes(), whole.to_bytes(), "{cut}");
        }
    }
}
