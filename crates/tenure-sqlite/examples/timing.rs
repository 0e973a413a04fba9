//! throwaway
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenure_sqlite::*;
use tenure_store::*;
fn id(n: u64) -> SessionId {
    let mut d = [0; 16];
    d[..8].copy_from_slice(&n.to_be_bytes());
    SessionId::from_digest(d)
}
#[tokio::main]
async fn main() {
    for sync in [Synchronous::Normal, Synchronous::Full] {
        let dir = tempfile::tempdir_in(std::env::args().nth(1).unwrap_or("/tmp".into())).unwrap();
        let store = Arc::new(
            SqliteStore::connect(SqliteOptions::new(dir.path().join("t.db")).synchronous(sync))
                .await
                .unwrap(),
        );
        let ns = Namespace::sessions("portal").unwrap();
        store.open(&ns, Hooks::Unstated).await.unwrap();
        let t0 = Timestamp::from_millis(0).unwrap();
        let n = 10_000u64;
        let mut set = tokio::task::JoinSet::new();
        for t in 0..64u64 {
            let (store, ns) = (store.clone(), ns.clone());
            set.spawn(async move {
                for k in (t..n).step_by(64) {
                    let r = Record {
                        id: id(k),
                        created: t0,
                        last_access: t0,
                        accesses: 1,
                        idle_timeout: Some(Timeout::from_millis(1_200_000).unwrap()),
                        lifetime: None,
                        leaves_at: None,
                        principal: None,
                        rotation: Rotation::default(),
                        version: Version::new(k),
                        payload: Payload::new(vec![7u8; 463]),
                    };
                    let _ = store.create(&ns, &r, t0).await.unwrap();
                }
            });
        }
        while set.join_next().await.is_some() {}
        for what in ["load", "touch", "update"] {
            for tasks in [1u64, 16, 64] {
                let start = Instant::now();
                let mut set = tokio::task::JoinSet::new();
                for t in 0..tasks {
                    let (store, ns) = (store.clone(), ns.clone());
                    set.spawn(async move {
                        let mut c = 0u64;
                        let mut x = t * 7919 + 1;
                        let mut lat = vec![];
                        while start.elapsed() < Duration::from_secs(2) {
                            x = x
                                .wrapping_mul(6364136223846793005)
                                .wrapping_add(1442695040888963407);
                            let k = (x >> 33) % n;
                            let s = Instant::now();
                            match what {
                                "load" => {
                                    assert!(store.load(&ns, id(k), t0).await.unwrap().is_some());
                                }
                                "touch" => {
                                    assert!(store.touch(&ns, id(k), t0).await.unwrap());
                                }
                                _ => {
                                    let mut ch = Change::new(Version::new(k), Access::Counts);
                                    ch.payload = Some(Payload::new(vec![8u8; 463]));
                                    let _ = store
                                        .update(&ns, id(k), Version::new(k), &ch, t0)
                                        .await
                                        .unwrap();
                                }
                            }
                            lat.push(s.elapsed().as_micros() as u64);
                            c += 1;
                        }
                        (c, lat)
                    });
                }
                let mut total = 0;
                let mut lat = vec![];
                while let Some(r) = set.join_next().await {
                    let (c, l) = r.unwrap();
                    total += c;
                    lat.extend(l);
                }
                lat.sort();
                eprintln!(
                    "{sync:?} {what} tasks={tasks}: {:.0}/s p50={}us p99={}us",
                    total as f64 / start.elapsed().as_secs_f64(),
                    lat[lat.len() / 2],
                    lat[lat.len() * 99 / 100]
                );
            }
        }
        store.close().await.unwrap();
    }
}
