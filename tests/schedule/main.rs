//! Random schedules of two nodes whose clocks differ, over the library's own operations:
//! after each step, everything that must always hold is looked at.
//!
//! `TENURE_SCHEDULES` says how many (1,000 on memory by default, a twentieth of that
//! elsewhere); `TENURE_SEED` plays one again, which is what a failure prints.

mod dice;
mod play;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

use play::Play;
use support::world::World;

const SCHEDULES: u64 = 1_000;
const STEPS: usize = 60;

#[tokio::test]
async fn what_always_holds_holds_after_each_step_in_memory() {
    play("memory", schedules()).await;
}

#[tokio::test]
async fn what_always_holds_holds_after_each_step_in_sqlite() {
    play("sqlite", schedules().div_ceil(20)).await;
}

mod postgres {
    #[tokio::test]
    #[ignore = "needs PostgreSQL: run scripts/test"]
    async fn what_always_holds_holds_after_each_step_in_postgres() {
        super::play("postgres", super::schedules().div_ceil(20)).await;
    }
}

mod redis {
    #[tokio::test]
    #[ignore = "needs Redis: run scripts/test"]
    async fn what_always_holds_holds_after_each_step_in_redis() {
        super::play("redis", super::schedules().div_ceil(20)).await;
    }
}

mod redis_cluster {
    #[tokio::test]
    #[ignore = "needs Redis Cluster: run scripts/test"]
    async fn what_always_holds_holds_after_each_step_in_redis_cluster() {
        super::play("redis_cluster", super::schedules().div_ceil(20)).await;
    }
}

fn schedules() -> u64 {
    let wanted = std::env::var("TENURE_SCHEDULES").ok();
    wanted.map_or(SCHEDULES, |n| {
        n.parse().expect("TENURE_SCHEDULES is a number")
    })
}

/// One store for all schedules; each has an application of its own.
async fn play(backend: &str, schedules: u64) {
    let world = World::on(backend).await;
    let seeds = match std::env::var("TENURE_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("TENURE_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..schedules,
    };
    for seed in seeds {
        let mut play = Play::begin(&world, seed).await;
        for _ in 0..STEPS {
            play.step().await;
            play.check().await;
        }
        play.finish().await;
    }
}
