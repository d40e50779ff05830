//! The maps of sparse files: old GNU headers, and the PAX versions 0.0, 0.1 and 1.0.

use std::io::Read;

use super::entry::Region;
use super::header::{Header, parse_number};
use super::pax::{Extensions, decimal};
use super::source::TarError;
use super::{Archive, BLOCK, Recorder};

/// Which parts of a sparse file have data, in order.
pub(crate) struct Map {
    pub(crate) regions: Vec<Region>,
    pub(crate) real_size: u64,
}

impl Map {
    /// Checks that the regions ascend, fit the file, and hold exactly the `stored` bytes.
    pub(crate) fn check(&self, stored: u64, position: u64) -> Result<(), TarError> {
        let mut end = 0u64;
        let mut total = 0u64;
        for region in &self.regions {
            let region_end = region.offset.checked_add(region.length).filter(|to| *to <= self.real_size);
            if region.offset < end || region_end.is_none() {
                return Err(TarError::malformed(position, "the map of a sparse file"));
            }
            end = region.offset + region.length;
            total += region.length;
        }
        if total == stored { Ok(()) } else { Err(TarError::malformed(position, "the size of a sparse file")) }
    }
}

/// The map of an old GNU header: four regions in it, more in the blocks that follow.
pub(crate) fn old_gnu<R: Read>(
    header: &Header,
    archive: &mut Archive<R>,
    recorder: &mut impl Recorder,
) -> Result<Map, TarError> {
    let malformed = || TarError::malformed(0, "the map of a sparse file");
    let real_size = parse_number(&header.block[483..495]).and_then(|size| u64::try_from(size).ok());
    let mut regions = Vec::new();
    let mut more = add_regions(&header.block[386..482], &mut regions).ok_or_else(malformed)? && header.block[482] != 0;
    while more {
        let block: [u8; BLOCK] = archive.source.block(recorder)?;
        more = add_regions(&block[..504], &mut regions).ok_or_else(malformed)? && block[504] != 0;
        if regions.len() > archive.limits.sparse_regions {
            return Err(too_many(archive));
        }
    }
    Ok(Map { regions, real_size: real_size.ok_or_else(malformed)? })
}

/// Appends the regions of one block. Returns false after an empty one, which ends the map; `None` when it is malformed.
fn add_regions(fields: &[u8], regions: &mut Vec<Region>) -> Option<bool> {
    for field in fields.chunks_exact(24) {
        if field[0] == 0 {
            return Some(false);
        }
        let offset = u64::try_from(parse_number(&field[..12])?).ok()?;
        let length = u64::try_from(parse_number(&field[12..])?).ok()?;
        regions.push(Region { offset, length });
    }
    Some(true)
}

/// The map that PAX records announce, if they do. Version 1.0 keeps it at the start of the payload.
pub(crate) fn pax<R: Read>(
    extensions: &Extensions,
    archive: &mut Archive<R>,
    recorder: &mut impl Recorder,
) -> Result<Option<Map>, TarError> {
    let records = &extensions.sparse;
    let malformed = || TarError::malformed(0, "the map of a sparse file");
    let numbers = match (records.major, records.minor) {
        (Some(1), Some(0)) => leading_map(archive, recorder)?,
        (Some(0), Some(0 | 1)) | (None, None) if records.map.is_some() || !records.offsets.is_empty() => {
            let numbers = inline_map(extensions, archive)?;
            let expected = records.block_count.ok_or_else(malformed)?.checked_mul(2);
            if expected != Some(numbers.len() as u64) {
                return Err(malformed());
            }
            numbers
        }
        _ => return Ok(None),
    };
    let regions = numbers.chunks_exact(2).map(|pair| Region { offset: pair[0], length: pair[1] }).collect();
    Ok(Some(Map { regions, real_size: records.real_size.ok_or_else(malformed)? }))
}

fn inline_map<R: Read>(extensions: &Extensions, archive: &Archive<R>) -> Result<Vec<u64>, TarError> {
    let numbers = match &extensions.sparse.map {
        None => extensions.sparse.offsets.clone(),
        Some(map) => map.split(|byte| *byte == b',').map(decimal).collect::<Result<_, _>>()?,
    };
    if numbers.len() / 2 > archive.limits.sparse_regions {
        return Err(too_many(archive));
    }
    Ok(numbers)
}

/// Reads decimal lines off the payload: the number of regions, then offset and length of each, padded to a block.
fn leading_map<R: Read>(archive: &mut Archive<R>, recorder: &mut impl Recorder) -> Result<Vec<u64>, TarError> {
    let mut lines = Lines { block: Vec::new(), at: 0 };
    let count = lines.next(archive, recorder)?;
    if count > archive.limits.sparse_regions as u64 {
        return Err(too_many(archive));
    }
    let mut numbers = Vec::new();
    for _ in 0..count * 2 {
        numbers.push(lines.next(archive, recorder)?);
    }
    Ok(numbers)
}

/// Numbers between line feeds, read block by block from a payload.
struct Lines {
    block: Vec<u8>,
    at: usize,
}

impl Lines {
    fn next<R: Read>(&mut self, archive: &mut Archive<R>, recorder: &mut impl Recorder) -> Result<u64, TarError> {
        let mut digits = Vec::new();
        loop {
            while let Some(byte) = self.block.get(self.at) {
                self.at += 1;
                if *byte == b'\n' {
                    return decimal(&digits);
                }
                digits.push(*byte);
                if digits.len() > 20 {
                    return Err(TarError::malformed(0, "the map of a sparse file"));
                }
            }
            self.refill(archive, recorder)?;
        }
    }

    fn refill<R: Read>(&mut self, archive: &mut Archive<R>, recorder: &mut impl Recorder) -> Result<(), TarError> {
        self.block.clear();
        self.at = 0;
        while self.block.len() < BLOCK {
            let wanted = (BLOCK - self.block.len()) as u64;
            let block = &mut self.block;
            let read = archive.read_chunk::<TarError>(wanted, recorder, |chunk| {
                block.extend_from_slice(chunk);
                Ok(())
            })?;
            if read == 0 {
                return Err(TarError::malformed(archive.position(), "the map of a sparse file"));
            }
        }
        Ok(())
    }
}

fn too_many<R: Read>(archive: &Archive<R>) -> TarError {
    TarError::Limit { what: "regions in a file", limit: archive.limits.sparse_regions as u64 }
}
