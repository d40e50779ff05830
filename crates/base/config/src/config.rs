//! The configuration: plain data, immutable once it is loaded.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::section::{
    Api, CheckpointRestore, Daemon, Image, Metrics, Network, Nri, NriValidator, OptionSpec, Reload, Runtime,
    RuntimeHandler, Section, Stats, Storage, Tracing, Workload,
};

/// Every setting of the daemon. `Config::default()` is what an empty configuration means.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[crio]`.
    pub storage: Storage,
    /// `[crio.api]`.
    pub api: Api,
    /// `[crio.runtime]`.
    pub runtime: Runtime,
    /// `[crio.runtime.runtimes.NAME]`, by name.
    pub runtimes: BTreeMap<String, RuntimeHandler>,
    /// `[crio.runtime.workloads.NAME]`, by name.
    pub workloads: BTreeMap<String, Workload>,
    /// `[crio.image]`.
    pub image: Image,
    /// `[crio.network]`.
    pub network: Network,
    /// `[crio.metrics]`.
    pub metrics: Metrics,
    /// `[crio.tracing]`.
    pub tracing: Tracing,
    /// `[crio.stats]`.
    pub stats: Stats,
    /// `[crio.nri]`.
    pub nri: Nri,
    /// `[crio.nri.default_validator]`.
    pub nri_validator: NriValidator,
    /// `[crio.checkpoint_restore]`.
    pub checkpoint_restore: CheckpointRestore,
    /// What only flags and the environment say.
    pub daemon: Daemon,
}

/// The table that holds the runtime handlers.
pub(crate) const RUNTIMES: &str = "crio.runtime.runtimes";
/// The table that holds the workloads.
pub(crate) const WORKLOADS: &str = "crio.runtime.workloads";

/// Every fixed table of the file with its rows, in file order.
pub(crate) const TABLES: [(&str, &[OptionSpec]); 11] = [
    ("crio", Storage::OPTIONS),
    ("crio.api", Api::OPTIONS),
    ("crio.runtime", Runtime::OPTIONS),
    ("crio.image", Image::OPTIONS),
    ("crio.network", Network::OPTIONS),
    ("crio.metrics", Metrics::OPTIONS),
    ("crio.tracing", Tracing::OPTIONS),
    ("crio.stats", Stats::OPTIONS),
    ("crio.nri", Nri::OPTIONS),
    ("crio.nri.default_validator", NriValidator::OPTIONS),
    ("crio.checkpoint_restore", CheckpointRestore::OPTIONS),
];

impl Default for Config {
    fn default() -> Self {
        Self {
            storage: Storage::default(),
            api: Api::default(),
            runtime: Runtime::default(),
            runtimes: BTreeMap::from([("crun".to_owned(), RuntimeHandler::builtin_crun())]),
            workloads: BTreeMap::new(),
            image: Image::default(),
            network: Network::default(),
            metrics: Metrics::default(),
            tracing: Tracing::default(),
            stats: Stats::default(),
            nri: Nri::default(),
            nri_validator: NriValidator::default(),
            checkpoint_restore: CheckpointRestore::default(),
            daemon: Daemon::default(),
        }
    }
}

/// An option whose value differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Table and key, such as `crio.runtime.log_level`.
    pub name: String,
    /// Whether SIGHUP is enough.
    pub reload: Reload,
}

impl Config {
    /// Every fixed table with its path in the file, in file order. The path of [`Daemon`] is empty: it is not in the file.
    #[must_use]
    pub fn sections(&self) -> [(&'static str, &dyn Section); 12] {
        [
            ("crio", &self.storage),
            ("crio.api", &self.api),
            ("crio.runtime", &self.runtime),
            ("crio.image", &self.image),
            ("crio.network", &self.network),
            ("crio.metrics", &self.metrics),
            ("crio.tracing", &self.tracing),
            ("crio.stats", &self.stats),
            ("crio.nri", &self.nri),
            ("crio.nri.default_validator", &self.nri_validator),
            ("crio.checkpoint_restore", &self.checkpoint_restore),
            ("", &self.daemon),
        ]
    }

    /// The table at `path`, to be changed.
    pub(crate) fn section_mut(&mut self, path: &str) -> Option<&mut dyn Section> {
        Some(match path {
            "crio" => &mut self.storage,
            "crio.api" => &mut self.api,
            "crio.runtime" => &mut self.runtime,
            "crio.image" => &mut self.image,
            "crio.network" => &mut self.network,
            "crio.metrics" => &mut self.metrics,
            "crio.tracing" => &mut self.tracing,
            "crio.stats" => &mut self.stats,
            "crio.nri" => &mut self.nri,
            "crio.nri.default_validator" => &mut self.nri_validator,
            "crio.checkpoint_restore" => &mut self.checkpoint_restore,
            "" => &mut self.daemon,
            _ => return None,
        })
    }

    /// The handler that pods get which ask for none.
    #[must_use]
    pub fn default_handler(&self) -> Option<&RuntimeHandler> {
        self.runtimes.get(&self.runtime.default_runtime)
    }

    /// The options in which `new` differs, those of whole handlers and workloads named by their table.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for ((path, old), (_, new)) in self.sections().into_iter().zip(new.sections()) {
            for spec in old.options().iter().filter(|spec| old.get(spec.key) != new.get(spec.key)) {
                let name = if path.is_empty() { format!("--{}", spec.flag) } else { format!("{path}.{}", spec.key) };
                changes.push(Change { name, reload: spec.reload });
            }
        }
        let whole_tables = [
            (RUNTIMES, Reload::Live, self.runtimes != new.runtimes),
            (WORKLOADS, Reload::Restart, self.workloads != new.workloads),
        ];
        changes.extend(
            whole_tables
                .into_iter()
                .filter(|(_, _, differs)| *differs)
                .map(|(name, reload, _)| Change { name: name.to_owned(), reload }),
        );
        changes
    }

    /// This configuration with every reloadable option taken from `new`: what is in force after SIGHUP.
    #[must_use]
    pub fn reloaded(&self, new: &Self) -> Self {
        let mut result = self.clone();
        for (path, section) in new.sections() {
            for spec in section.options().iter().filter(|spec| spec.reload == Reload::Live) {
                if let (Some(value), Some(target)) = (section.get(spec.key), result.section_mut(path)) {
                    // What a section wrote it reads back, which the round-trip test keeps true.
                    let read_back = target.set(spec.key, &value);
                    debug_assert!(read_back.is_ok(), "{path}.{}", spec.key);
                }
            }
        }
        result.runtimes.clone_from(&new.runtimes);
        result
    }

    /// The whole configuration as TOML without comments, as the inspection interface and `crio status config` show it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut root = Table::new();
        for (path, section) in self.sections().into_iter().filter(|(path, _)| !path.is_empty()) {
            subtable(&mut root, path).extend(entries(section));
        }
        for (name, handler) in &self.runtimes {
            subtable(&mut root, RUNTIMES).insert(name.clone(), Value::Table(entries(handler)));
        }
        for (name, workload) in &self.workloads {
            let mut table = entries(workload);
            table.insert("resources".to_owned(), Value::Table(entries(&workload.resources)));
            subtable(&mut root, WORKLOADS).insert(name.clone(), Value::Table(table));
        }
        root.to_string()
    }
}

fn entries(section: &dyn Section) -> Table {
    section.options().iter().filter_map(|spec| Some((spec.key.to_owned(), section.get(spec.key)?))).collect()
}

/// The table at the dotted `path`, made when it is missing.
fn subtable<'a>(root: &'a mut Table, path: &str) -> &'a mut Table {
    path.split('.').fold(root, |table, name| {
        match table.entry(name.to_owned()).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(next) => next,
            other => unreachable!("{path} is a table and holds {other}"),
        }
    })
}
