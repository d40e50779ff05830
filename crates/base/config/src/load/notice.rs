//! Warnings about options that were set and are deprecated, or that have no effect yet.

use super::{Loader, OptionId};
use crate::config::Config;
use crate::file::TableName;
use crate::problem::{Origin, Warning};
use crate::section::{RuntimeHandler, Section, Status};

impl Loader {
    /// Options that somebody set and that are deprecated, or that have no effect yet.
    pub(super) fn warn_about_rows(&mut self) {
        let defaults = Config::default();
        let default_of = |table: &TableName, key: &str| match table {
            TableName::Fixed(path) => defaults
                .sections()
                .into_iter()
                .find(|(known, _)| known == path)
                .and_then(|(_, section)| section.get(key)),
            TableName::Handler(_) => RuntimeHandler::default().get(key),
            TableName::Workload(_) => crate::Workload::default().get(key),
            TableName::Resources(_) => crate::WorkloadResources::default().get(key),
            _ => None,
        };
        let set: Vec<(OptionId, Origin)> =
            self.origins.iter().map(|(id, origin)| (id.clone(), origin.clone())).collect();
        for ((table, key), origin) in set {
            let Some(spec) = table.option(key) else { continue };
            let current = self.section_mut(&table).and_then(|section| section.get(key));
            if current == default_of(&table, key) {
                continue;
            }
            let name = table.qualified(key);
            if !spec.deprecated.is_empty() {
                self.warnings.push(Warning { origin, message: format!("{name} is deprecated: {}", spec.deprecated) });
            } else if spec.status == Status::Accepted {
                self.warnings
                    .push(Warning { origin, message: format!("{name} is accepted and has no effect in this version") });
            }
        }
    }
}
