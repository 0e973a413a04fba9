//! docker-compose.yml starts what the tests' own servers are: the same settings, of one
//! certain version, ready before use, in nobody's way.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use support::servers::settings::{self, CLUSTER_NODES, Setting};

/// What the file says of each service, by its name: a list for each key, of one entry
/// where the value is plain. A key within a key has both names.
type Services = BTreeMap<String, BTreeMap<String, Vec<String>>>;

#[test]
fn its_postgres_is_set_as_the_tests_is() {
    let services = services();
    let command = &services["postgres"]["command"];
    assert_eq!(command[0], "postgres");
    let pairs = command[1..].chunks(2).map(|pair| {
        assert_eq!(pair[0], "-c");
        pair[1].split_once('=').expect("a name and a value")
    });
    assert_eq!(pairs.collect::<BTreeSet<_>>(), set(&[settings::POSTGRES]));
}

#[test]
fn its_redis_is_set_as_the_tests_is() {
    let services = services();
    let command = &services["redis"]["command"];
    assert_eq!(command[0], "redis-server");
    assert_eq!(options(&command[1..]), set(&[settings::REDIS]));
}

#[test]
fn its_redis_cluster_is_set_as_the_tests_is() {
    let services = services();
    let cluster = &services["redis-cluster"];
    // Its clients are outside its container.
    let here: &[Setting] = &[("cluster-announce-ip", "127.0.0.1")];
    let expected = set(&[settings::REDIS, settings::CLUSTER, here]);
    assert_eq!(options(&cluster["command"]), expected);
    assert_eq!(cluster["ports"].len(), CLUSTER_NODES);
    for port in ports(&cluster["ports"]) {
        for place in ["entrypoint", "healthcheck test"] {
            let text = cluster[place].join(" ");
            assert!(text.contains(&port.to_string()), "{port} in {place}");
        }
    }
}

#[test]
fn only_its_cluster_waits_to_be_asked_for() {
    for (name, service) in services() {
        let profiles = service.get("profiles").cloned().unwrap_or_default();
        let expected: &[&str] = match name.as_str() {
            "redis-cluster" => &["cluster"],
            _ => &[],
        };
        assert_eq!(profiles, expected, "{name}");
    }
}

#[test]
fn its_images_are_of_one_certain_version() {
    for (name, service) in services() {
        let image = &service["image"][0];
        let (_, tag) = image.split_once(':').expect("a tag");
        let version = tag.split('-').next().unwrap_or_default();
        let numbers = version.split('.').map(str::parse::<u32>);
        let numbers = numbers.collect::<Result<Vec<_>, _>>();
        // Whoever has only two numbers is PostgreSQL.
        let enough = if name == "postgres" { 2 } else { 3 };
        let pinned = numbers.is_ok_and(|numbers| numbers.len() == enough);
        assert!(pinned, "{image} is not one version");
    }
}

#[test]
fn each_of_its_services_says_when_it_is_ready() {
    for (name, service) in services() {
        for key in ["test", "interval", "timeout", "retries"] {
            let key = format!("healthcheck {key}");
            assert!(service.contains_key(&key), "{name} has no {key}");
        }
    }
}

#[test]
fn its_ports_are_in_nobodys_way() {
    let mut all = BTreeSet::new();
    for service in services().values() {
        for mapping in &service["ports"] {
            assert!(mapping.starts_with("127.0.0.1:"), "{mapping}: everybody's");
        }
        all.extend(ports(&service["ports"]));
    }
    // Those below are known by one name or another; those above go to the servers that
    // tests start, and to outgoing connections.
    assert!(
        all.iter().all(|port| (15_000..20_000).contains(port)),
        "{all:?}"
    );
    let script = read("scripts/test");
    for port in all {
        assert!(
            script.contains(&format!("127.0.0.1:{port}")),
            "{port} is not used"
        );
    }
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).expect("the file is there")
}

/// On this machine.
fn ports(mappings: &[String]) -> BTreeSet<u16> {
    let ports = mappings.iter().map(|mapping| {
        let port = mapping.split(':').nth(1).expect("a port");
        port.parse().expect("a number")
    });
    let unique: BTreeSet<u16> = ports.collect();
    assert_eq!(unique.len(), mappings.len(), "no port twice");
    unique
}

/// `--name value`, again and again.
fn options(words: &[String]) -> BTreeSet<(&str, &str)> {
    let pairs = words.chunks(2).map(|pair| {
        let name = pair[0].strip_prefix("--").expect("an option");
        (name, pair[1].as_str())
    });
    pairs.collect()
}

fn set(settings: &[&[Setting]]) -> BTreeSet<Setting> {
    settings
        .iter()
        .flat_map(|some| some.iter().copied())
        .collect()
}

/// Reads as much of YAML as the file has: keys in keys by two spaces, lists of plain or
/// quoted texts, and texts folded with `>-`.
///
/// # Panics
/// On anything else.
fn services() -> Services {
    let text = read("docker-compose.yml");
    let (_, text) = text.split_once("\nservices:\n").expect("services");
    let mut services = Services::new();
    let (mut service, mut key, mut within) = ("", "", "");
    // How deep the line stands whose text is being folded.
    let mut folded: Option<usize> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let depth = line.len() - bare.len();
        folded = folded.filter(|folded| depth > *folded);
        let is_comment = bare.starts_with('#') && folded.is_none();
        if bare.is_empty() || is_comment {
            continue;
        }
        let (name, value) = match (folded, bare.strip_prefix("- ")) {
            (Some(_), _) => ("", bare),
            (None, Some(item)) => ("", item),
            (None, None) => bare.split_once(':').expect("a key"),
        };
        match depth {
            _ if name.is_empty() => {}
            2 => (service, key, within) = (name, "", ""),
            4 => (key, within) = (name, ""),
            6 => within = name,
            _ => panic!("deeper than keys are: {line}"),
        }
        let values = services.entry(service.to_owned()).or_default();
        let list = values.entry(format!("{key} {within}").trim().to_owned());
        let list = list.or_default();
        match (value.trim(), folded) {
            (">-", None) => {
                folded = Some(depth);
                list.push(String::new());
            }
            (more, Some(_)) => {
                let text = list.last_mut().expect("it has begun");
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(more);
            }
            ("", None) => {}
            (plain, None) => list.push(plain.trim_matches('"').to_owned()),
        }
    }
    for values in services.values_mut() {
        values.retain(|_, list| !list.is_empty());
    }
    services
}
