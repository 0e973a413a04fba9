//! A, B: names are compared whole, byte for byte, and known only once opened.

use std::collections::BTreeSet;

use tenure_store::{After, ErrorKind, Filter, Hooks, Imported, Namespace, Record};

use crate::props::{IDLE, LEASE, at, endless, id, payload, principal, record, record_of};
use crate::story::Story;
use crate::{Stage, Verdict};

/// What would write there, or act on all of it, says that it was never opened, and does
/// not open it. Once it is opened, by whichever node, each of them works.
pub async fn an_unknown_namespace_is_refused_by_what_writes(stage: &Stage) -> Verdict {
    let unknown = Namespace::sessions("unknown")?;
    stage.put(stage.portal(), &record(1)).await?;
    let entry = stage.entry(stage.portal(), id(1), at(0)).await?;
    let epoch = stage.epoch(stage.portal(), id(1)).await?;

    let refusals = [
        stage.create(&unknown, &record(1), at(0)).await.err(),
        stage.epoch(&unknown, id(1)).await.err(),
        stage.import(&unknown, &entry, epoch, at(0)).await.err(),
        stage.reset(&unknown, at(0)).await.err(),
        stage.claim(&unknown, LEASE, 10, at(0)).await.err(),
        stage.purge(&unknown, 10, at(0)).await.err(),
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        let kind = refusal.map(|error| error.kind());
        assert_eq!(kind, Some(ErrorKind::NotOpened), "refusal {number}");
    }
    assert!(!stage.namespaces().await?.contains(&unknown));

    stage.other().open(&unknown, Hooks::Unstated).await?;
    stage.put(&unknown, &record(2)).await?;
    let epoch = stage.epoch(&unknown, id(1)).await?;
    let imported = stage.import(&unknown, &entry, epoch, at(0)).await?;
    assert_eq!(imported, Imported::Done);
    stage.reset(&unknown, at(1)).await?;
    assert_eq!(stage.claim_all(&unknown, at(1)).await?.len(), 2);
    assert_eq!(stage.purge(&unknown, 10, at(1)).await?.removed, 0);
    Ok(())
}

/// Listing, counting, resetting, claiming and purging, where one application's name is
/// the beginning of another's.
pub async fn a_prefix_of_a_name_is_another_name(stage: &Stage) -> Verdict {
    let names = [
        "shop", "shop.", "shop.eu", "shop-eu", "shope", "sho", "SHOP",
    ];
    for victim in names {
        for name in names {
            let ns = Namespace::sessions(&format!("{name}-{victim}"))?;
            let prefixed = Namespace::sessions(&format!("{victim}.{name}"))?;
            for ns in [&ns, &prefixed] {
                stage.open(ns, Hooks::Unstated).await?;
                stage.put(ns, &record_of(1, "alice")).await?;
            }
        }
        let ns = Namespace::sessions(victim)?;
        stage.open(&ns, Hooks::Unstated).await?;
        stage.put(&ns, &record_of(1, "alice")).await?;
        stage.put(&ns, &endless(2)).await?;
        assert_eq!(stage.everything(&ns, at(1)).await?.len(), 2);
        assert_eq!(stage.count(&ns, at(1)).await?.live, 2);
        let alice = principal("alice");
        let ended = stage
            .end_principal(&ns, &alice, None, After::Queue, at(1))
            .await?;
        assert_eq!(ended, 1);
        stage.reset(&ns, at(2)).await?;
        assert_eq!(stage.reap(&ns, at(2)).await?.len(), 2);
        stage.put(&ns, &record(3)).await?;
        assert_eq!(stage.purge(&ns, 100, at(IDLE)).await?.removed, 1);
        for name in names {
            let ns = Namespace::sessions(&format!("{name}-{victim}"))?;
            let prefixed = Namespace::sessions(&format!("{victim}.{name}"))?;
            for ns in [&ns, &prefixed] {
                assert!(stage.touch(ns, id(1), at(3)).await?, "{ns} after {victim}");
                assert_eq!(stage.count(ns, at(3)).await?.live, 1);
            }
        }
    }
    Ok(())
}

/// Names that mean something to patterns, keys or SQL, and the longest ones.
pub async fn no_principal_is_mistaken_for_another(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let longest = ["a", "b"].map(|last| format!("{}{last}", "x".repeat(255)));
    let mut names = vec![
        "a", "A", "a ", " a", "a\u{301}", "á", "%", "_", "a%", "a_", "*", "a*",
    ];
    names.extend([
        "?", "[a]", "{a}", "a:b", "a", "'", "''", "\"", "\\", "\\0", "a;--", "\n",
    ]);
    names.extend(["👩\u{200d}💻", "👩", "NULL", "null", "0", "00", "true"]);
    names.extend(longest.iter().map(String::as_str));
    let names: BTreeSet<_> = names.into_iter().collect();
    for (number, name) in (0..).zip(&names) {
        stage.put(ns, &record_of(number, name)).await?;
    }
    for (number, name) in (0..).zip(&names) {
        let mut theirs = Filter::all(100);
        theirs.principal = Some(principal(name));
        let found = stage.scan(ns, &theirs, at(1)).await?;
        let records: Vec<_> = found.into_iter().map(|entry| entry.record).collect();
        assert_eq!(records, [record_of(number, name)], "of {name:?}");
    }
    let mut left = names.len() as u64;
    for name in &names {
        let ended = stage
            .end_principal(ns, &principal(name), None, After::Discard, at(1))
            .await?;
        assert_eq!(ended, 1, "of {name:?}");
        left -= 1;
        assert_eq!(stage.count(ns, at(1)).await?.live, left);
    }
    Ok(())
}

/// Names of applications that differ in case, in a wild card's place, or in the last
/// of 64 characters.
pub async fn no_application_is_mistaken_for_another(stage: &Stage) -> Verdict {
    let longest = ["a", "b"].map(|last| format!("{}{last}", "x".repeat(63)));
    let mut names = vec![
        "a", "A", "a.b", "a_b", "a-b", "axb", "a.", ".a", "_", "-", "0", "00",
    ];
    names.extend(longest.iter().map(String::as_str));
    let mut namespaces = Vec::new();
    for name in names {
        namespaces.push(Namespace::sessions(name)?);
        namespaces.push(Namespace::visitors(name)?);
    }
    for (number, ns) in (0..).zip(&namespaces) {
        stage.open(ns, Hooks::Unstated).await?;
        let mine = Record {
            payload: payload(number),
            ..record(1)
        };
        stage.put(ns, &mine).await?;
    }
    for (number, ns) in (0..).zip(&namespaces) {
        let loaded = stage.load(ns, id(1), at(1)).await?.expect("it is live");
        assert_eq!(loaded.payload, payload(number), "in {ns}");
    }
    for (ended, ns) in namespaces.iter().enumerate() {
        stage.reset(ns, at(2)).await?;
        for (index, ns) in namespaces.iter().enumerate() {
            let live = stage.load(ns, id(1), at(3)).await?.is_some();
            assert_eq!(live, index > ended, "in {ns}");
        }
    }
    Ok(())
}

/// Only opening does: not looking, not what finds nothing, not what was refused.
pub async fn a_namespace_is_known_by_opening_alone(stage: &Stage) -> Verdict {
    let unknown = Namespace::sessions("unknown")?;
    let ns = &unknown;
    let known = stage.namespaces().await?;
    let _ = stage.create(ns, &record(1), at(0)).await;
    let _ = stage.reset(ns, at(0)).await;
    assert_eq!(stage.load(ns, id(1), at(0)).await?, None);
    assert!(!stage.touch(ns, id(1), at(0)).await?);
    let _ = stage.claim(ns, LEASE, 10, at(0)).await;
    let _ = stage.purge(ns, 10, at(0)).await;
    assert_eq!(stage.everything(ns, at(0)).await?, []);
    assert_eq!(stage.count(ns, at(0)).await?.live, 0);
    assert_eq!(stage.other().namespaces().await?, known);
    assert!(stage.create(ns, &record(1), at(0)).await.is_err());
    Ok(())
}
