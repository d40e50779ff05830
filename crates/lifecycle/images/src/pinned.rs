//! Which images the kubelet's garbage collection must leave alone.

use crio_image::Reference;

use crate::Config;

/// A pattern of `pinned_images`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    Prefix(String),
    Keyword(String),
}

/// The patterns in force, the pause image among them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pinned(Vec<Pattern>);

impl Pinned {
    pub(crate) fn new(config: &Config) -> Self {
        let pause = std::iter::once(&config.pause_image).filter(|name| !name.is_empty());
        let pause = pause.map(|name| Pattern::Exact(normalised(name)));
        let patterns = config.pinned_images.iter().filter_map(|text| Pattern::parse(text));
        Self(pause.chain(patterns).collect())
    }

    /// Whether one of an image's names is pinned.
    pub(crate) fn pins<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> bool {
        names.into_iter().any(|name| self.0.iter().any(|pattern| pattern.matches(name)))
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let keyword = text.strip_prefix('*').and_then(|rest| rest.strip_suffix('*'));
        match (keyword, text.strip_suffix('*')) {
            // An empty pattern would pin everything, which nobody writes on purpose in this way.
            _ if text.trim_matches('*').is_empty() => None,
            (Some(keyword), _) => Some(Self::Keyword(keyword.to_owned())),
            (None, Some(prefix)) => Some(Self::Prefix(prefix.to_owned())),
            (None, None) => Some(Self::Exact(normalised(text))),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Prefix(prefix) => name.starts_with(prefix),
            Self::Keyword(keyword) => name.contains(keyword),
        }
    }
}

/// The name as image records spell it; a text that is no name can still equal one letter by letter.
fn normalised(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.pinned_down().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        let config = Config {
            pause_image: "registry.k8s.io/pause:3.10.1".to_owned(),
            pinned_images: ["busybox", "quay.io/system/*", "*critical*", "*", "", "quay.io/a:1"]
                .map(str::to_owned)
                .into(),
            ..Config::default()
        };
        let pinned = Pinned::new(&config);
        for (name, expected) in [
            ("registry.k8s.io/pause:3.10.1", true),
            ("registry.k8s.io/pause:3.10", false),
            ("docker.io/library/busybox:latest", true),
            ("docker.io/library/busybox:1", false),
            ("quay.io/system/x:1", true),
            ("quay.io/systemd/x:1", false),
            ("ghcr.io/very/critical/x:1", true),
            ("quay.io/a:1", true),
            ("quay.io/a:10", false),
        ] {
            assert_eq!(pinned.pins([&name.to_owned()]), expected, "{name}");
        }
        assert!(!Pinned::new(&Config::default()).pins([&String::new()]));
    }
}
