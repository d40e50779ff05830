//! Files and programs on the host: drop-in files in order, their text within a limit, executables in PATH.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most drop-in files.
const MAX_FILES: usize = 1024;
/// How deep drop-in directories nest.
const MAX_DEPTH: usize = 16;

/// The text of `path`.
pub(super) fn read(path: &Path) -> Result<String, Problem> {
    let wrap = |source| Problem::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(wrap)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(wrap)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Problem::TooLarge { path: path.to_owned(), limit: format!("{MAX_FILE_BYTES} bytes") });
    }
    Ok(text)
}

/// Every file below `directory` in lexical order, whatever it is called; none when the directory is missing.
///
/// Links to files count, links to directories do not: a loop of links is no configuration.
pub(super) fn files_below(directory: &Path) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    if directory.exists() {
        collect(directory, 0, &mut files)?;
    }
    Ok(files)
}

fn collect(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Problem> {
    let wrap = |source| Problem::Read { path: directory.to_owned(), source };
    let too_large = |limit: String| Problem::TooLarge { path: directory.to_owned(), limit };
    if depth > MAX_DEPTH {
        return Err(too_large(format!("{MAX_DEPTH} nested directories")));
    }
    let mut entries = std::fs::read_dir(directory).map_err(wrap)?.collect::<Result<Vec<_>, _>>().map_err(wrap)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(wrap)?;
        if kind.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if kind.is_file() || (kind.is_symlink() && !path.is_dir()) {
            if files.len() == MAX_FILES {
                return Err(too_large(format!("{MAX_FILES} files")));
            }
            files.push(path);
        }
    }
    Ok(())
}

/// Where `program` is: itself when it has a directory, else in the first directory of `search_path` that has it.
pub(super) fn find_program(program: &Path, search_path: &OsStr) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if program.components().count() > 1 {
        return Some(program.to_owned()).filter(executable);
    }
    std::env::split_paths(search_path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(executable)
}
