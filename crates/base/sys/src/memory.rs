//! The memory that the program's own file occupies in a process.
//!
//! A page of code or constants that was needed once stays mapped, and the kernel maps its neighbours along with it. For a
//! process of which a node runs one per pod, and which mostly waits, that is most of what it holds. See madvise(2),
//! `MADV_DONTNEED`, and elf(5) for segments.

#![expect(unsafe_code, reason = "walking the program headers and unmapping what they describe is not safe by type")]

use std::ffi::{c_int, c_void};

/// Has the kernel unmap the pages of the program's own code and constants. Nothing is lost: what runs next is mapped again
/// from the page cache, which costs about a microsecond for 64 KiB.
///
/// Shared libraries stay as they are: other processes hold their pages anyway.
pub fn release_program_pages() {
    // SAFETY: the callback matches the type that dl_iterate_phdr(3) wants, does not unwind, and ignores its data pointer.
    let _stopped = unsafe { libc::dl_iterate_phdr(Some(release_first), std::ptr::null_mut()) };
}

/// Called for the first object, which is the program itself; the answer 1 ends the iteration there.
unsafe extern "C" fn release_first(object: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid object for the time of the call.
    let Some(object) = (unsafe { object.as_ref() }) else {
        return 1;
    };
    if object.dlpi_phdr.is_null() {
        return 1;
    }
    // SAFETY: the program headers of the running program are mapped for its whole life, and there are `dlpi_phnum`.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    for header in headers.iter().filter(|header| is_constant(header)) {
        let start = page_floor(object.dlpi_addr + header.p_vaddr);
        let end = object.dlpi_addr + header.p_vaddr + header.p_memsz;
        // SAFETY: the segment was mapped by the kernel from the program's file, readable and never writable, and is not
        // relocated either (a position independent program has its relocations in writable segments): reading the pages
        // from the file again gives the same bytes.
        let _kept = unsafe { libc::madvise(start as *mut c_void, (end - start) as usize, libc::MADV_DONTNEED) };
    }
    1
}

/// Whether a segment is mapped from the file and never written.
fn is_constant(header: &libc::Elf64_Phdr) -> bool {
    header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0
}

fn page_floor(address: u64) -> u64 {
    address - address % rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `smaps` says about the resident code of this program, in KiB.
    fn resident_code_kib() -> u64 {
        let program = std::env::current_exe().expect("a path");
        let program = program.to_string_lossy();
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("readable");
        let mut lines = maps.lines();
        let mut kib = 0;
        while let Some(line) = lines.next() {
            if line.contains("r-xp") && line.ends_with(&*program) {
                let resident = lines.find_map(|line| line.strip_prefix("Rss:")).expect("a figure");
                kib += resident.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
            }
        }
        kib
    }

    #[test]
    fn code_is_given_back_and_goes_on_running() {
        // Other tests of this program run beside and map pages again, so only a good part must be gone.
        let before = resident_code_kib();
        release_program_pages();
        let after = resident_code_kib();
        assert!(before > 0 && after < before, "{before} KiB before, {after} KiB after");
        assert_eq!(page_floor(0x5678), 0x5000);
    }
}
