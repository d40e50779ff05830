//! Settings that come as text: environment variables and flags.
//!
//! Each becomes the TOML value a careful author would have written, and is then set like one of a file, except that lists replace.

use super::{Loader, Sources};
use crate::codec::value_from_text;
use crate::file::TableName;
use crate::problem::Origin;
use crate::section::OptionSpec;

impl Loader {
    pub(super) fn read_environment(&mut self, sources: &Sources) {
        self.read_text(|spec| {
            let name = spec.env.iter().find(|name| sources.variable(name).is_some())?;
            let value = sources.variable(name)?.to_owned();
            Some((vec![value], Origin::Environment((*name).to_owned())))
        });
    }

    pub(super) fn read_flags(&mut self, sources: &Sources) {
        self.read_text(|spec| {
            let values = sources.flags.get(spec.flag).filter(|_| !spec.flag.is_empty())?;
            Some((values.clone(), Origin::Flag(spec.flag.to_owned())))
        });
    }

    /// Sets every fixed option for which `find` has texts.
    fn read_text(&mut self, find: impl Fn(&OptionSpec) -> Option<(Vec<String>, Origin)>) {
        let rows: Vec<(&'static str, &'static OptionSpec)> = self
            .config
            .sections()
            .into_iter()
            .flat_map(|(path, section)| section.options().iter().map(move |spec| (path, spec)))
            .collect();
        for (path, spec) in rows {
            let Some((texts, origin)) = find(spec) else {
                continue;
            };
            let table = TableName::Fixed(path);
            match value_from_text(spec.shape, &texts) {
                Ok(value) => self.set(&table, spec.key, &value, origin),
                Err(mismatch) => {
                    self.rejected.insert((table, spec.key), (origin, mismatch));
                }
            }
        }
    }
}
