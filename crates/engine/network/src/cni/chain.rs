//! Running all plugins of a network, each with the result of the one before (CNI specification, section 3).
//!
//! ADD goes forward and stops at the first failure; undoing is the caller's decision. DEL goes backward and visits every
//! plugin whatever the others say, each with a deadline of its own, because a leaked address is worse than a late answer.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::INTERFACE;
use super::configuration::{NetworkConfiguration, PluginConfiguration};
use super::plugin::{self, Call, PluginError, Verb};
use super::result;
use super::runtime::Facts;
use super::version::SpecVersion;

/// A network's plugins, ready to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain<'a> {
    pub(crate) configuration: &'a NetworkConfiguration,
    pub(crate) version: SpecVersion,
    pub(crate) directories: &'a [PathBuf],
}

impl Chain<'_> {
    /// Attaches; gives the last plugin's result.
    pub(crate) async fn add(&self, facts: &Facts, deadline: Instant) -> Result<Map<String, Value>, PluginError> {
        let mut previous: Option<Map<String, Value>> = None;
        for plugin in &self.configuration.plugins {
            let output = self.call(Verb::Add, plugin, facts, previous.as_ref(), deadline).await?;
            let parsed = result::parse(&output).map_err(|source| PluginError::Result {
                program: plugin.program.clone(),
                verb: Verb::Add,
                source,
            })?;
            previous = Some(parsed);
        }
        Ok(previous.unwrap_or_default())
    }

    /// Detaches; gives every failure.
    pub(crate) async fn del(
        &self,
        facts: &Facts,
        previous: Option<&Map<String, Value>>,
        timeout: Duration,
    ) -> Vec<PluginError> {
        let previous = previous.filter(|_| self.version >= SpecVersion::WITH_CHECK);
        let mut failures = Vec::new();
        for plugin in self.configuration.plugins.iter().rev() {
            let deadline = Instant::now() + timeout;
            if let Err(error) = self.call(Verb::Del, plugin, facts, previous, deadline).await {
                failures.push(error);
            }
        }
        failures
    }

    /// Verifies an attachment, where the version and the configuration allow it.
    pub(crate) async fn check(
        &self,
        facts: &Facts,
        previous: &Map<String, Value>,
        deadline: Instant,
    ) -> Result<(), PluginError> {
        if self.version < SpecVersion::WITH_CHECK || self.configuration.disable_check {
            return Ok(());
        }
        for plugin in &self.configuration.plugins {
            self.call(Verb::Check, plugin, facts, Some(previous), deadline).await?;
        }
        Ok(())
    }

    /// Asks every plugin whether it can attach, where the version allows it.
    pub(crate) async fn status(&self, deadline: Instant) -> Result<(), PluginError> {
        if self.version < SpecVersion::WITH_STATUS {
            return Ok(());
        }
        for plugin in &self.configuration.plugins {
            self.call_without_pod(Verb::Status, plugin, Map::new(), deadline).await?;
        }
        Ok(())
    }

    /// Tells every plugin which attachments are valid, where the version allows it; gives every failure.
    pub(crate) async fn gc(&self, valid_container_ids: &[String], timeout: Duration) -> Vec<PluginError> {
        if self.version < SpecVersion::WITH_STATUS || self.configuration.disable_gc {
            return Vec::new();
        }
        let attachments: Vec<Value> =
            valid_container_ids.iter().map(|id| serde_json::json!({"containerID": id, "ifname": INTERFACE})).collect();
        let mut failures = Vec::new();
        for plugin in &self.configuration.plugins {
            let mut extra = Map::new();
            extra.insert("cni.dev/valid-attachments".to_owned(), attachments.clone().into());
            let deadline = Instant::now() + timeout;
            if let Err(error) = self.call_without_pod(Verb::Gc, plugin, extra, deadline).await {
                failures.push(error);
            }
        }
        failures
    }

    async fn call(
        &self,
        verb: Verb,
        plugin: &PluginConfiguration,
        facts: &Facts,
        previous: Option<&Map<String, Value>>,
        deadline: Instant,
    ) -> Result<Vec<u8>, PluginError> {
        let call = Call {
            verb,
            program: &plugin.program,
            directories: self.directories,
            container_id: &facts.container_id,
            netns: &facts.netns,
            arguments: &facts.argument_line(),
            input: &self.input(plugin, facts, previous),
        };
        plugin::call(&call, deadline).await
    }

    async fn call_without_pod(
        &self,
        verb: Verb,
        plugin: &PluginConfiguration,
        extra: Map<String, Value>,
        deadline: Instant,
    ) -> Result<Vec<u8>, PluginError> {
        let mut document = self.document(plugin);
        document.extend(extra);
        let input = Value::Object(document).to_string();
        let call = Call {
            verb,
            program: &plugin.program,
            directories: self.directories,
            container_id: "",
            netns: "",
            arguments: "",
            input: input.as_bytes(),
        };
        plugin::call(&call, deadline).await
    }

    /// The plugin's configuration with what the runtime adds.
    fn input(&self, plugin: &PluginConfiguration, facts: &Facts, previous: Option<&Map<String, Value>>) -> Vec<u8> {
        let mut document = self.document(plugin);
        let wanted: Map<String, Value> = facts
            .capabilities
            .iter()
            .filter(|(capability, _)| plugin.capabilities.contains(*capability))
            .map(|(capability, value)| (capability.clone(), value.clone()))
            .collect();
        if !wanted.is_empty() {
            document.insert("runtimeConfig".to_owned(), Value::Object(wanted));
        }
        if let Some(previous) = previous {
            document.insert("prevResult".to_owned(), Value::Object(previous.clone()));
        }
        Value::Object(document).to_string().into_bytes()
    }

    fn document(&self, plugin: &PluginConfiguration) -> Map<String, Value> {
        let mut document = plugin.document.clone();
        document.insert("name".to_owned(), self.configuration.name.clone().into());
        document.insert("cniVersion".to_owned(), self.version.to_string().into());
        document
    }
}
