//! What runs: command and arguments, working directory, environment.
//!
//! The request's command replaces the image's entrypoint and its command; the request's arguments replace the image's
//! command only. Environment: a default `PATH`, `TERM` for a terminal, `HOSTNAME`, the configuration's, the image's,
//! the request's; later ones win and keep the place of the first.

use std::path::PathBuf;

use crio_types::{ContainerConfig, EnvVar};
use oci_spec::image::ImageConfiguration;

use crate::SpecError;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The argument vector of a request on an image.
pub(crate) fn arguments(
    command: &[String],
    args: &[String],
    image: &ImageConfiguration,
) -> Result<Vec<String>, SpecError> {
    let config = image.config().as_ref();
    let of_image = |list: Option<&Option<Vec<String>>>| list.cloned().flatten().unwrap_or_default();
    let (mut vector, args) = if command.is_empty() {
        let args = if args.is_empty() { of_image(config.map(|c| c.cmd())) } else { args.to_vec() };
        (of_image(config.map(|c| c.entrypoint())), args)
    } else {
        (command.to_vec(), args.to_vec())
    };
    vector.extend(args);
    if vector.is_empty() { Err(SpecError::NoCommand) } else { Ok(vector) }
}

/// The working directory: the request's, the image's, or the root. A relative one counts from the root.
pub(crate) fn working_directory(request: &str, image: &ImageConfiguration) -> PathBuf {
    let of_image = image.config().as_ref().and_then(|config| config.working_dir().as_deref());
    let chosen = if request.is_empty() { of_image.unwrap_or_default() } else { request };
    PathBuf::from("/").join(chosen)
}

/// An environment in which each name has one value and the place where it was first set.
#[derive(Debug, Default)]
pub(crate) struct Environment(Vec<(String, String)>);

impl Environment {
    /// The environment of a container's first process.
    pub(crate) fn of_container(
        config: &ContainerConfig,
        image: &ImageConfiguration,
        defaults: &[String],
        hostname: &str,
    ) -> Result<Self, SpecError> {
        let mut environment = Self::of_image(image, config.tty, defaults, hostname);
        environment.extend(&config.envs)?;
        Ok(environment)
    }

    /// The environment an image and the configuration make. What an image spells wrongly is left out.
    pub(crate) fn of_image(image: &ImageConfiguration, tty: bool, defaults: &[String], hostname: &str) -> Self {
        let mut environment = Self::default();
        environment.set("PATH", DEFAULT_PATH);
        if tty {
            environment.set("TERM", "xterm");
        }
        if !hostname.is_empty() {
            environment.set("HOSTNAME", hostname);
        }
        let of_image = image.config().as_ref().and_then(|config| config.env().as_deref()).unwrap_or_default();
        for line in defaults.iter().chain(of_image) {
            if let Some((name, value)) = line.split_once('=').filter(|(name, value)| is_name(name) && is_value(value)) {
                environment.set(name, value);
            }
        }
        environment
    }

    /// The environment an earlier specification lists.
    pub(crate) fn parse(lines: &[String]) -> Self {
        let pair = |line: &String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(lines.iter().filter_map(pair).collect())
    }

    /// Takes over another environment, whose values win.
    pub(crate) fn inherit(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            self.set(name, value);
        }
    }

    /// Adds a request's variables. A value that is not UTF-8 loses what no JSON can carry.
    pub(crate) fn extend(&mut self, variables: &[EnvVar]) -> Result<(), SpecError> {
        for variable in variables {
            let value = String::from_utf8_lossy(&variable.value);
            if !is_name(&variable.key) || !is_value(&value) {
                return Err(SpecError::Environment { name: variable.key.clone() });
            }
            self.set(&variable.key, &value);
        }
        Ok(())
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// `NAME=value` lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn is_value(value: &str) -> bool {
    !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use oci_spec::image::{ConfigBuilder, ImageConfigurationBuilder};

    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn image(entrypoint: &[&str], cmd: &[&str], env: &[&str], cwd: &str) -> ImageConfiguration {
        let config = ConfigBuilder::default()
            .entrypoint(texts(entrypoint))
            .cmd(texts(cmd))
            .env(texts(env))
            .working_dir(cwd)
            .build()
            .expect("config");
        ImageConfigurationBuilder::default().config(config).build().expect("image")
    }

    #[test]
    fn command_and_arguments_replace_the_images_as_docker_does() {
        type List = &'static [&'static str];
        let cases: &[(List, List, List, List, Option<List>)] = &[
            (&["e"], &["c"], &[], &[], Some(&["e", "c"])),
            (&["e"], &["c"], &["x"], &[], Some(&["x"])),
            (&["e"], &["c"], &[], &["y"], Some(&["e", "y"])),
            (&["e"], &["c"], &["x"], &["y"], Some(&["x", "y"])),
            (&[], &["c", "d"], &[], &[], Some(&["c", "d"])),
            (&[], &[], &[], &["y"], Some(&["y"])),
            (&[], &[], &[], &[], None),
        ];
        for (entrypoint, cmd, command, args, expected) in cases {
            let image = image(entrypoint, cmd, &[], "");
            let vector = arguments(&texts(command), &texts(args), &image).ok();
            assert_eq!(vector, expected.map(texts), "{entrypoint:?} {cmd:?} {command:?} {args:?}");
        }
        assert!(arguments(&[], &[], &ImageConfiguration::default()).is_err());
    }

    #[test]
    fn the_last_value_wins_in_the_first_place() {
        let image = image(&[], &[], &["PATH=/bin", "A=image", "B=image", "broken", "=x"], "");
        let config = ContainerConfig {
            tty: true,
            envs: vec![
                EnvVar { key: "B".to_owned(), value: b"request=1".to_vec() },
                EnvVar { key: "RAW".to_owned(), value: vec![b'x', 0xff] },
            ],
            ..ContainerConfig::default()
        };
        let environment =
            Environment::of_container(&config, &image, &texts(&["A=conf", "C=conf"]), "pod").expect("env");
        let expected = ["PATH=/bin", "TERM=xterm", "HOSTNAME=pod", "A=image", "C=conf", "B=request=1", "RAW=x\u{fffd}"];
        assert_eq!(environment.lines(), texts(&expected));
    }

    #[test]
    fn a_variable_no_process_can_carry_is_refused() {
        for (key, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0y")] {
            let variables = [EnvVar { key: key.to_owned(), value: value.as_bytes().to_vec() }];
            assert!(Environment::default().extend(&variables).is_err(), "{key:?}={value:?}");
        }
    }

    #[test]
    fn the_working_directory_is_absolute() {
        for (request, of_image, expected) in
            [("", "", "/"), ("", "/a", "/a"), ("/b", "/a", "/b"), ("c", "", "/c"), ("", "d", "/d")]
        {
            let image = image(&[], &[], &[], of_image);
            assert_eq!(working_directory(request, &image), PathBuf::from(expected));
        }
    }
}
