//! Labels as names of directories among the kernel's own files.
//!
//! One thing surprises a newcomer: a directory lies beside files like `memory.max`, so a
//! label of that name, or one that could be, gets an underscore before it.

/// What the names of the kernel's files begin with.
const KERNELS: [&str; 13] = [
    "cgroup", "cpu", "cpuset", "debug", "devices", "dmem", "freezer", "hugetlb", "io", "irq",
    "memory", "misc", "pids",
];

/// Those of version 1, which a hybrid machine may still reserve.
const OLD: [&str; 3] = ["notify_on_release", "release_agent", "tasks"];

/// The name of the directory of a label.
pub(super) fn from_label(label: &str) -> String {
    let mut name = String::with_capacity(label.len() + 1);
    let first = label.split('.').next().unwrap_or(label);
    let is_kernels = label.starts_with(['_', '.'])
        || first.len() < label.len() && (KERNELS.contains(&first) || first == "rdma")
        || OLD.contains(&label);
    if is_kernels {
        name.push('_');
    }
    for letter in label.chars() {
        match letter {
            '/' => name.push_str("%2F"),
            '\n' => name.push_str("%0A"),
            '%' => name.push_str("%25"),
            other => name.push(other),
        }
    }
    name
}

/// The label of the directory of a name.
pub(super) fn to_label(name: &str) -> String {
    let name = name.strip_prefix('_').unwrap_or(name);
    name.replace("%2F", "/").replace("%0A", "\n").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_never_the_name_of_a_file_of_the_kernel() {
        for (label, expected) in [
            ("web", "web"),
            ("web.service", "web.service"),
            ("group:process", "group:process"),
            ("cgroup.procs", "_cgroup.procs"),
            ("memory.max", "_memory.max"),
            ("memory", "memory"),
            ("rdma.x", "_rdma.x"),
            ("tasks", "_tasks"),
            ("_daemon", "__daemon"),
            ("..", "_.."),
            ("a/b%2F\n", "a%2Fb%252F%0A"),
        ] {
            assert_eq!(from_label(label), expected);
            assert_eq!(to_label(expected), label);
        }
    }
}
