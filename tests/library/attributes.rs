//! Values come back as they went in.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenure::{Attribute, Error, Limits};

use crate::support::world::{World, resumed, stored};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<u32>,
    note: Option<String>,
}

const CART: Attribute<Cart> = Attribute::new("cart");

pub(crate) async fn every_value_comes_back_as_it_was(world: World) {
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    let cart = Cart {
        items: vec![0, 1, u32::MAX],
        note: Some("é\0🦀".to_owned()),
    };
    let nested = (0..40).fold(json!(1), |inner, _| json!([inner]));
    session.set(CART, &cart).expect("fits");
    session.set("empty", "").expect("fits");
    session
        .set("bytes", &vec![0u8, 255, 0xc3, 0x28])
        .expect("fits");
    session
        .set("bounds", &(i64::MIN, i64::MAX, u64::MAX))
        .expect("fits");
    session.set("nan", &f64::NAN).expect("fits");
    session
        .set("json", &json!({"a": [1, 2.5, null, "x"]}))
        .expect("fits");
    session.set("nested", &nested).expect("fits");
    session.set("nothing", &None::<u8>).expect("fits");
    session.commit().await.expect("commits");

    let session = resumed(&sessions, &token).await;
    assert_eq!(session.get(CART).expect("a cart"), Some(cart));
    assert_eq!(
        session.get::<String>("empty").expect("text").as_deref(),
        Some("")
    );
    let bytes: Vec<u8> = session.get("bytes").expect("bytes").expect("there");
    assert_eq!(bytes, [0, 255, 0xc3, 0x28]);
    let bounds: (i64, i64, u64) = session.get("bounds").expect("numbers").expect("there");
    assert_eq!(bounds, (i64::MIN, i64::MAX, u64::MAX));
    let nan: f64 = session.get("nan").expect("a number").expect("there");
    assert!(nan.is_nan());
    let value: serde_json::Value = session.get("json").expect("json").expect("there");
    assert_eq!(value, json!({"a": [1, 2.5, null, "x"]}));
    assert_eq!(
        session.get::<serde_json::Value>("nested").expect("json"),
        Some(nested)
    );
    assert_eq!(
        session.get::<Option<u8>>("nothing").expect("none"),
        Some(None)
    );
    assert_eq!(session.get::<u8>("absent").expect("no error"), None);
    assert!(matches!(
        session.get::<u8>("json"),
        Err(Error::Attribute { .. })
    ));
}

pub(crate) async fn a_struct_that_gained_a_field_reads_older_values(world: World) {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Newer {
        note: Option<String>,
        #[serde(default)]
        currency: String,
        items: Vec<u32>,
    }
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    let older = Cart {
        items: vec![1],
        note: None,
    };
    session.set(CART, &older).expect("fits");
    session.commit().await.expect("commits");
    let newer: Newer = resumed(&sessions, &token)
        .await
        .get("cart")
        .expect("reads")
        .expect("there");
    assert_eq!(newer.items, [1]);
    assert_eq!(newer.currency, "");
}

pub(crate) async fn a_value_over_a_limit_is_refused_and_the_old_one_stays(world: World) {
    let limits = Limits {
        attributes: 2,
        name: 8,
        payload: 2_000,
    };
    let sessions = world
        .builder()
        .limits(limits)
        .build()
        .await
        .expect("good settings");
    let (session, token) = stored(&sessions).await;
    let too_large = session.set("theme", &"x".repeat(3_000));
    assert!(
        matches!(too_large, Err(Error::Limit { limit: 2_000, .. })),
        "{too_large:?}"
    );
    let too_long = session.set("far too long", &1);
    assert!(
        matches!(too_long, Err(Error::Limit { limit: 8, .. })),
        "{too_long:?}"
    );
    session.set("second", &2).expect("two are allowed");
    let too_many = session.set("third", &3);
    assert!(
        matches!(too_many, Err(Error::Limit { limit: 2, .. })),
        "{too_many:?}"
    );
    session.commit().await.expect("what was allowed is stored");
    let session = resumed(&sessions, &token).await;
    assert_eq!(session.names(), ["second", "theme"]);
    assert_eq!(
        session.get::<String>("theme").expect("text").as_deref(),
        Some("dark")
    );
}

pub(crate) async fn clear_empties_the_attributes_and_nothing_else(world: World) {
    let sessions = world.sessions().await;
    let (session, _) = stored(&sessions).await;
    session.log_in("alice").expect("a good name");
    let token = session
        .commit()
        .await
        .expect("commits")
        .expect("a new token");
    let before = resumed(&sessions, &token).await;
    before.clear();
    before.set("theme", "light").expect("fits");
    before.clear();
    before.set("after", &1).expect("fits");
    assert!(
        before.commit().await.expect("commits").is_none(),
        "the token stays"
    );
    let after = resumed(&sessions, &token).await;
    assert_eq!(after.names(), ["after"]);
    assert_eq!(after.id(), before.id());
    assert_eq!(after.created(), session.created());
    assert_eq!(after.principal().expect("still alice").as_str(), "alice");
}

pub(crate) async fn a_commit_without_changes_calls_nothing(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let session = resumed(&sessions, &token).await;
    session.set("theme", "dark").expect("it is dark already");
    assert!(!session.remove("never there"));
    world.store.calls();
    session.commit().await.expect("commits");
    assert!(world.store.calls().is_empty());
}

pub(crate) async fn names_may_hold_anything(world: World) {
    let names = [
        "",
        ":",
        "%",
        "_",
        "*",
        "{}",
        "a'b\"c",
        "🦀",
        "a\0b",
        "é".repeat(60).as_str(),
    ]
    .map(str::to_owned);
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    session.clear();
    for (value, name) in names.iter().enumerate() {
        session.set(name.as_str(), &value).expect("fits");
    }
    session
        .log_in(&"'\"%_*{}:🦀".repeat(19))
        .expect("opaque text");
    let rotated = session
        .commit()
        .await
        .expect("commits")
        .expect("a new token");
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    let session = resumed(&sessions, &rotated).await;
    assert_eq!(session.names().len(), names.len());
    for (value, name) in names.iter().enumerate() {
        assert_eq!(
            session.get::<usize>(name.as_str()).expect("a number"),
            Some(value)
        );
    }
}
