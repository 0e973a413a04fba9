//! Connections that are cut, at every place where that can happen; and calls whose callers
//! leave.

use std::time::Duration;

use tenure_conformance::props::at;
use tokio::time::timeout;

use crate::line::{Line, recovered};
use crate::load::Load;
use crate::support::proxy::{Cut, Line as Wire};

const CUTS: [Cut; 4] = [Cut::Before, Cut::Within, Cut::After, Cut::Answered];

pub(crate) async fn a_connection_cut_anywhere_loses_nothing_acknowledged(backend: &str) {
    let line = Line::to(backend, 10_000).await;
    let (store, checker) = (&*line.store, &line.checker);
    for cut in CUTS {
        for call in 0..7 {
            let id = line.sessions(1).await[0];
            line.cut_next(cut);
            match call {
                0 => _ = checker.create(store).await,
                1 => checker.update(store, id).await,
                2 => checker.touch(store, id).await,
                3 => checker.end(store, id).await,
                4 => checker.load(store, id).await,
                5 => checker.reap(store).await,
                _ => drop(store.count(&checker.ns, at(0)).await),
            }
            assert!(line.has_cut(), "{cut:?} in call {call}");
            recovered(store, checker).await;
        }
    }
    line.check().await;
}

pub(crate) async fn connections_cut_under_load_lose_nothing_acknowledged(backend: &str) {
    let line = Line::to(backend, 10_000).await;
    let load = Load::on(&line.store, &line.checker);
    for cut in CUTS.into_iter().cycle().take(80) {
        line.cut_next(cut);
        load.until(|_| line.has_cut()).await;
        load.acknowledged(10).await;
    }
    for _ in 0..10 {
        line.cut_all();
        load.acknowledged(50).await;
    }
    load.end().await;
    assert!(line.checker.unavailable() > 0, "some were told so");
    line.check().await;
}

pub(crate) async fn a_call_given_up_on_its_way_harms_nobody(backend: &str) {
    let line = Line::to(backend, 10_000).await;
    let (store, checker) = (&*line.store, &line.checker);
    let other = line.another().await;
    for millis in 0..24 {
        let ids = line.sessions(4).await;
        // Long enough to be left anywhere: before the call is sent, before it is answered.
        line.set(Wire::Slow(Duration::from_millis(8)));
        let patience = Duration::from_millis(millis);
        let _left = [
            timeout(patience, checker.update(store, ids[0])).await,
            timeout(patience, checker.touch(store, ids[1])).await,
            timeout(patience, checker.end(store, ids[2])).await,
            timeout(patience, checker.reap(store)).await,
        ];
        let _left = timeout(patience, checker.create(store)).await;
        line.set(Wire::Open);
        // What is acknowledged next is there for everybody.
        let before = checker.unavailable();
        checker.update(store, ids[3]).await;
        checker.load(&*other, ids[3]).await;
        assert_eq!(checker.unavailable(), before, "the line is good");
    }
    line.check().await;
    other.close().await.expect("closes");
}
