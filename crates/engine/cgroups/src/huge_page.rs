//! Huge page sizes, spelled as `hugetlb` files spell them.

/// Page sizes the kernel knows, spelled as cgroup files spell them.
pub(crate) fn sizes() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    let mut sizes: Vec<u64> = entries.filter_map(|entry| parse(entry.file_name().to_str()?)).collect();
    sizes.sort_unstable();
    sizes.into_iter().map(spell).collect()
}

/// Kibibytes out of `hugepages-2048kB`.
fn parse(name: &str) -> Option<u64> {
    name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()
}

fn spell(kibibytes: u64) -> String {
    const UNITS: [&str; 3] = ["KB", "MB", "GB"];
    let mut size = kibibytes;
    let mut unit = 0;
    while size >= 1024 && size.is_multiple_of(1024) && unit + 1 < UNITS.len() {
        size /= 1024;
        unit += 1;
    }
    format!("{size}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_spelled_as_the_kernel_spells_them() {
        for (name, spelled) in [
            ("hugepages-64kB", Some("64KB")),
            ("hugepages-2048kB", Some("2MB")),
            ("hugepages-1048576kB", Some("1GB")),
            ("hugepages-x", None),
        ] {
            assert_eq!(parse(name).map(spell).as_deref(), spelled, "{name}");
        }
    }
}
