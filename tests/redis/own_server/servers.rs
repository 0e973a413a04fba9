//! Which servers are worked with: asked of each connection, whenever it is made. And
//! connections that died while nobody used them.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::cmd;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tenure_conformance::props::{LEASE, at, counted, id, principal, record, version};
use tenure_conformance::story::Story as _;
use tenure_store::{After, EndReason, ErrorKind, Filter, Hooks, Namespace, Result, SessionStore};

use super::set;
use crate::base::{Base, portal};
use crate::support::proxy::{Line, Proxy};
use crate::support::servers::cluster::Cluster;
use crate::support::servers::redis::Redis;
use crate::support::servers::sentinel::Sentinel;

/// Every kind of call, each of them good as a first one.
fn first_calls<'a>(
    store: &'a dyn SessionStore,
    ns: &'a Namespace,
    number: u64,
) -> Vec<(&'static str, BoxFuture<'a, Result<()>>)> {
    vec![
        (
            "load",
            async move { store.load(ns, id(0), at(1)).await.map(drop) }.boxed(),
        ),
        (
            "touch",
            async move { store.touch(ns, id(0), at(1)).await.map(drop) }.boxed(),
        ),
        (
            "create",
            async move { store.create(ns, &record(number), at(0)).await.map(drop) }.boxed(),
        ),
        (
            "update",
            async move {
                let change = counted(number);
                let updated = store.update(ns, id(0), version(0), &change, at(1));
                updated.await.map(drop)
            }
            .boxed(),
        ),
        (
            "end",
            async move {
                let ended = store.end(ns, id(number), None, EndReason::Logout, After::Queue, at(1));
                ended.await.map(drop)
            }
            .boxed(),
        ),
        (
            "end_principal",
            async move {
                let alice = principal("alice");
                let ended = store.end_principal(ns, &alice, None, After::Queue, at(1));
                ended.await.map(drop)
            }
            .boxed(),
        ),
        (
            "claim",
            async move { store.claim(ns, LEASE, 10, at(1)).await.map(drop) }.boxed(),
        ),
        (
            "settle",
            async move { store.settle(ns, &[], at(1)).await.map(drop) }.boxed(),
        ),
        (
            "inspect",
            async move { store.inspect(ns, id(0), at(1)).await.map(drop) }.boxed(),
        ),
        (
            "list",
            async move { store.list(ns, &Filter::all(5), at(1)).await.map(drop) }.boxed(),
        ),
        (
            "count",
            async move { store.count(ns, at(1)).await.map(drop) }.boxed(),
        ),
        (
            "epoch",
            async move { store.epoch(ns, id(0)).await.map(drop) }.boxed(),
        ),
        (
            "namespaces",
            async move { store.namespaces().await.map(drop) }.boxed(),
        ),
        (
            "describe",
            async move { store.describe(at(1)).await.map(drop) }.boxed(),
        ),
        (
            "open",
            async move { store.open(ns, Hooks::Expected).await }.boxed(),
        ),
        ("reset", async move { store.reset(ns, at(1)).await }.boxed()),
    ]
}

/// Has each kind of call be the first after something happened to idle connections.
async fn each_call_is_good_after(store: &dyn SessionStore, happens: impl AsyncFn()) -> Result<()> {
    let ns = portal();
    let all = first_calls(store, &ns, 1).len();
    for number in 0..all {
        // All connections are there.
        for (name, call) in first_calls(store, &ns, 1_000 + number as u64) {
            call.await
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        happens().await;
        let (name, call) = first_calls(store, &ns, 2_000 + number as u64).swap_remove(number);
        call.await
            .unwrap_or_else(|error| panic!("{name}, as the first: {error:?}"));
    }
    Ok(())
}

/// An hour in which nobody wants anything, for whatever has a timer.
async fn an_hour() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_hours(1)).await;
    tokio::time::resume();
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_first_call_is_good_after_the_server_hung_up_on_idle_connections() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let store = base.within(2_000).await;
    each_call_is_good_after(&*store, async || {
        let mut kill = cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes");
        redis.ask(&kill);
        an_hour().await;
    })
    .await
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_first_call_is_good_after_idle_connections_were_silently_dropped() -> Result<()> {
    let redis = Redis::start();
    let proxy = Proxy::to(address(&redis)).await;
    let base = Base::on(redis.url());
    let store = by_way_of(&base, &redis, &proxy).await;
    each_call_is_good_after(&*store, async || {
        proxy.hush_all();
        an_hour().await;
    })
    .await
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_first_call_is_good_after_a_restart_that_nobody_noticed() -> Result<()> {
    let mut redis = Redis::start();
    let base = Base::on(redis.url());
    let store = base.within(5_000).await;
    let ns = portal();
    for number in 0..3 {
        store.put(&ns, &record(number)).await?;
        redis.server.kill();
        redis.server.restart();
        assert!(store.touch(&ns, id(number), at(1)).await?);
    }
    Ok(())
}

/// A store on a server's place by a proxy's address. The place itself is tidied up past it.
async fn by_way_of(base: &Base, server: &Redis, proxy: &Proxy) -> Arc<dyn SessionStore> {
    let there = address(server).to_string();
    let url = base
        .place
        .url()
        .replace(&there, &proxy.address().to_string());
    let url = url.replace("deadline_ms=120000", "deadline_ms=1000");
    let store = tenure_connect::connect(&url).await.expect("connects");
    store.open(&portal(), Hooks::Expected).await.expect("opens");
    store
}

fn address(redis: &Redis) -> std::net::SocketAddr {
    ([127, 0, 0, 1], redis.port()).into()
}

/// It has not heard of the end, and shows the session live; so nobody is shown what it has,
/// until it is the primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn a_replica_behind_an_address_that_moved_is_not_asked() -> Result<()> {
    let mut primary = Redis::start_with(&[("repl-diskless-sync-delay", "0")]);
    let following = Proxy::to(address(&primary)).await;
    let port = following.address().port();
    let replica = Redis::start_with(&[("replicaof", &format!("127.0.0.1 {port}"))]);
    replica.server.wait_for("sync: Finished with success");
    let moving = Proxy::to(address(&primary)).await;
    let base = Base::on(replica.url());
    let store = by_way_of(&base, &replica, &moving).await;
    let ns = portal();
    store.put(&ns, &record(1)).await?;
    let there = base.record(id(1));
    while replica.ask(cmd("EXISTS").arg(&there)) != deadpool_redis::redis::Value::Int(1) {
        tokio::task::yield_now().await;
    }
    following.set(Line::BlackHole);
    let ended = store.end(&ns, id(1), None, EndReason::Logout, After::Queue, at(1));
    assert!(ended.await?.is_some());
    assert_eq!(store.load(&ns, id(1), at(1)).await?, None);

    primary.server.kill();
    moving.lead_to(address(&replica));
    moving.cut_all();
    for _ in 0..3 {
        let loaded = store.load(&ns, id(1), at(1)).await;
        assert!(
            loaded
                .as_ref()
                .is_err_and(tenure_store::Error::is_unavailable),
            "{loaded:?}"
        );
        let touched = store.touch(&ns, id(1), at(1)).await;
        assert!(touched.is_err_and(|error| error.is_unavailable()));
    }
    // What it lacks is lost with the primary; from now on its word is what counts.
    replica.ask(cmd("REPLICAOF").arg("NO").arg("ONE"));
    assert!(store.load(&ns, id(1), at(1)).await?.is_some());
    assert!(store.touch(&ns, id(1), at(1)).await?);
    Ok(())
}

/// One that became a replica while connected is let go of by all that lead there.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_primary_that_became_a_replica_is_not_asked() -> Result<()> {
    let (primary, other) = (Redis::start(), Redis::start());
    let base = Base::on(primary.url());
    let store = base.within(1_000).await;
    let ns = portal();
    store.put(&ns, &record(1)).await?;
    primary.ask(cmd("REPLICAOF").arg("127.0.0.1").arg(other.port()));
    let touched = store.touch(&ns, id(1), at(1)).await;
    assert!(touched.is_err_and(|error| error.is_unavailable()));
    let loaded = store.load(&ns, id(1), at(1)).await;
    assert!(loaded.is_err_and(|error| error.is_unavailable()));
    primary.ask(cmd("REPLICAOF").arg("NO").arg("ONE"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn a_primary_goes_on_when_all_its_sentinels_are_away() -> Result<()> {
    let mut servers = Sentinel::start();
    // Tidied up past the Sentinels.
    let base = Base::on(servers.primary.url());
    let (_, settings) = base.place.url().split_once('?').expect("settings");
    let url = format!("{}?{settings}", servers.url());
    let url = url.replace("deadline_ms=120000", "deadline_ms=2000");
    let store = tenure_connect::connect(&url).await?;
    let ns = portal();
    store.open(&ns, Hooks::Expected).await?;
    store.put(&ns, &record(1)).await?;
    for sentinel in &mut servers.sentinels {
        sentinel.kill();
    }
    for _ in 0..3 {
        // One connection that was idle is closed.
        let mut kill = cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes");
        servers.primary.ask(&kill);
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (store, ns) = (Arc::clone(&store), ns.clone());
            calls.spawn(async move {
                store.load(&ns, id(1), at(1)).await?;
                store.list(&ns, &Filter::all(5), at(1)).await?;
                store.touch(&ns, id(1), at(1)).await
            });
        }
        while let Some(call) = calls.join_next().await {
            assert!(call.expect("no panic")?);
        }
    }
    Ok(())
}

/// A person's mistake is said to be one, and how to correct it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn a_mistake_in_the_settings_is_told_from_an_outage() {
    let redis = Redis::start();
    let cluster = Cluster::start();
    let old = Redis::start_with(&[("rename-command HELLO", "nothing")]);
    let sentinels = Sentinel::start();
    let sentinel = sentinels.url().replace("redis-sentinel", "redis");
    let sentinel = sentinel.split(',').next().expect("one").to_owned();
    let node = cluster.nodes[0].url();
    let as_cluster = redis.url().replace("redis:", "redis-cluster:");
    for (url, cure) in [
        (node, "redis-cluster:"),
        (as_cluster, "redis:"),
        (redis.url() + "/99", "database"),
        (old.url(), "7.0"),
        (sentinel, "redis-sentinel:"),
        (redis.url().replace("//", "//user:hush@"), "password"),
    ] {
        let connected = tenure_connect::connect(&url).await;
        let error = connected.map(drop).expect_err("it is a mistake");
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{url}: {error:?}");
        assert!(error.to_string().contains(cure), "{url}: {error}");
        assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
    }
    // And what was right at first is held to it.
    let base = Base::on(redis.url());
    let store = base.store().await;
    set(&redis, "maxmemory-policy", "allkeys-lru");
    let mut kill = cmd("CLIENT");
    kill.arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("yes");
    redis.ask(&kill);
    let loaded = store.load(&portal(), id(1), at(1)).await;
    let kind = loaded.map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::Misconfigured));
}

/// The list of namespaces may lose its latest word in a fail-over; shards have it still.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn the_latest_word_on_hooks_holds_though_the_list_lost_it() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let ns = portal();
    let store = base.connect().await?;
    for hooks in [
        Hooks::Expected,
        Hooks::Withdrawn,
        Hooks::Expected,
        Hooks::Withdrawn,
    ] {
        store.open(&ns, hooks).await?;
    }
    let list = base.layout().replace("layout", "namespaces");
    let mut lose = cmd("HSET");
    redis.ask(lose.arg(&list).arg("1:portal").arg("0:1"));
    store.open(&ns, Hooks::Expected).await?;
    store.put(&ns, &record(1)).await?;
    let purged = store.purge(&ns, 10, at(24 * 3_600_000)).await;
    let kind = purged.map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::Misconfigured), "hooks are expected");

    // Who has no word of its own takes over what the shards know.
    redis.ask(cmd("DEL").arg(&list));
    store.open(&ns, Hooks::Unstated).await?;
    let purged = store.purge(&ns, 10, at(24 * 3_600_000)).await;
    assert!(purged.is_err());
    Ok(())
}
