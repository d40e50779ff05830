//! Tables of users: what a request and an image come to, and what is refused.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
# a comment
broken line
app:x:1000:1001:App:/home/app:/bin/sh
1001:x:5:5:a name of digits:/:/bin/sh
big:x:2147483648:0::/:/bin/sh
hex:x:0x0:0::/:/bin/sh
negative:x:-1:0::/:/bin/sh
empty:x::0::/:/bin/sh
huge:x:4294967296:0::/:/bin/sh
";
const GROUP: &str = "\
root:x:0:
app:x:1001:
wheel:x:10:root,app
video:x:44:application,app
big:x:2147483648:
";

/// Uid, gid and groups; `None` when the user is refused.
type Expected = Option<(u32, u32, &'static [u32])>;

struct Image {
    root: TempDir,
}

impl Image {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir(root.path().join("etc")).expect("etc");
        let image = Self { root };
        image.write("passwd", PASSWD);
        image.write("group", GROUP);
        image
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("etc").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.file(name), content).expect("write");
    }

    fn resolve(&self, image_user: &str, security: &ContainerSecurity) -> Result<ResolvedUser, UserError> {
        let request = UserRequest { security, image_user, home: "/work" };
        resolve(self.root.path(), &request)
    }
}

fn ids(user: &ResolvedUser) -> (u32, u32, &[u32]) {
    (user.uid, user.gid, &user.groups)
}

#[test]
fn image_users_are_names_or_numbers() {
    let cases: &[(&str, Expected)] = &[
        ("", Some((0, 0, &[0, 10]))),
        ("root", Some((0, 0, &[0, 10]))),
        ("app", Some((1000, 1001, &[1001, 10, 44]))),
        ("1000", Some((1000, 1001, &[1001, 10, 44]))),
        ("1001", Some((1001, 0, &[0]))),
        ("007", Some((7, 0, &[0]))),
        ("app:wheel", Some((1000, 10, &[10]))),
        ("app:5", Some((1000, 5, &[5]))),
        ("1234:5678", Some((1234, 5678, &[5678]))),
        ("1234:", Some((1234, 0, &[0]))),
        (":10", Some((0, 10, &[10]))),
        ("2147483647", Some((2_147_483_647, 0, &[0]))),
        ("2147483648", None),
        ("4294967296", None),
        ("99999999999999999999", None),
        ("0:4294967295", None),
        ("big", None),
        ("app:big", None),
        ("huge", None),
        ("hex", None),
        ("negative", None),
        ("empty", None),
        ("-1", None),
        ("+0", None),
        ("0x0", None),
        (" 0", None),
        ("0 ", None),
        ("0\n", None),
        ("nobody", None),
        ("app:nobody", None),
        ("app:wheel:0", None),
        ("broken line", None),
        ("# a comment", None),
    ];
    let image = Image::new();
    for (text, expected) in cases {
        let found = image.resolve(text, &ContainerSecurity::default());
        match (&found, expected) {
            (Ok(user), Some(expected)) => assert_eq!(ids(user), *expected, "{text:?}"),
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text:?}"),
            _ => panic!("{text:?}: {found:?}"),
        }
    }
}

fn security(username: &str, user: Option<i64>, group: Option<i64>) -> ContainerSecurity {
    ContainerSecurity {
        run_as_username: username.to_owned(),
        run_as_user: user,
        run_as_group: group,
        ..ContainerSecurity::default()
    }
}

#[test]
fn the_request_wins_over_the_image() {
    let cases: &[(ContainerSecurity, Expected)] = &[
        (security("", Some(1000), None), Some((1000, 1001, &[1001, 10, 44]))),
        (security("", Some(1000), Some(5)), Some((1000, 5, &[5, 10, 44]))),
        (security("app", Some(0), None), Some((1000, 1001, &[1001, 10, 44]))),
        (security("app", None, Some(7)), Some((1000, 7, &[7, 10, 44]))),
        (security("", Some(4321), None), Some((4321, 0, &[0]))),
        (security("", None, Some(5)), None),
        (security("", Some(-1), None), None),
        (security("", Some(1 << 31), None), None),
        (security("", Some(1 << 32), None), None),
        (security("", Some(i64::MIN), None), None),
        (security("", Some(0), Some(1 << 31)), None),
        (security("missing", None, None), None),
    ];
    let image = Image::new();
    for (request, expected) in cases {
        let found = image.resolve("root", request);
        assert_eq!(found.as_ref().ok().map(ids), *expected, "{request:?}: {found:?}");
    }
}

#[test]
fn supplemental_groups_merge_or_replace_the_images() {
    let mut request = security("app", None, None);
    request.supplemental_groups = vec![1234, 44, 1234];
    let image = Image::new();
    let user = image.resolve("", &request).expect("merge");
    assert_eq!(user.groups, [1001, 10, 44, 1234]);
    request.supplemental_groups_policy = SupplementalGroupsPolicy::Strict;
    let user = image.resolve("", &request).expect("strict");
    assert_eq!(user.groups, [1001, 1234, 44]);
    request.supplemental_groups = vec![-5];
    assert!(image.resolve("", &request).is_err());
}

#[test]
fn an_unknown_number_gets_a_line_of_its_own() {
    let image = Image::new();
    let user = image.resolve("4321:8765", &ContainerSecurity::default()).expect("resolves");
    let passwd = user.passwd.expect("passwd");
    let text = String::from_utf8(passwd.content).expect("utf-8");
    assert!(text.starts_with(PASSWD));
    assert_eq!(text.lines().last(), Some("4321:x:4321:8765:4321 user:/work:/sbin/nologin"));
    let group = String::from_utf8(user.group.expect("group").content).expect("utf-8");
    assert_eq!(group.lines().last(), Some("8765:x:8765:"));
}

#[test]
fn no_line_is_made_up_when_the_image_knows_or_lets_the_user_write() {
    let image = Image::new();
    let known = image.resolve("app", &ContainerSecurity::default()).expect("resolves");
    assert_eq!((known.passwd, known.group), (None, None));
    let mode = |bits| std::fs::set_permissions(image.file("passwd"), std::fs::Permissions::from_mode(bits));
    mode(0o664).expect("chmod");
    let member = image.resolve("4321", &ContainerSecurity::default()).expect("resolves");
    assert_eq!(member.passwd, None, "group 0 may write");
    mode(0o644).expect("chmod");
    image.write("passwd", "");
    let empty = image.resolve("4321", &ContainerSecurity::default()).expect("resolves");
    assert_eq!(empty.passwd, None, "an image without users stays without");
}

#[test]
fn a_file_without_a_last_newline_is_not_glued_to_the_new_line() {
    let image = Image::new();
    image.write("passwd", "root:x:0:0:root:/root:/bin/sh");
    let user = image.resolve("4321", &ContainerSecurity::default()).expect("resolves");
    let text = String::from_utf8(user.passwd.expect("passwd").content).expect("utf-8");
    assert_eq!(text.lines().count(), 2, "{text:?}");
}

#[test]
fn a_home_cannot_add_a_line_or_a_field() {
    let image = Image::new();
    let with_home = |home: &str| {
        let security = ContainerSecurity::default();
        let request = UserRequest { security: &security, image_user: "4321", home };
        resolve(image.root.path(), &request)
    };
    for home in ["/\nevil:x:0:0::/:/bin/sh", "/\revil", "/\0"] {
        assert!(matches!(with_home(home), Err(UserError::Home)), "{home:?}");
    }
    let last = |home: &str| {
        let content = with_home(home).expect("resolves").passwd.expect("passwd").content;
        String::from_utf8(content).expect("utf-8").lines().last().map(str::to_owned)
    };
    assert_eq!(last("/a:/b").as_deref(), Some("4321:x:4321:0:4321 user:/:/sbin/nologin"));
    assert_eq!(last("").as_deref(), Some("4321:x:4321:0:4321 user:/tmp:/sbin/nologin"));
    assert_eq!(last("/\\n").as_deref(), Some("4321:x:4321:0:4321 user:/\\n:/sbin/nologin"));
}

#[test]
fn an_image_without_files_has_only_numbers() {
    let root = tempfile::tempdir().expect("tempdir");
    let security = ContainerSecurity::default();
    let with = |image_user| {
        let request = UserRequest { security: &security, image_user, home: "" };
        resolve(root.path(), &request)
    };
    assert_eq!(ids(&with("").expect("root")), (0, 0, &[0][..]));
    assert_eq!(ids(&with("12:34").expect("numbers")), (12, 34, &[34][..]));
    assert!(with("root").is_err());
}

#[test]
fn files_that_are_no_files_are_refused_at_once() {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let mode = Mode::from_raw_mode(0o600);
    let replace = |image: &Image| std::fs::remove_file(image.file("passwd")).expect("remove");

    let image = Image::new();
    replace(&image);
    mknodat(CWD, image.file("passwd"), FileType::Fifo, mode, 0).expect("fifo");
    assert!(matches!(refusal(&image), DatabaseError::NotRegular { .. }));

    let image = Image::new();
    replace(&image);
    mknodat(CWD, image.file("passwd"), FileType::CharacterDevice, mode, makedev(1, 5)).expect("device");
    assert!(matches!(refusal(&image), DatabaseError::NotRegular { .. }));

    let image = Image::new();
    std::fs::File::create(image.file("passwd")).expect("create").set_len(10 << 30).expect("sparse");
    assert!(matches!(refusal(&image), DatabaseError::TooLarge { .. }));

    let image = Image::new();
    image.write("group", &"x".repeat(MAX_LINE_BYTES + 1));
    assert!(matches!(refusal(&image), DatabaseError::LongLine { .. }));
}

fn refusal(image: &Image) -> DatabaseError {
    match image.resolve("root", &ContainerSecurity::default()) {
        Err(UserError::Database(error)) => {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            error
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn links_stay_inside_the_image() {
    let host_name = "crio-rs-test-host-user";
    let outside = tempfile::tempdir().expect("tempdir");
    let host_file = outside.path().join("passwd");
    std::fs::write(&host_file, format!("{host_name}:x:77:77::/:/bin/sh\n")).expect("write");
    let targets = [
        host_file.clone(),
        PathBuf::from(format!("../../../../../..{}", host_file.display())),
        PathBuf::from("/proc/self/root/etc/passwd"),
        PathBuf::from("/etc/passwd"),
        PathBuf::from("missing"),
    ];
    for target in targets {
        let image = Image::new();
        std::fs::remove_file(image.file("passwd")).expect("remove");
        symlink(&target, image.file("passwd")).expect("symlink");
        assert!(image.resolve(host_name, &ContainerSecurity::default()).is_err(), "{target:?}");
    }
    let image = Image::new();
    std::fs::rename(image.file("passwd"), image.file("passwd.real")).expect("rename");
    symlink("/etc/passwd.real", image.file("passwd")).expect("symlink");
    assert_eq!(image.resolve("app", &ContainerSecurity::default()).expect("inside").uid, 1000);
}
